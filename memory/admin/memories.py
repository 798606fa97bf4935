"""Memories: the list, and one with where it came from, what it rests on and hangs together with."""

import unicodedata
import uuid
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    DropdownFilter,
    MultipleChoicesDropdownFilter,
    RangeNumericFilter,
    TextFilter,
)
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.access import actor_of, allows
from contacts.admin.actions import PageLink, RowAction, erase_links
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import RowForm, posted_reason
from contacts.models.erasure import ErasureKind
from contacts.models.workspace import Role
from memory.admin.about import AboutInline
from memory.admin.reading import memory_tabs, reading_url
from memory.models import Memory
from memory.models.memory import MODEL_METHOD, MemoryState
from memory.services.lessons import METHOD
from memory.services.memories import NewMemory, create_memory, delete_memory, update_memory
from memory.services.review import approve_memory, reject_memory

PREVIEW = 240
# What a reviewer decides; the rest is an operator's to edit.
REVIEWED = frozenset({"state", "trust"})
# What follows from an action and is never set by hand.
NOT_SET = (MemoryState.ERASED, MemoryState.SUPERSEDED)


def _quarantine(*, actor: Any, row: Memory, reason: str) -> Memory:
    changes = {"state": MemoryState.QUARANTINED}
    return update_memory(actor=actor, memory_id=row.pk, changes=changes, reason=reason)


def _approve(*, actor: Any, row: Memory, reason: str) -> Memory:
    return approve_memory(actor=actor, memory_id=row.pk, reason=reason)


def _archive(*, actor: Any, row: Memory, reason: str) -> Memory:
    return reject_memory(actor=actor, memory_id=row.pk, reason=reason)


class TagFilter(TextFilter):
    """Memories with a tag, word for word."""

    title = "tag"
    parameter_name = "tag"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        tag = _typed(self.value())
        return queryset.filter(tags__contains=[tag]) if tag else queryset


class SourceFilter(TextFilter):
    """By the method that made them, or the system they were taken from; its beginning is enough."""

    title = "source or method"
    parameter_name = "source"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        words = _typed(self.value())
        begun = Q(method__istartswith=words) | Q(source__istartswith=words)
        return queryset.filter(begun) if words else queryset


def _typed(value: Any) -> str:
    """As tags are stored; see services/memories.py."""
    return unicodedata.normalize("NFC", str(value or "")).replace("\x00", "").strip()


class ProvenanceFilter(DropdownFilter):
    """What nobody saved: found by rules, or proposed by a model (docs/extraction.md)."""

    title = "extraction"
    parameter_name = "extraction"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("rule", "extracted by a rule"), ("model", "proposed by a model")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        started = {"rule": METHOD, "model": MODEL_METHOD}.get(self.value() or "")
        return queryset.filter(method__startswith=started) if started else queryset


def is_open(row: Memory) -> bool:
    return row.state not in NOT_SET


def is_list(request: HttpRequest) -> bool:
    found = request.resolver_match
    return found is not None and str(found.url_name).endswith("_changelist")


@admin.register(Memory)
class MemoryAdmin(WorkspaceAdmin):
    when_empty = "Memories come from agents, from their sessions, from imports, and by hand."
    change_role = Role.REVIEWER
    decided = REVIEWED
    list_display = ("heading", "kind_name", "state_badge", "trust_badge", "sureness", "source_of",
                    "recorded")  # fmt: skip
    list_filter = (
        ("state", MultipleChoicesDropdownFilter),
        ("kind", MultipleChoicesDropdownFilter),
        ("trust", ChoicesDropdownFilter),
        ProvenanceFilter,
        SourceFilter,
        TagFilter,
        ("confidence", RangeNumericFilter),
        ("agent", AutocompleteSelectFilter),
        ("project", AutocompleteSelectFilter),
        ("session", AutocompleteSelectFilter),
        ("recorded_at", DaysFilter),
    )
    list_select_related = ("agent", "project")
    list_defer = (
        "text", "data", "metadata", "affect", "signature", "agent__metadata",
        "project__description", "project__docs", "project__features", "project__data",
        "project__metadata",
    )  # fmt: skip
    list_annotate = {"beginning": Left("text", PREVIEW)}
    search_fields = ("text",)
    search_help_text = "Words of the memory, best first; a part of a word in the newest; or its id"
    ordering = ("-recorded_at", "-id")
    inlines = (AboutInline,)
    change_form_outer_before_template = "admin/memory/top.html"
    readonly_fields = (
        "state_badge", "trust_badge", "by", "agent", "recorded", "used", "superseded", "feeling",
        "made", "changed", "ids", "known_as",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": ("text", ("kind", "confidence"), ("state", "trust"), "tags")}),
        ("Where it comes from", {"fields": (("agent", "by"), ("session", "project"),
                                            ("recorded", "known_as"))}),
        folded("When it holds", "valid_from", "valid_to", "expires_at", "superseded"),
        folded("Weight", ("salience", "pinned"), ("used", "feeling")),
        folded("More", "data", "metadata", ("made", "changed"), "ids"),
    )  # fmt: skip
    add_fieldsets = (
        (None, {"fields": ("text", ("kind", "confidence"), "trust", "tags")}),
        ("Where it comes from", {"fields": (("session", "project"),)}),
    )
    row_actions = (
        RowAction("approve", "Approve", "Approved: the memory is in use.", "check_circle",
                  Role.REVIEWER, _approve, tone="primary",
                  open_to=lambda row: is_open(row) and row.state != MemoryState.ACTIVE),
        RowAction("reject", "Reject", "Rejected: it is archived and not proposed again.", "block",
                  Role.REVIEWER, _archive,
                  open_to=lambda row: row.state == MemoryState.QUARANTINED),
        RowAction("quarantine", "Quarantine", "The memory waits for review.", "front_hand",
                  Role.REVIEWER, _quarantine,
                  open_to=lambda row: is_open(row) and row.state != MemoryState.QUARANTINED),
        RowAction("archive", "Archive", "The memory is archived.", "archive",
                  Role.REVIEWER, _archive,
                  open_to=lambda row: row.state == MemoryState.ACTIVE),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the rows that a memory's page names; the list's own columns say which it reads."""
        rows = super().get_queryset(request)
        return rows if is_list(request) else rows.select_related("agent", "superseded_by")

    def get_urls(self) -> list[URLPattern]:
        return [reading_url(self), *super().get_urls()]

    def url_of(self, obj: Memory) -> str:
        return reverse("admin:memory_memory_read", args=[obj.pk])

    def page_context(
        self, request: HttpRequest, object_id: str | None, context: dict[str, Any]
    ) -> dict[str, Any]:
        context = super().page_context(request, object_id, context)
        if "buttons" not in context:
            return context
        return {**context, **memory_tabs(uuid.UUID(unquote(str(object_id))), "change")}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A reviewer decides on state and trust and edits nothing else."""
        fixed = list(self.readonly_fields)
        if obj is not None and not is_open(obj):
            fixed += [name for name in _form_fields(self.fieldsets) if name not in fixed]
        elif not allows(request, Role.OPERATOR):
            fixed += [
                name
                for name in _form_fields(self.fieldsets)
                if name not in fixed and name not in REVIEWED
            ]
        return tuple(fixed)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "state":
            kwargs["choices"] = [c for c in MemoryState.choices if c[0] not in NOT_SET]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def create_row(self, request: HttpRequest, obj: Memory, form: RowForm) -> Memory:
        names = ("kind", "confidence", "trust", "tags", "session_id", "project_id")
        fields = {name: getattr(obj, name) for name in names}
        memory, _ = create_memory(
            actor=actor_of(request), new=NewMemory(text=obj.text, fields=fields)
        )
        return memory

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Memory:
        return update_memory(
            actor=actor_of(request),
            memory_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Memory) -> None:
        delete_memory(actor=actor_of(request), memory_id=obj.pk, reason=posted_reason(request))

    # --- Columns ------------------------------------------------------------------------------

    def row_links(self, request: HttpRequest, row: Any) -> list[PageLink]:
        return erase_links(request, ErasureKind.MEMORY, row)

    @display(description="Memory")
    def heading(self, obj: Memory) -> SafeString:
        return show.include(
            "admin/memory/includes/heading.html",
            text=" ".join(getattr(obj, "beginning", "").split()),
            tags=obj.tags[:6],
            pinned=obj.pinned,
        )

    @display(description="Kind", ordering="kind")
    def kind_name(self, obj: Memory) -> str:
        return obj.get_kind_display()

    @display(description="State", ordering="state")
    def state_badge(self, obj: Memory) -> SafeString:
        return show.badge(obj.state)

    @display(description="Trust", ordering="trust")
    def trust_badge(self, obj: Memory) -> SafeString:
        return show.badge(obj.trust)

    @display(description="Confidence", ordering="confidence")
    def sureness(self, obj: Memory) -> SafeString:
        percent = round(obj.confidence * 100)
        return show.include("admin/memory/includes/meter.html", percent=percent)

    @display(description="From")
    def source_of(self, obj: Memory) -> SafeString:
        return show.include("admin/memory/includes/source.html", memory=obj)

    @display(description="Recorded", ordering="recorded_at")
    def recorded(self, obj: Memory) -> SafeString:
        return show.when(obj.recorded_at)

    @display(description="Made by")
    def by(self, obj: Memory) -> str:
        return " · ".join(part for part in (obj.actor, obj.method) if part) or show.EMPTY

    @display(description="Recalled")
    def used(self, obj: Memory) -> SafeString:
        return show.include("admin/memory/includes/used.html", memory=obj)

    @display(description="Replaced by")
    def superseded(self, obj: Memory) -> SafeString | str:
        if obj.superseded_by_id is None:
            return show.EMPTY
        url = show.change_url("memory.memory", obj.superseded_by_id)
        return show.link(url or "", str(obj.superseded_by))

    @display(description="Affect")
    def feeling(self, obj: Memory) -> SafeString:
        return show.json_block(obj.affect)

    @display(description="Known elsewhere as")
    def known_as(self, obj: Memory) -> str:
        return f"{obj.source} {obj.external_id}".strip() or show.EMPTY


def _form_fields(fieldsets: Any) -> list[str]:
    """The names in fieldsets, rows of several included."""
    found: list[str] = []
    for _, options in fieldsets:
        for entry in options["fields"]:
            found += [entry] if isinstance(entry, str) else list(entry)
    return found
