"""Executions: what workers and missions ran, by task, trace, mission or worker, and what failed."""

from datetime import timedelta
from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib import clock
from config.lib.cursor import page
from config.lib.db.lookup import find_row, find_row_id
from config.lib.schema import Input, Moment, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import Page, PageQuery, reply, reply_page
from memory import selectors_executions as selectors
from memory.schemas_executions import ExecutionOut, FailuresOut
from sessions.models import Mission, Task, Worker
from sessions.selectors_missions import find_scheduled

router = Router(tags=["Executions"])
ORDER = ["-recorded_at", "-id"]
FAILURES_OF = timedelta(days=7)


class ExecutionQuery(Input):
    """How a list of executions is narrowed."""

    trace: Text | None = Field(None, min_length=1, max_length=64, description="A trace_id")
    worker: Text | None = Field(None, max_length=36)
    task: Text | None = Field(None, max_length=36, description="The task worked on")
    mission: Text | None = Field(None, max_length=36, description="One run")
    scheduled_mission: Text | None = Field(None, max_length=120, description="Its slug or id")
    status: Literal["complete", "failed", "cancelled"] | None = None
    since: Moment | None = Field(None, description="Ended then or later")
    until: Moment | None = Field(None, description="Ended before")

    def wanted(self) -> selectors.ExecutionFilter:
        """What is named becomes rows of this workspace, or NotFound."""
        scheduled = self.scheduled_mission
        worker = None if self.worker is None else find_row(Worker.objects.all(), self.worker)
        return {
            "trace_id": self.trace,
            "worker": worker,
            "task_id": find_row_id(Task, self.task),
            "mission_id": find_row_id(Mission, self.mission),
            "scheduled_mission_id": None if scheduled is None else find_scheduled(scheduled),
            "status": self.status,
            "since": self.since,
            "until": self.until,
        }


@router.get(
    "/executions",
    auth=KeyAuth("work:read"),
    response=Page[ExecutionOut],
    operation_id="list_executions",
    summary="List what was run",
)
def list_executions(
    request: HttpRequest, paging: PageQuery, filters: Annotated[ExecutionQuery, Query()]
) -> HttpResponse:
    """Newest first: an execution for each attempt of a worker, with the memories that caused it."""
    rows = selectors.list_executions(filters.wanted())
    found, cursor = page(rows, order=ORDER, **paging.model_dump())
    causes = selectors.causes_of(row["id"] for row in found)
    return reply_page(
        ExecutionOut, ([{**row, "causes": causes.get(row["id"], [])} for row in found], cursor)
    )


@router.get(
    "/executions/failed",
    auth=KeyAuth("work:read"),
    response=FailuresOut,
    operation_id="list_failed_executions",
    summary="Group what failed by its error",
)
def list_failures(
    request: HttpRequest,
    since: Annotated[Moment | None, Query(description="Without: the last seven days")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Groups")] = 50,
) -> HttpResponse:
    """Failed attempts that differ in numbers, ids and addresses only are one group."""
    start = clock.now() - FAILURES_OF if since is None else since
    return reply(FailuresOut, selectors.group_failures(start, limit))
