"""Sessions: the list operators live in, and the editable details of one.

Reading a session (conversation, events, raw lines) is in pages.py.
"""

from typing import Any

from django.contrib import admin
from django.db.models.functions import Left
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
)
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.access import actor_of
from contacts.admin.actions import PageLink, RowAction, erase_links, unlearn_links
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import RowForm, posted_reason
from contacts.models.erasure import ErasureKind
from contacts.models.workspace import Role
from sessions.admin.conversation import beginning, one_line
from sessions.admin.filters import (
    CostKnownFilter,
    ErrorsFilter,
    MemoryTagFilter,
    MinutesFilter,
    NumberFilter,
)
from sessions.admin.frame import frame
from sessions.admin.grouping import SessionChangeList
from sessions.admin.pages import session_urls
from sessions.models import Session
from sessions.models.session import Mode
from sessions.services.orphans import ORPHANED
from sessions.services.sessions import (
    create_session,
    delete_session,
    end_session,
    resume_session,
    update_session,
)

# A list row's title; a prompt can be a megabyte.
TITLE = 160


@admin.register(Session)
class SessionAdmin(WorkspaceAdmin):
    class Media:
        css = {"all": ("remembrancer/sessions.css",)}

    when_empty = "Agents' sessions come by their hooks, over REST and MCP, and from imports."
    list_display = (
        "heading", "agent_link", "state", "length", "work", "tokens", "place",
    )  # fmt: skip
    list_filter = (
        ("agent", AutocompleteSelectFilter),
        ("project", AutocompleteSelectFilter),
        ("current_state", ChoicesDropdownFilter),
        ("outcome", ChoicesDropdownFilter),
        ("mode", ChoicesDropdownFilter),
        ("role", FieldTextFilter),
        ("host", FieldTextFilter),
        ("branch", FieldTextFilter),
        ("started_at", DaysFilter),
        MinutesFilter,
        ("message_count", NumberFilter),
        ("tool_count", NumberFilter),
        ErrorsFilter,
        ("output_tokens", NumberFilter),
        ("cost_usd", NumberFilter),
        CostKnownFilter,
        MemoryTagFilter,
    )
    list_before_template = "admin/agent_sessions/grouping.html"
    list_select_related = ("agent", "project")
    list_defer = (
        "prompt", "context", "metadata", "summary", "summary_data", "agent__metadata",
        "project__description", "project__docs", "project__features", "project__data",
        "project__metadata",
    )  # fmt: skip
    list_annotate = {"asked": Left("prompt", TITLE)}
    search_fields = ("name", "prompt", "status_text")
    search_help_text = "Words said in it, a part of its name or status, or its id"
    ordering = ("-started_at", "-id")
    change_form_outer_before_template = "admin/agent_sessions/details_top.html"
    readonly_fields = (
        "agent", "first_prompt", "state", "work", "tokens", "cost", "began", "seen", "ended",
        "made", "changed", "ids", "native", "summary_parts", "context_shown",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": ("name", ("agent", "project"), ("role", "mode"), ("outcome", "parent"))}),
        ("What happened", {"fields": ("first_prompt", "summary", "summary_parts")}),
        ("Figures", {"fields": (("state", "work"), ("tokens", "cost"), ("began", "seen"),
                                "ended")}),
        folded("Where", ("host", "repo_root"), ("tmux_window", "tmux_pane")),
        folded("Identity", "conversation_id", "claude_session_id", "native", "ids"),
        folded("More", "context_shown", "metadata", ("made", "changed")),
    )  # fmt: skip
    row_actions = (
        RowAction(
            name="end",
            label="End session",
            done="The session is ended.",
            icon="stop_circle",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: end_session(
                actor=actor, session_id=row.pk, reason="ended by an operator"
            ),
            # An orphan's end is our guess until an operator confirms it.
            open_to=lambda row: row.ended_at is None or row.end_reason == ORPHANED,
        ),
        RowAction(
            name="resume",
            label="Open again",
            done="The session is open again.",
            icon="play_circle",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: resume_session(actor=actor, session_id=row.pk),
            open_to=lambda row: row.ended_at is not None,
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        return [*session_urls(self), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SessionChangeList]:
        return SessionChangeList

    def url_of(self, obj: Session) -> str:
        return reverse("admin:agent_sessions_session_conversation", args=[obj.pk])

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A new session names its agent; afterwards the agent is what happened."""
        if obj is not None:
            return self.readonly_fields
        return tuple(name for name in self.readonly_fields if name != "agent")

    add_fieldsets = (
        (None, {"fields": ("name", ("agent", "project"), ("role", "mode"), "parent", "prompt")}),
    )

    def page_context(
        self, request: HttpRequest, object_id: str | None, context: dict[str, Any]
    ) -> dict[str, Any]:
        """The details page has the header and tabs of the session's other pages."""
        row = self.get_object(request, object_id) if object_id else None
        if row is None:
            return context
        extra = frame(self, request, row, "details")
        keep = ("session", "tabs", "tab", "history_url", "buttons")
        return {**context, **{name: extra[name] for name in keep}}

    def create_row(self, request: HttpRequest, obj: Session, form: RowForm) -> Session:
        names = ("name", "role", "mode", "parent_id", "prompt")
        fields = {name: getattr(obj, name) for name in names if getattr(obj, name)}
        session, _ = create_session(
            actor=actor_of(request), agent=obj.agent, project=obj.project_id, **fields
        )
        return session

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Session:
        return update_session(
            actor=actor_of(request),
            session_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Session) -> None:
        delete_session(actor=actor_of(request), session_id=obj.pk, reason=posted_reason(request))

    # --- Columns ------------------------------------------------------------------------------

    def row_links(self, request: HttpRequest, row: Any) -> list[PageLink]:
        return [
            *unlearn_links(request, "session", row),
            *erase_links(request, ErasureKind.SESSION, row),
        ]

    @display(description="Session", ordering="name")
    def heading(self, obj: Session) -> SafeString:
        asked = beginning(getattr(obj, "asked", ""))
        mode = "" if obj.mode == Mode.INTERACTIVE else obj.get_mode_display().lower()
        shown = asked if obj.name and not asked.startswith(obj.name) else ""
        return show.include(
            "admin/agent_sessions/includes/session.html",
            title=obj.name or asked or f"Session {obj.short_id}",
            detail=" · ".join(part for part in (obj.role, mode, shown) if part),
            said=one_line(getattr(obj, "said", "")),
        )

    @display(description="Agent, project", ordering="agent__name")
    def agent_link(self, obj: Session) -> SafeString:
        return show.include("admin/agent_sessions/includes/agent.html", session=obj)

    @display(description="State", ordering="current_state")
    def state(self, obj: Session) -> SafeString:
        return show.include("admin/agent_sessions/includes/state.html", session=obj)

    @display(description="Last activity", ordering="last_seen_at")
    def length(self, obj: Session) -> SafeString:
        return show.include("admin/agent_sessions/includes/length.html", session=obj)

    @display(description="Messages", ordering="message_count")
    def work(self, obj: Session) -> SafeString:
        return show.include("admin/agent_sessions/includes/work.html", session=obj)

    @display(description="Tokens, cost", ordering="output_tokens")
    def tokens(self, obj: Session) -> SafeString:
        return show.include("admin/agent_sessions/includes/tokens.html", session=obj)

    @display(description="Where", ordering="host")
    def place(self, obj: Session) -> SafeString:
        return show.include("admin/agent_sessions/includes/place.html", session=obj)

    @display(description="Last activity", ordering="last_seen_at")
    def seen(self, obj: Session) -> SafeString:
        return show.when(obj.last_seen_at)

    @display(description="Started")
    def began(self, obj: Session) -> SafeString:
        return show.when(obj.started_at)

    @display(description="Ended")
    def ended(self, obj: Session) -> SafeString:
        return show.include("admin/agent_sessions/includes/ended.html", session=obj)

    @display(description="Cost")
    def cost(self, obj: Session) -> str:
        return show.EMPTY if obj.cost_usd is None else f"${obj.cost_usd:,.2f}"

    @display(description="First prompt")
    def first_prompt(self, obj: Session) -> SafeString:
        return show.long_text(obj.prompt)

    @display(description="Known elsewhere as")
    def native(self, obj: Session) -> str:
        return f"{obj.source} {obj.external_id}".strip() or show.EMPTY

    @display(description="Key points")
    def summary_parts(self, obj: Session) -> SafeString:
        return show.json_block(obj.summary_data)

    @display(description="Context")
    def context_shown(self, obj: Session) -> SafeString:
        return show.json_block(obj.context)
