"""Priorities: all of them, newest day first. Their lists by day and pool are days.py."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter, RangeDateFilter
from unfold.decorators import display

from config.lib.actor import Actor
from config.lib.admin import show
from contacts.admin.access import actor_of
from contacts.admin.actions import PageLink, RowAction
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.filters import HiddenFilter
from contacts.admin.forms import RowForm, posted_reason
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


class OpenFilter(HiddenFilter):
    title = "state"
    parameter_name = "done"
    column = "completed_at"
    shown, hidden = "Open", "Completed"


@admin.register(Priority)
class PriorityAdmin(WorkspaceAdmin):
    when_empty = (
        "What matters on a day, for people and agents. What stays open is carried over to "
        "the next day."
    )
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
        return [*days_urls(self), *super().get_urls()]

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
