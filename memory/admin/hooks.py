"""What hooks have sent: to look at, and to map again. Transcripts: how far each file was taken."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    DropdownFilter,
)
from unfold.decorators import display

from config.lib.actor import Actor
from config.lib.admin import show
from contacts.admin.actions import RowAction
from contacts.admin.base import ReadOnlyAdmin
from contacts.admin.filters import DaysFilter
from contacts.models.workspace import Role
from memory.hooks.dialects import DIALECTS
from memory.models import HookPayload, Transcript
from memory.models.hooks import PayloadState
from memory.selectors_hooks import LEFT
from memory.services.hooks import map_again

STATES = {
    PayloadState.WAITING: "grey",
    PayloadState.MAPPED: "green",
    PayloadState.UNMAPPED: "amber",
    PayloadState.FAILED: "red",
}
NEVER_LISTED = ("payload", "raw", "answer")


def _map_again(*, actor: Actor, row: HookPayload, reason: str) -> HookPayload:
    return map_again(row=row)


class DialectFilter(DropdownFilter):
    title = "agent"
    parameter_name = "dialect"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in DIALECTS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(dialect=self.value()) if self.value() else queryset


@admin.register(HookPayload)
class HookPayloadAdmin(ReadOnlyAdmin):
    when_empty = "Agents' hooks stand here as they came, secrets taken out."
    list_display = ("happening", "dialect", "state_badge", "beginning", "repeats", "made")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        DialectFilter,
        ("agent", AutocompleteSelectFilter),
        ("created_at", DaysFilter),
    )
    list_defer = NEVER_LISTED
    search_fields = ("event", "reason", "session_name")
    search_help_text = "Event, reason or the agent's session"
    ordering = ("-created_at", "-id")
    change_form_outer_before_template = "admin/includes/conflict.html"
    fields = readonly_fields = (
        "happening", "state_badge", "said_why", "holds", "answered", "dialect", "session_name",
        "session", "agent", "host", "attempts", "repeats", "made", "happened", "claimed", "ids",
    )  # fmt: skip
    row_actions = (
        RowAction("map", "Map again", "Mapped again: its state says what came of it.",
                  "replay", Role.OPERATOR, _map_again, bulk=False, tone="primary",
                  open_to=lambda row: row.state in LEFT),
    )  # fmt: skip

    @display(description="Event", ordering="event")
    def happening(self, obj: HookPayload) -> SafeString:
        return show.preview(obj.event or "(no event)")

    @display(description="State", ordering="state")
    def state_badge(self, obj: HookPayload) -> SafeString:
        return show.badge(obj.state, tone=STATES[PayloadState(obj.state)])

    @display(description="Why")
    def beginning(self, obj: HookPayload) -> SafeString:
        return show.preview(obj.reason)

    @display(description="Why")
    def said_why(self, obj: HookPayload) -> SafeString:
        return show.long_text(obj.reason)

    @display(description="Payload")
    def holds(self, obj: HookPayload) -> SafeString:
        return show.long_text(obj.raw) if obj.raw else show.json_block(obj.payload)

    @display(description="Answered with")
    def answered(self, obj: HookPayload) -> SafeString:
        return show.json_block(obj.answer)

    @display(description="Happened")
    def happened(self, obj: HookPayload) -> SafeString:
        return show.when(obj.occurred_at)

    @display(description="Happened, by the sender's clock")
    def claimed(self, obj: HookPayload) -> SafeString:
        return show.when(obj.claimed_at)


@admin.register(Transcript)
class TranscriptAdmin(ReadOnlyAdmin):
    when_empty = "Transcripts that hooks bring piece by piece stand here."
    list_display = ("file_name", "dialect", "session_name", "here", "missing", "made")
    list_filter = (("created_at", DaysFilter),)
    search_fields = ("file", "session_name")
    search_help_text = "File or the agent's session"
    ordering = ("-id",)
    fields = readonly_fields = (
        "file_name", "dialect", "session_name", "subagent", "session", "here", "missing",
        "generation", "made", "grown", "ids",
    )  # fmt: skip

    @display(description="File", ordering="file")
    def file_name(self, obj: Transcript) -> SafeString:
        return show.preview(obj.file)

    @display(description="Taken")
    def here(self, obj: Transcript) -> str:
        waits = f" of {obj.seen:,}" if obj.seen > obj.taken else ""
        return f"{obj.taken:,}{waits} bytes"

    @display(description="Skipped")
    def missing(self, obj: Transcript) -> str:
        return ", ".join(f"{start:,} to {end:,}" for start, end in obj.gaps) or show.EMPTY

    @display(description="Grew")
    def grown(self, obj: Transcript) -> SafeString:
        return show.when(obj.updated_at)
