"""Tasks: by project and status. Their board is board.py."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
    MultipleChoicesDropdownFilter,
)
from unfold.decorators import display

from config.lib.actor import Actor
from config.lib.admin import show
from contacts.admin.access import actor_of
from contacts.admin.actions import PageLink, RowAction
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.filters import DaysFilter, HiddenFilter
from contacts.admin.forms import RowForm, posted_reason
from contacts.admin.listing import chips
from contacts.models.workspace import Role
from sessions.admin.board import COUNTED, TONES, URGENCY, board_urls
from sessions.models import Task
from sessions.models.task import TaskStatus
from sessions.services.tasks import (
    archive_tasks,
    create_task,
    delete_task,
    unarchive_tasks,
    update_task,
)


def _set_status(status: str, *, actor: Actor, row: Task, reason: str) -> Task:
    return update_task(actor=actor, task_id=row.pk, changes={"status": status}, reason=reason)


def _archive(*, actor: Actor, row: Task, reason: str) -> list[Task]:
    return archive_tasks(actor=actor, task_ids=[row.pk], reason=reason)


def _unarchive(*, actor: Actor, row: Task, reason: str) -> list[Task]:
    return unarchive_tasks(actor=actor, task_ids=[row.pk], reason=reason)


def _status_action(status: TaskStatus, label: str, icon: str) -> RowAction:
    return RowAction(
        name=status.value,
        label=label,
        done=f"The task is {status.label.lower()}.",
        icon=icon,
        role=Role.OPERATOR,
        run=partial(_set_status, status.value),
        open_to=lambda row: row.status != status.value,
    )


class ArchivedFilter(HiddenFilter):
    title = "archive"
    parameter_name = "archived"
    column = "archived_at"
    shown, hidden = "Open", "Archived"


@admin.register(Task)
class TaskAdmin(WorkspaceAdmin):
    when_empty = "Tasks come from agents, from imports, and by hand."
    list_display = ("heading", "project_link", "status_badge", "urgency", "assignee", "feature",
                    "changed")  # fmt: skip
    list_filter = (
        ("project", AutocompleteSelectFilter),
        ("status", MultipleChoicesDropdownFilter),
        ("priority", ChoicesDropdownFilter),
        ("assignee", FieldTextFilter),
        ("feature", FieldTextFilter),
        ArchivedFilter,
        ("created_at", DaysFilter),
    )
    list_select_related = ("project",)
    list_defer = (
        "description", "sources", "code_examples", "metadata", "project__description",
        "project__docs", "project__features", "project__data", "project__metadata",
    )  # fmt: skip
    search_fields = ("title", "feature")
    search_help_text = "Words of the task, a part of its title, or its id"
    ordering = ("-created_at", "-id")
    list_before_template = "admin/includes/chips.html"
    readonly_fields = ("completed", "archived", "made", "changed", "ids", "native")
    fieldsets = (
        (None, {"fields": ("title", "description", ("project", "parent"), ("status", "priority"),
                           ("assignee", "feature"), "order")}),
        ("What became of it", {"fields": (("completed", "archived"),)}),
        folded("Sources and examples", "sources", "code_examples"),
        folded("More", "metadata", ("made", "changed"), ("ids", "native")),
    )  # fmt: skip
    add_fieldsets = (
        (None, {"fields": ("title", "description", ("project", "parent"), ("status", "priority"),
                           ("assignee", "feature"))}),
    )  # fmt: skip
    row_actions = (
        _status_action(TaskStatus.TODO, "To do", "radio_button_unchecked"),
        _status_action(TaskStatus.DOING, "Start", "play_circle"),
        _status_action(TaskStatus.REVIEW, "To review", "rate_review"),
        _status_action(TaskStatus.DONE, "Done", "check_circle"),
        RowAction("archive", "Archive", "The task is archived.", "archive", Role.OPERATOR,
                  _archive, open_to=lambda row: row.archived_at is None, undone_by="unarchive"),
        RowAction("unarchive", "Take out of the archive", "The task is back.", "unarchive",
                  Role.OPERATOR, _unarchive, open_to=lambda row: row.archived_at is not None,
                  undone_by="archive"),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        return [*board_urls(self), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the way to the board, and the list by status."""
        rows = Task.objects.filter(archived_at=None)
        found = chips(request, rows, "status", TaskStatus, limit=COUNTED, archived="no")
        board = PageLink("Board", reverse("admin:agent_sessions_task_board"), "view_kanban")
        context = {"chips": found, "page_links": [board]}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def create_row(self, request: HttpRequest, obj: Task, form: RowForm) -> Task:
        names = ("description", "status", "assignee", "priority", "feature")
        fields = {name: getattr(obj, name) for name in names}
        for name in ("project_id", "parent_id"):
            if getattr(obj, name) is not None:
                fields[name] = getattr(obj, name)
        task, _ = create_task(actor=actor_of(request), title=obj.title, **fields)
        return task

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Task:
        return update_task(
            actor=actor_of(request),
            task_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Task) -> None:
        # Deleting many may name a task and its subtask; the one goes with the other.
        if Task.objects.filter(pk=obj.pk).exists():
            delete_task(actor=actor_of(request), task_id=obj.pk, reason=posted_reason(request))

    def row_links(self, request: HttpRequest, row: Task) -> list[PageLink]:
        query = f"parent__id__exact={row.pk}"
        url = show.changelist_url("agent_sessions.task", query)
        return [PageLink("Subtasks", url, "account_tree")]

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        """The way from a task to its subtasks."""
        return lookup == "parent__id__exact" or super().lookup_allowed(lookup, value, request)

    # --- Columns ------------------------------------------------------------------------------

    @display(description="Task", ordering="title")
    def heading(self, obj: Task) -> str:
        return obj.title

    @display(description="Project", ordering="project__title")
    def project_link(self, obj: Task) -> str | SafeString:
        if obj.project is None:
            return show.EMPTY
        query = f"project__id__exact={obj.project_id}"
        return show.link(show.changelist_url("agent_sessions.task", query), obj.project.title)

    @display(description="Status", ordering="status")
    def status_badge(self, obj: Task) -> SafeString:
        return show.badge(obj.status, obj.get_status_display(), TONES.get(obj.status, "grey"))

    @display(description="Priority", ordering="priority")
    def urgency(self, obj: Task) -> SafeString:
        return show.badge(obj.priority, tone=URGENCY.get(obj.priority, "grey"))

    @display(description="Completed")
    def completed(self, obj: Task) -> SafeString | str:
        return show.when(obj.completed_at) if obj.completed_at else show.EMPTY

    @display(description="Archived")
    def archived(self, obj: Task) -> SafeString | str:
        return show.when(obj.archived_at) if obj.archived_at else show.EMPTY

    @display(description="Known elsewhere as")
    def native(self, obj: Task) -> str:
        return f"{obj.source} {obj.external_id}".strip() or show.EMPTY
