"""Projects: list, count their tasks, create, get, patch, archive, delete."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Page,
    PageQuery,
    Reason,
    actor_of,
    if_match,
    no_content,
    reply,
    reply_created,
    reply_page,
)
from contacts.schemas import RevisionOut
from contacts.selectors import history_of
from sessions import selectors
from sessions.models import Project
from sessions.schemas import ProjectIn, ProjectOut, ProjectPatch, ProjectRow
from sessions.schemas_tasks import TaskCounts
from sessions.selectors_tasks import count_tasks
from sessions.services import projects

router = Router(tags=["Projects"])
ORDER = ["-pinned", "-created_at", "-id"]


@router.get(
    "/projects",
    auth=KeyAuth("sessions:read"),
    response=Page[ProjectRow],
    operation_id="list_projects",
    summary="List projects",
)
def list_projects(
    request: HttpRequest,
    paging: PageQuery,
    archived: Annotated[bool, Query(description="The archived ones instead")] = False,
) -> HttpResponse:
    """Pinned first, then newest."""
    found = page(selectors.list_projects(archived=archived), order=ORDER, **paging.model_dump())
    return reply_page(ProjectRow, found)


@router.post(
    "/projects",
    auth=KeyAuth("sessions:write"),
    response={201: ProjectOut, 200: ProjectOut},
    operation_id="create_project",
    summary="Create a project",
)
def create_project(request: HttpRequest, payload: ProjectIn) -> HttpResponse:
    """200 with the row as it is where its external_id was there already."""
    row, new = projects.save_project(actor=actor_of(request), **payload.sent())
    return reply_created(ProjectOut, row, new=new, location=f"/projects/{row.id}")


@router.get(
    "/projects/task-counts",
    auth=KeyAuth("work:read"),
    response=Page[TaskCounts],
    operation_id="count_tasks",
    summary="Count tasks by project and status",
)
def count_project_tasks(
    request: HttpRequest,
    paging: PageQuery,
    archived: Annotated[bool, Query(description="The archived projects instead")] = False,
) -> HttpResponse:
    """In the order of the list of projects. Of each project the newest 2,000 tasks that are
    not archived are counted."""
    rows = selectors.list_projects(archived=archived)
    found, next_cursor = page(rows, order=ORDER, **paging.model_dump())
    return reply_page(TaskCounts, (count_tasks(found), next_cursor))


@router.get(
    "/projects/{project_id}",
    auth=KeyAuth("sessions:read"),
    response=ProjectOut,
    operation_id="get_project",
    summary="Read a project",
)
def get_project(request: HttpRequest, project_id: Id) -> HttpResponse:
    """One project with all its parts."""
    return reply(ProjectOut, find_row(Project.objects.all(), project_id))


@router.patch(
    "/projects/{project_id}",
    auth=KeyAuth("sessions:write"),
    response=ProjectOut,
    operation_id="update_project",
    summary="Change a project",
    openapi_extra=IF_MATCH,
)
def patch_project(request: HttpRequest, project_id: Id, payload: ProjectPatch) -> HttpResponse:
    """Fields that are not sent stay as they are."""
    changes = payload.sent()
    row = projects.update_project(
        actor=actor_of(request),
        project_id=find_id(Project, project_id, check=False),
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=if_match(request),
    )
    return reply(ProjectOut, row)


@router.delete(
    "/projects/{project_id}",
    auth=KeyAuth("sessions:write"),
    response={204: None},
    operation_id="delete_project",
    summary="Delete a project",
    openapi_extra=IF_MATCH,
)
def delete_project(request: HttpRequest, project_id: Id, reason: Reason = None) -> HttpResponse:
    """With its tasks. Sessions, memories and missions stay, without the link."""
    projects.delete_project(
        actor=actor_of(request),
        project_id=find_id(Project, project_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.post(
    "/projects/{project_id}/archive",
    auth=KeyAuth("sessions:write"),
    response=ProjectOut,
    operation_id="archive_project",
    summary="Archive a project",
)
def archive_project(request: HttpRequest, project_id: Id) -> HttpResponse:
    """Out of the list, with all it has. Archiving twice changes nothing."""
    row = projects.archive_project(
        actor=actor_of(request), project_id=find_id(Project, project_id, check=False)
    )
    return reply(ProjectOut, row)


@router.post(
    "/projects/{project_id}/unarchive",
    auth=KeyAuth("sessions:write"),
    response=ProjectOut,
    operation_id="unarchive_project",
    summary="Take a project out of the archive",
)
def unarchive_project(request: HttpRequest, project_id: Id) -> HttpResponse:
    """Back into the list."""
    row = projects.unarchive_project(
        actor=actor_of(request), project_id=find_id(Project, project_id, check=False)
    )
    return reply(ProjectOut, row)


@router.get(
    "/projects/{project_id}/history",
    auth=KeyAuth("sessions:read"),
    response=Page[RevisionOut],
    operation_id="list_project_history",
    summary="Read who changed a project",
)
def list_project_history(request: HttpRequest, project_id: Id, paging: PageQuery) -> HttpResponse:
    """Newest first, with what its documents, features and data were before; by its full id also
    after the project was deleted."""
    rows = history_of(Project, project_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
