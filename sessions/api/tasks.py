"""Tasks: create, list, read, change, move on the board, archive, delete; many at once."""

from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row_id
from config.lib.schema import Input, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Items,
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
from sessions import selectors, selectors_tasks
from sessions.models import Project, Session, Task
from sessions.models.task import TaskStatus, Urgency
from sessions.schemas_tasks import (
    BulkArchive,
    BulkStatus,
    TaskArchive,
    TaskIn,
    TaskMove,
    TaskOut,
    TaskPatch,
    TaskPlace,
    TaskRow,
)
from sessions.services import tasks

router = Router(tags=["Tasks"])


class TaskQuery(Input):
    """How tasks are narrowed."""

    project: Text | None = Field(None, max_length=300, description="Its title or id")
    parent: Text | None = Field(None, max_length=36, description="Subtasks of this task")
    status: TaskStatus | None = None
    assignee: Text | None = Field(None, max_length=120)
    priority: Urgency | None = None
    feature: Text | None = Field(None, max_length=200)
    archived: bool = Field(False, description="The archived ones instead")

    def wanted(self) -> selectors_tasks.TaskFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        return {
            "project_id": None if self.project is None else selectors.find_project(self.project),
            "parent_id": find_row_id(Task, self.parent, what="parent task"),
            "status": self.status,
            "assignee": self.assignee,
            "priority": self.priority,
            "feature": self.feature,
        }


class TaskList(TaskQuery):
    sort: Literal["newest", "board"] = Field(
        "newest",
        description="board: in order, of one project and status or of one parent. The archive is "
        "in the order it was filled, the last first.",
    )


@router.get(
    "/tasks",
    auth=KeyAuth("work:read"),
    response=Page[TaskRow],
    operation_id="list_tasks",
    summary="List tasks",
)
def list_tasks(
    request: HttpRequest, paging: PageQuery, filters: Annotated[TaskList, Query()]
) -> HttpResponse:
    """Newest first. 404 where a filter names a project or task that is not there."""
    rows, order = selectors_tasks.list_tasks(
        filters.wanted(), archived=filters.archived, board=filters.sort == "board"
    )
    return reply_page(TaskRow, page(rows, order=order, **paging.model_dump()))


@router.post(
    "/tasks",
    auth=KeyAuth("work:write"),
    response={201: TaskOut, 200: TaskOut},
    operation_id="create_task",
    summary="Create a task",
)
def create_task(request: HttpRequest, payload: TaskIn) -> HttpResponse:
    """200 with the row as it is where its external_id was there. With session_id, that session
    gets an event task_created."""
    row, new = tasks.create_task(actor=actor_of(request), **_linked(payload.sent()))
    return reply_created(TaskOut, row, new=new, location=f"/tasks/{row.id}")


def _linked(fields: dict[str, Any]) -> dict[str, Any]:
    """References as ids of this workspace."""
    links: dict[str, tuple[type[Any], str]] = {
        "project_id": (Project, ""),
        "parent_id": (Task, "parent task"),
        "session_id": (Session, ""),
        "before": (Task, ""),
        "after": (Task, ""),
    }
    for name, (model, what) in links.items():
        if fields.get(name) is not None:
            fields[name] = find_id(model, fields[name], what=what)
    return fields


@router.post(
    "/tasks/bulk-status",
    auth=KeyAuth("work:write"),
    response=Items[TaskPlace],
    operation_id="set_task_statuses",
    summary="Give up to 500 tasks a status",
)
def set_task_statuses(request: HttpRequest, payload: BulkStatus) -> HttpResponse:
    """All or none. Each goes to the end of its new column; with session_id, that session gets an
    event for each that changed."""
    fields = _linked(payload.model_dump())
    fields["task_ids"] = [find_id(Task, one, check=False) for one in payload.task_ids]
    rows = tasks.set_status(actor=actor_of(request), **fields)
    return reply(Items[TaskPlace], {"items": rows})


@router.post(
    "/tasks/bulk-archive",
    auth=KeyAuth("work:write"),
    response=Items[TaskPlace],
    operation_id="archive_tasks",
    summary="Archive up to 500 tasks, or bring them back",
)
def archive_tasks(request: HttpRequest, payload: BulkArchive) -> HttpResponse:
    """All or none, each with its subtasks."""
    fields: dict[str, Any] = {
        "actor": actor_of(request),
        "task_ids": [find_id(Task, one, check=False) for one in payload.task_ids],
        "reason": payload.reason,
    }
    if payload.archived:
        rows = tasks.archive_tasks(archived_by=payload.archived_by, **fields)
    else:
        rows = tasks.unarchive_tasks(**fields)
    return reply(Items[TaskPlace], {"items": rows})


@router.get(
    "/tasks/{task_id}",
    auth=KeyAuth("work:read"),
    response=TaskOut,
    operation_id="get_task",
    summary="Read a task",
)
def get_task(request: HttpRequest, task_id: Id) -> HttpResponse:
    """One task with its texts; its subtasks are a list of their own (`parent`)."""
    return reply(TaskOut, selectors_tasks.get_task(task_id))


@router.patch(
    "/tasks/{task_id}",
    auth=KeyAuth("work:write"),
    response=TaskOut,
    operation_id="update_task",
    summary="Change a task",
    openapi_extra=IF_MATCH,
)
def patch_task(request: HttpRequest, task_id: Id, payload: TaskPatch) -> HttpResponse:
    """Fields that are not sent stay. With session_id, that session gets an event task_updated or
    task_completed. 422 where a parent is of another project, or one of its own subtasks."""
    expected = if_match(request)
    changes = _linked(payload.sent())
    row = tasks.update_task(
        actor=actor_of(request),
        task_id=find_id(Task, task_id, check=False),
        reason=changes.pop("reason", ""),
        session_id=changes.pop("session_id", None),
        changes=changes,
        expected_version=expected,
    )
    return reply(TaskOut, row)


@router.delete(
    "/tasks/{task_id}",
    auth=KeyAuth("work:write"),
    response={204: None},
    operation_id="delete_task",
    summary="Delete a task",
    openapi_extra=IF_MATCH,
)
def delete_task(request: HttpRequest, task_id: Id, reason: Reason = None) -> HttpResponse:
    """With its subtasks. Workers and evidence stay, without the link."""
    tasks.delete_task(
        actor=actor_of(request),
        task_id=find_id(Task, task_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.post(
    "/tasks/{task_id}/move",
    auth=KeyAuth("work:write"),
    response=TaskOut,
    operation_id="move_task",
    summary="Move a task on the board",
)
def move_task(request: HttpRequest, task_id: Id, payload: TaskMove) -> HttpResponse:
    """Beside another task it takes that one's status; `status` alone means the column's end."""
    row = tasks.move_task(
        actor=actor_of(request),
        task_id=find_id(Task, task_id, check=False),
        **_linked(payload.model_dump()),
    )
    return reply(TaskOut, row)


@router.post(
    "/tasks/{task_id}/archive",
    auth=KeyAuth("work:write"),
    response=TaskOut,
    operation_id="archive_task",
    summary="Archive a task",
)
def archive_task(
    request: HttpRequest, task_id: Id, payload: TaskArchive | None = None
) -> HttpResponse:
    """With its subtasks. Archiving twice changes nothing."""
    said = payload.model_dump() if payload else {}
    (row,) = tasks.archive_tasks(
        actor=actor_of(request), task_ids=[find_id(Task, task_id, check=False)], **said
    )
    return reply(TaskOut, row)


@router.post(
    "/tasks/{task_id}/unarchive",
    auth=KeyAuth("work:write"),
    response=TaskOut,
    operation_id="unarchive_task",
    summary="Take a task out of the archive",
)
def unarchive_task(request: HttpRequest, task_id: Id) -> HttpResponse:
    """With the subtasks that were archived with it."""
    (row,) = tasks.unarchive_tasks(
        actor=actor_of(request), task_ids=[find_id(Task, task_id, check=False)]
    )
    return reply(TaskOut, row)


@router.get(
    "/tasks/{task_id}/history",
    auth=KeyAuth("work:read"),
    response=Page[RevisionOut],
    operation_id="list_task_history",
    summary="Read who changed a task",
)
def list_task_history(request: HttpRequest, task_id: Id, paging: PageQuery) -> HttpResponse:
    """Newest first; by its full id also after the task was deleted."""
    rows = history_of(Task, task_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
