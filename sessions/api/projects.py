"""Projects: list, create, get, patch."""

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
    actor_of,
    if_match,
    reply,
    reply_created,
    reply_page,
)
from sessions import selectors
from sessions.models import Project
from sessions.schemas import ProjectIn, ProjectOut, ProjectPatch, ProjectRow
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
