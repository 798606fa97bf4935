"""Projects, with the way to their sessions and tasks."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display

from config.lib.actor import Actor
from config.lib.admin import show
from contacts.admin.access import actor_of
from contacts.admin.actions import PageLink, RowAction
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import RowForm, posted_reason
from contacts.models.workspace import Role
from sessions.admin.board import board_url
from sessions.models import Project
from sessions.services.projects import (
    archive_project,
    create_project,
    delete_project,
    unarchive_project,
    update_project,
)


def _archive(*, actor: Actor, row: Project, reason: str) -> Project:
    return archive_project(actor=actor, project_id=row.pk, reason=reason)


def _unarchive(*, actor: Actor, row: Project, reason: str) -> Project:
    return unarchive_project(actor=actor, project_id=row.pk, reason=reason)


@admin.register(Project)
class ProjectAdmin(WorkspaceAdmin):
    when_empty = "A project comes with the first session in its folder, from an import, or by hand."
    list_display = ("title", "repository", "pinned", "state", "sessions", "changed")
    list_filter = (("pinned", BooleanRadioFilter), ("created_at", DaysFilter))
    list_defer = ("description", "docs", "features", "data", "metadata")
    search_fields = ("title", "repo_url")
    search_help_text = "Words of the project, a part of its title, or its id"
    ordering = ("-pinned", "-created_at", "-id")
    readonly_fields = ("state", "made", "changed", "ids")
    fieldsets = (
        (None, {"fields": ("title", "description", "repo_url", ("pinned", "state"))}),
        folded("Documents and features", "docs", "features", "data"),
        folded("More", "metadata", ("made", "changed"), "ids"),
    )
    add_fieldsets = ((None, {"fields": ("title", "description", "repo_url", "pinned")}),)
    row_actions = (
        RowAction("archive", "Archive", "The project is archived.", "archive", Role.OPERATOR,
                  _archive, open_to=lambda row: row.archived_at is None, undone_by="unarchive"),
        RowAction("unarchive", "Take out of the archive", "The project is back.", "unarchive",
                  Role.OPERATOR, _unarchive, open_to=lambda row: row.archived_at is not None,
                  undone_by="archive"),
    )  # fmt: skip

    def create_row(self, request: HttpRequest, obj: Project, form: RowForm) -> Project:
        return create_project(
            actor=actor_of(request),
            title=obj.title,
            description=obj.description,
            repo_url=obj.repo_url,
            pinned=obj.pinned,
        )

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Project:
        return update_project(
            actor=actor_of(request),
            project_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Project) -> None:
        delete_project(actor=actor_of(request), project_id=obj.pk, reason=posted_reason(request))

    def row_links(self, request: HttpRequest, row: Project) -> list[PageLink]:
        query = f"project__id__exact={row.pk}"
        return [
            PageLink("Sessions", show.changelist_url("agent_sessions.session", query), "forum"),
            PageLink("Board", board_url(row.pk), "view_kanban"),
            PageLink("Tasks", show.changelist_url("agent_sessions.task", query), "task_alt"),
            PageLink("Memories", show.changelist_url("memory.memory", query), "neurology"),
        ]

    @display(description="Repository")
    def repository(self, obj: Project) -> str:
        return obj.repo_url.removeprefix("https://") or show.EMPTY

    @display(description="State")
    def state(self, obj: Project) -> SafeString:
        return show.badge("archived" if obj.archived_at else "open")

    @display(description="Sessions")
    def sessions(self, obj: Project) -> SafeString:
        query = f"project__id__exact={obj.pk}"
        return show.link(show.changelist_url("agent_sessions.session", query), "Show sessions")
