"""Consolidations: what each run told, let go on, taken back."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.actions import RowAction
from contacts.admin.base import ReadOnlyAdmin
from contacts.models.workspace import Role
from memory.models import ConsolidationRun
from memory.models.consolidation import ConsolidationState
from memory.services import consolidation

TONES = {
    ConsolidationState.RUNNING: "blue",
    ConsolidationState.HELD: "amber",
    ConsolidationState.DONE: "green",
    ConsolidationState.DISMISSED: "grey",
    ConsolidationState.REVERTED: "violet",
}


def _release(*, actor: Any, row: ConsolidationRun, reason: str) -> None:
    consolidation.release(actor=actor, run_id=row.pk, reason=reason)


def _dismiss(*, actor: Any, row: ConsolidationRun, reason: str) -> None:
    consolidation.dismiss(actor=actor, run_id=row.pk, reason=reason)


def _revert(*, actor: Any, row: ConsolidationRun, reason: str) -> None:
    consolidation.revert(actor=actor, run_id=row.pk, reason=reason)


def _is_held(row: ConsolidationRun) -> bool:
    return row.state == ConsolidationState.HELD


@admin.register(ConsolidationRun)
class ConsolidationRunAdmin(ReadOnlyAdmin):
    when_empty = (
        "A run turns the episodes of closed sessions and of days into narratives. The job "
        "makes one where this workspace's settings ask for it, and so does manage.py "
        "consolidate."
    )
    list_display = ("began", "state_badge", "figures", "archives", "actor_label")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_defer = ("groups", "reverted", "metadata")
    ordering = ("-created_at", "-id")
    change_form_outer_before_template = "admin/includes/buttons.html"
    fields = readonly_fields = (
        "state_badge", "held", "figures", "archives", "narratives", "taken_back", "method",
        "actor_label", "began", "ended", "ids",
    )  # fmt: skip
    row_actions = (
        RowAction("release", "Let it go on", "It goes on.", "play_arrow", Role.OPERATOR, _release,
                  open_to=_is_held, tone="primary", bulk=False),
        RowAction("dismiss", "Dismiss", "Nothing was done.", "block", Role.OPERATOR, _dismiss,
                  open_to=_is_held, bulk=False),
        RowAction("revert", "Take it back", "It was taken back.", "undo", Role.OPERATOR, _revert,
                  open_to=lambda row: row.state == ConsolidationState.DONE, tone="danger",
                  bulk=False, confirm="Its narratives are deleted; its sources are as they were."),
    )  # fmt: skip

    @display(description="State", ordering="state")
    def state_badge(self, obj: ConsolidationRun) -> SafeString:
        return show.badge(obj.state, tone=TONES[ConsolidationState(obj.state)])

    @display(description="Report")
    def figures(self, obj: ConsolidationRun) -> str:
        return f"{obj.read:,} read, {obj.made:,} made, {obj.changed:,} changed"

    @display(description="Archives")
    def archives(self, obj: ConsolidationRun) -> str:
        return f"{obj.would_hide:,} of {obj.of:,} in use" if obj.hides else "nothing"

    @display(description="Narratives")
    def narratives(self, obj: ConsolidationRun) -> SafeString:
        told = obj.groups if isinstance(obj.groups, list) else []
        made = [group for group in told if isinstance(group, dict) and "memory" in group][:50]
        links = [
            show.link(show.change_url("memory.memory", one["memory"]) or "", str(one.get("title")))
            for one in made
        ]
        return format_html_join(", ", "{}", ((one,) for one in links))

    @display(description="Taken back")
    def taken_back(self, obj: ConsolidationRun) -> str:
        told = obj.reverted if isinstance(obj.reverted, dict) else {}
        if not told:
            return show.EMPTY
        removed, reverted, kept = (_count(told.get(n)) for n in ("removed", "reverted", "kept"))
        return (
            f"{removed:,} narratives removed, {reverted:,} sources as they were, {kept:,} "
            "narratives kept because they were changed since"
        )

    @display(description="Began", ordering="created_at")
    def began(self, obj: ConsolidationRun) -> SafeString:
        return show.when(obj.started_at)

    @display(description="Ended")
    def ended(self, obj: ConsolidationRun) -> SafeString:
        return show.when(obj.ended_at)


def _count(value: Any) -> int:
    """A number, or how many there are in a list; what is stored may be anything."""
    return value if isinstance(value, int) else len(value) if isinstance(value, list) else 0
