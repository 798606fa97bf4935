"""Staged content: the board as the person sees it, and the list of all in the board's order."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    DropdownFilter,
    FieldTextFilter,
)
from unfold.decorators import display

from config.lib import clock
from config.lib.admin import show
from contacts.admin.access import actor_of, allows, page_of
from contacts.admin.actions import PageLink, RowAction
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import RowForm, posted_reason
from contacts.models.workspace import Role
from sessions.admin.markdown import render
from sessions.models import StagedContent
from sessions.selectors_staged import list_board
from sessions.services.staged_content import (
    delete_staged,
    dismiss_staged,
    restore_staged,
    stage_content,
    update_staged,
)

BEGINNING = 160
# Cards on the board, and what of a text stands on one before its own page is the better place.
ON_BOARD, SHOWN = 24, 4000


class BoardFilter(DropdownFilter):
    """The board itself where nothing is chosen."""

    title = "shown"
    parameter_name = "shown"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("dismissed", "Dismissed"), ("all", "Everything")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        return queryset.filter(dismissed_at__isnull=self.value() != "dismissed")


def _pin(pinned: bool) -> Any:
    def run(*, actor: Any, row: StagedContent, reason: str) -> StagedContent:
        return update_staged(
            actor=actor, staged_id=row.pk, changes={"pinned": pinned}, reason=reason
        )

    return run


@admin.register(StagedContent)
class StagedContentAdmin(WorkspaceAdmin):
    when_empty = "Agents put drafts, plans and findings before a person here."
    list_display = ("heading", "content_type", "state", "position", "expires", "made")
    list_filter = (
        BoardFilter,
        ("content_type", FieldTextFilter),
        ("pinned", BooleanRadioFilter),
        ("session", AutocompleteSelectFilter),
        ("conversation_id", FieldTextFilter),
        ("created_at", DaysFilter),
    )
    list_defer = ("body", "payload", "metadata")
    list_annotate = {"beginning": Left("body", BEGINNING)}
    search_fields = ("title", "body")
    search_help_text = "Title or text"
    ordering = ("-pinned", "-position", "-id")
    list_before_template = "admin/includes/links.html"
    readonly_fields = ("state", "position", "content_type", "session", "conversation_id",
                       "known_as", "made", "changed", "ids")  # fmt: skip
    fieldsets = (
        (None, {"fields": ("title", "body", ("pinned", "expires_at"), ("state", "position"))}),
        ("Where it comes from", {"fields": (("content_type", "session"), "conversation_id")}),
        folded("More", "payload", "metadata", "known_as", ("made", "changed"), "ids"),
    )
    add_fieldsets = (
        (None, {"fields": ("content_type", "title", "body", ("pinned", "expires_at"))}),
    )
    row_actions = (
        RowAction("dismiss", "Dismiss", "It is off the board.", "close", Role.REVIEWER,
                  lambda *, actor, row, reason: dismiss_staged(
                      actor=actor, staged_id=row.pk, reason=reason),
                  open_to=lambda row: row.dismissed_at is None, undone_by="restore"),
        RowAction("restore", "Put back", "It is on the board again.", "undo", Role.REVIEWER,
                  lambda *, actor, row, reason: restore_staged(
                      actor=actor, staged_id=row.pk, reason=reason),
                  open_to=lambda row: row.dismissed_at is not None, undone_by="dismiss"),
        RowAction("pin", "Pin", "It is pinned.", "keep", Role.REVIEWER, _pin(True),
                  open_to=lambda row: not row.pinned),
        RowAction("unpin", "Unpin", "It is not pinned any more.", "keep_off", Role.REVIEWER,
                  _pin(False), open_to=lambda row: row.pinned),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        view = page_of(self, StagedContentAdmin.board_view)
        return [
            path("board/", view, name="agent_sessions_stagedcontent_board"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        board = reverse("admin:agent_sessions_stagedcontent_board")
        context = {"page_links": [PageLink("Board", board, "dashboard")], **(extra_context or {})}
        return super().changelist_view(request, context)

    def board_view(self, request: HttpRequest) -> HttpResponse:
        """What is staged, its text as Markdown, the pinned first. Index stagedcontent_board."""
        rows = list_board({}).order_by("-pinned", "-position", "-id")
        found = list(rows.annotate(shown=Left("body", SHOWN + 1))[: ON_BOARD + 1])
        for row in found:
            row["html"] = render(row["shown"][:SHOWN])
            row["cut"] = len(row["shown"]) > SHOWN
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Board",
            "pinned": [row for row in found[:ON_BOARD] if row["pinned"]],
            "others": [row for row in found[:ON_BOARD] if not row["pinned"]],
            "more": len(found) > ON_BOARD,
            "may_act": allows(request, Role.REVIEWER),
            "may_add": self.has_add_permission(request),
        }
        return TemplateResponse(request, "admin/agent_sessions/staged.html", context)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is not None:
            return self.readonly_fields
        return tuple(name for name in self.readonly_fields if name != "content_type")

    def create_row(self, request: HttpRequest, obj: StagedContent, form: RowForm) -> StagedContent:
        row, _ = stage_content(
            actor=actor_of(request),
            content_type=obj.content_type,
            title=obj.title,
            body=obj.body,
            pinned=obj.pinned,
            expires_at=obj.expires_at,
        )
        return row

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> StagedContent:
        return update_staged(
            actor=actor_of(request),
            staged_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: StagedContent) -> None:
        delete_staged(actor=actor_of(request), staged_id=obj.pk, reason=posted_reason(request))

    @display(description="Content")
    def heading(self, obj: StagedContent) -> SafeString:
        text = " ".join(getattr(obj, "beginning", "").split())
        return show.preview(obj.title or text or obj.content_type)

    @display(description="State")
    def state(self, obj: StagedContent) -> SafeString:
        if obj.dismissed_at is not None:
            return show.badge("dismissed")
        if obj.expires_at is not None and obj.expires_at <= clock.now():
            return show.badge("expired")
        return show.badge("pinned", tone="violet") if obj.pinned else show.badge("open")

    @display(description="Expires")
    def expires(self, obj: StagedContent) -> SafeString:
        return show.when(obj.expires_at)

    @display(description="Known elsewhere as")
    def known_as(self, obj: StagedContent) -> str:
        return f"{obj.source} {obj.external_id}".strip() or show.EMPTY
