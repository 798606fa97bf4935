"""Pairs of memories that say nearly the same, side by side: merged, parted again, or dismissed."""

from typing import Any

from django.contrib import admin
from django.db.models.functions import Left
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.actions import RowAction
from contacts.admin.base import ReadOnlyAdmin
from contacts.models.workspace import Role
from memory.models import Memory, MemoryDuplicate
from memory.models.duplicates import DuplicateState, Kept
from memory.services.duplicates import dismiss_duplicate, merge_duplicate, unmerge_duplicate

PREVIEW = 400


def _keep(which: Kept) -> Any:
    def run(*, actor: Any, row: MemoryDuplicate, reason: str) -> None:
        merge_duplicate(actor=actor, duplicate_id=row.pk, keep=which, reason=reason)

    return run


def _dismiss(*, actor: Any, row: MemoryDuplicate, reason: str) -> None:
    dismiss_duplicate(actor=actor, duplicate_id=row.pk, reason=reason)


def _unmerge(*, actor: Any, row: MemoryDuplicate, reason: str) -> None:
    unmerge_duplicate(actor=actor, duplicate_id=row.pk, reason=reason)


def _is_open(row: MemoryDuplicate) -> bool:
    return row.state == DuplicateState.OPEN


def _is_merged(row: MemoryDuplicate) -> bool:
    return row.state == DuplicateState.MERGED


@admin.register(MemoryDuplicate)
class MemoryDuplicateAdmin(ReadOnlyAdmin):
    when_empty = (
        "Memories that say nearly the same are proposed here to be merged; none is merged alone."
    )
    list_display = ("older_text", "newer_text", "likeness", "state_badge", "made")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_annotate = {
        "older_beginning": Left("older__text", PREVIEW),
        "newer_beginning": Left("newer__text", PREVIEW),
    }
    ordering = ("-id",)
    change_form_outer_before_template = "admin/includes/buttons.html"
    fields = (
        ("older_whole", "newer_whole"), ("older_from", "newer_from"), "likeness", "state_badge",
        "kept", "decided", "made", "ids",
    )  # fmt: skip
    readonly_fields = (
        "older_whole", "newer_whole", "older_from", "newer_from", "likeness", "state_badge", "kept",
        "decided", "made", "ids",
    )  # fmt: skip
    row_actions = (
        RowAction("keep-newer", "Keep the newer", "Merged: the newer one stays in use.", "merge",
                  Role.REVIEWER, _keep(Kept.NEWER), open_to=_is_open, tone="primary"),
        RowAction("keep-older", "Keep the older", "Merged: the older one stays in use.", "merge",
                  Role.REVIEWER, _keep(Kept.OLDER), open_to=_is_open),
        RowAction("dismiss", "They are two", "Dismissed: they are two.", "call_split",
                  Role.REVIEWER, _dismiss, open_to=_is_open),
        RowAction("unmerge", "Undo the merge", "Both are in use again.", "undo",
                  Role.REVIEWER, _unmerge, open_to=_is_merged),
    )  # fmt: skip

    @display(description="Older")
    def older_text(self, obj: MemoryDuplicate) -> SafeString:
        return show.preview(getattr(obj, "older_beginning", ""))

    @display(description="Newer")
    def newer_text(self, obj: MemoryDuplicate) -> SafeString:
        return show.preview(getattr(obj, "newer_beginning", ""))

    @display(description="Alike", ordering="similarity")
    def likeness(self, obj: MemoryDuplicate) -> str:
        return f"{obj.similarity:.0%} in meaning, {obj.overlap:.0%} of words"

    @display(description="State", ordering="state")
    def state_badge(self, obj: MemoryDuplicate) -> SafeString:
        return show.badge(obj.state)

    @display(description="Older")
    def older_whole(self, obj: MemoryDuplicate) -> SafeString:
        return show.long_text(obj.older.text)

    @display(description="Newer")
    def newer_whole(self, obj: MemoryDuplicate) -> SafeString:
        return show.long_text(obj.newer.text)

    @display(description="Older: which")
    def older_from(self, obj: MemoryDuplicate) -> SafeString:
        return _link(obj.older)

    @display(description="Newer: which")
    def newer_from(self, obj: MemoryDuplicate) -> SafeString:
        return _link(obj.newer)

    @display(description="Decided", ordering="decided_at")
    def decided(self, obj: MemoryDuplicate) -> SafeString:
        return show.when(obj.decided_at)


def _link(memory: Memory) -> SafeString:
    label = f"{memory.get_kind_display()}, {memory.state}, {memory.recorded_at:%Y-%m-%d %H:%M}"
    return show.link(show.change_url("memory.memory", memory.pk) or "", label)
