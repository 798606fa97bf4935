"""Priorities: all of them, newest day first. Their lists by day and pool are days.py."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter, RangeDateFilter
from unfold.decorators import display

from config.lib.actor import Actor
from config.lib.admin import show
from config.lib.errors import DomainError, NotFound
from contacts.admin.access import actor_of, require_role
from contacts.admin.actions import PageLink, RowAction, posted_next
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.filters import HiddenFilter
from contacts.admin.forms import RowForm, normal, posted_reason
from contacts.models.workspace import Role
from contacts.selectors import today
from sessions.admin.days import URGENCY, days_urls
from sessions.models import Priority
from sessions.services.priorities import (
    complete_priority,
    create_priority,
    delete_priority,
    move_priority,
    reopen_priority,
    update_priority,
)


def _complete(*, actor: Actor, row: Priority, reason: str) -> Priority:
    return complete_priority(actor=actor, priority_id=row.pk, reason=reason)


def _reopen(*, actor: Actor, row: Priority, reason: str) -> Priority:
    return reopen_priority(actor=actor, priority_id=row.pk, reason=reason)


def _today(*, actor: Actor, row: Priority, reason: str) -> Priority:
    changes = {"date": today()}
    return update_priority(actor=actor, priority_id=row.pk, changes=changes, reason=reason)


def _to_top(*, actor: Actor, row: Priority, reason: str) -> Priority:
    return move_priority(actor=actor, priority_id=row.pk, place="top")


def _posted_id(request: HttpRequest, name: str) -> uuid.UUID | None:
    value = request.POST.get(name, "")
    try:
        return uuid.UUID(value) if value else None
    except ValueError:
        raise NotFound("priority", value) from None


class OpenFilter(HiddenFilter):
    title = "state"
    parameter_name = "done"
    column = "completed_at"
    shown, hidden = "Open", "Completed"


@admin.register(Priority)
class PriorityAdmin(WorkspaceAdmin):
    list_display = ("heading", "day", "level_badge", "pool", "state", "changed")
    list_filter = (
        ("date", RangeDateFilter),
        ("level", ChoicesDropdownFilter),
        ("pool", FieldTextFilter),
        OpenFilter,
    )
    list_defer = ("metadata",)
    search_fields = ("content",)
    search_help_text = "Words of it"
    ordering = ("-date", "-id")
    list_before_template = "admin/includes/links.html"
    readonly_fields = ("position", "carried_from", "state", "made", "changed", "ids", "native")
    fieldsets = (
        (None, {"fields": ("content", ("level", "pool"), "date")}),
        ("On the list", {"fields": (("position", "carried_from"), "state")}),
        folded("More", "metadata", ("made", "changed"), ("ids", "native")),
    )
    add_fieldsets = ((None, {"fields": ("content", ("level", "pool"), "date")}),)
    row_actions = (
        RowAction("complete", "Complete", "Done.", "check_circle", Role.OPERATOR, _complete,
                  open_to=lambda row: row.completed_at is None, undone_by="reopen", tone="primary"),
        RowAction("reopen", "Reopen", "It is open again.", "undo", Role.OPERATOR, _reopen,
                  open_to=lambda row: row.completed_at is not None, undone_by="complete"),
        RowAction("today", "Put on today's list", "It is on today's list.", "today",
                  Role.OPERATOR, _today),
        RowAction("top", "To the top", "It is at the top of its list.", "vertical_align_top",
                  Role.OPERATOR, _to_top, bulk=False),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        line, move = (self.admin_site.admin_view(v) for v in (self.line_view, self.move_view))
        return [
            path("line/", line, name="agent_sessions_priority_line"),
            path("<uuid:object_id>/move/", move, name="agent_sessions_priority_move"),
            *days_urls(self),
            *super().get_urls(),
        ]

    def line_view(self, request: HttpRequest) -> HttpResponse:
        """POST `content`, `pool`: a line at the end of today's list; then back."""

        def add() -> None:
            given = {"pool": request.POST["pool"]} if request.POST.get("pool") else {}
            content = normal(request.POST.get("content", "")).strip()
            create_priority(actor=actor_of(request), content=content, **given)

        return self._write(request, add)

    def move_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """POST `before` or `after`, the id of another line of the same list; then back."""

        def move() -> None:
            move_priority(
                actor=actor_of(request),
                priority_id=object_id,
                before=_posted_id(request, "before"),
                after=_posted_id(request, "after"),
            )

        return self._write(request, move)

    def _write(self, request: HttpRequest, write: Callable[[], None]) -> HttpResponse:
        """A refusal becomes a message where the form was, with nothing written."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        require_role(request, Role.OPERATOR)
        try:
            with transaction.atomic():
                write()
        except DomainError as error:
            messages.error(request, error.detail)
        changelist = show.changelist_url("agent_sessions.priority")
        return HttpResponseRedirect(posted_next(request, changelist))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        days = reverse("admin:agent_sessions_priority_days")
        link = PageLink("By day", days, "calendar_view_day")
        context = {"page_links": [link], **(extra_context or {})}
        return super().changelist_view(request, context)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"date": today(), **super().get_changeform_initial_data(request)}

    def create_row(self, request: HttpRequest, obj: Priority, form: RowForm) -> Priority:
        fields = {name: getattr(obj, name) for name in ("level", "pool", "date")}
        row, _ = create_priority(actor=actor_of(request), content=obj.content, **fields)
        return row

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Priority:
        return update_priority(
            actor=actor_of(request),
            priority_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Priority) -> None:
        delete_priority(actor=actor_of(request), priority_id=obj.pk, reason=posted_reason(request))

    @display(description="Priority", ordering="content")
    def heading(self, obj: Priority) -> str:
        return str(obj)

    @display(description="Day", ordering="date")
    def day(self, obj: Priority) -> str:
        carried = f" (since {obj.carried_from:%d %b})" if obj.carried_from else ""
        return f"{obj.date:%a %d %b %Y}{carried}"

    @display(description="Level", ordering="level")
    def level_badge(self, obj: Priority) -> SafeString:
        return show.badge(obj.level, tone=URGENCY.get(obj.level, "grey"))

    @display(description="State")
    def state(self, obj: Priority) -> SafeString:
        return show.badge("completed", tone="blue") if obj.completed_at else show.badge("open")

    @display(description="Known elsewhere as")
    def native(self, obj: Priority) -> str:
        return f"{obj.source} {obj.external_id}".strip() or show.EMPTY
