"""Handoffs: who left what to whom, and what became of it."""

from typing import Any

from django.contrib import admin
from django.db.models.functions import Left
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
)
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.actions import RowAction
from contacts.admin.base import ReadOnlyAdmin
from contacts.admin.filters import DaysFilter
from contacts.models.workspace import Role
from sessions.admin.markdown import render
from sessions.models import Handoff, Session
from sessions.models.attention import HandoffStatus
from sessions.services.handoffs import fail_handoff, may_become, reject_handoff

PREVIEW = 160


def _fail(*, actor: Any, row: Handoff, reason: str) -> None:
    fail_handoff(actor=actor, handoff_id=row.pk, error=reason)


def _reject(*, actor: Any, row: Handoff, reason: str) -> None:
    reject_handoff(actor=actor, handoff_id=row.pk, error=reason)


@admin.register(Handoff)
class HandoffAdmin(ReadOnlyAdmin):
    """Sessions hand over and accept; a person may only end what nobody takes."""

    when_empty = "A session that ends before its work does leaves it to the next one here."
    list_display = ("heading", "status_badge", "from_link", "to_link", "addressee", "made")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("to_agent", AutocompleteSelectFilter),
        ("conversation_id", FieldTextFilter),
        ("created_at", DaysFilter),
    )
    list_select_related = ("from_session", "to_session", "to_agent")
    list_defer = (
        "content", "error", "metadata", "to_agent__metadata",
        *(
            f"{end}__{name}"
            for end in ("from_session", "to_session")
            for name in ("prompt", "context", "summary", "summary_data", "metadata")
        ),
    )  # fmt: skip
    list_annotate = {"beginning": Left("content", PREVIEW)}
    search_fields = ("reason", "conversation_id")
    search_help_text = "Reason or conversation"
    ordering = ("-created_at", "-id")
    fields = readonly_fields = (
        "status_badge", "reason", "from_link", "to_link", "addressee", "conversation_id", "mode",
        "text", "error", "settled", "made", "changed", "more", "ids",
    )  # fmt: skip
    change_form_outer_before_template = "admin/includes/buttons.html"
    row_actions = (
        RowAction(
            name="reject", label="Reject", done="The handoff is rejected.", icon="block",
            role=Role.OPERATOR, run=_reject,
            open_to=lambda row: may_become(row, HandoffStatus.REJECTED),
        ),
        RowAction(
            name="fail", label="Mark as failed", done="The handoff has failed.", icon="error",
            role=Role.OPERATOR, run=_fail,
            open_to=lambda row: may_become(row, HandoffStatus.FAILED),
        ),
    )  # fmt: skip

    @display(description="Handoff", ordering="reason")
    def heading(self, obj: Handoff) -> SafeString:
        return show.preview(obj.reason or getattr(obj, "beginning", "") or obj.short_id)

    @display(description="Status", ordering="status")
    def status_badge(self, obj: Handoff) -> SafeString:
        return show.badge(obj.status)

    @display(description="From")
    def from_link(self, obj: Handoff) -> SafeString | str:
        return _link(obj.from_session)

    @display(description="Accepted by")
    def to_link(self, obj: Handoff) -> SafeString | str:
        return _link(obj.to_session)

    @display(description="For")
    def addressee(self, obj: Handoff) -> str:
        agent = obj.to_agent.name if obj.to_agent is not None else ""
        return " · ".join(part for part in (agent, obj.role) if part) or show.EMPTY

    @display(description="Content")
    def text(self, obj: Handoff) -> SafeString:
        return show.include("admin/includes/markdown.html", html=render(obj.content))

    @display(description="Settled")
    def settled(self, obj: Handoff) -> SafeString:
        return show.when(obj.settled_at)

    @display(description="Metadata")
    def more(self, obj: Handoff) -> SafeString:
        return show.json_block(obj.metadata)


def _link(session: Session | None) -> SafeString | str:
    if session is None:
        return show.EMPTY
    url = reverse("admin:agent_sessions_session_conversation", args=[session.pk])
    return show.link(url, session.name or f"Session {session.short_id}")
