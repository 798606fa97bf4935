"""Workers for those who give work: spawn, list, read, change, cancel, retry, answer, snooze.

Those who run them have worker_runs.py.
"""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row_id
from config.lib.db.now import database_now
from config.lib.errors import Invalid, NotFound
from config.lib.schema import Input, Text
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
from contacts.selectors import find_agent, history_of
from sessions import selectors_workers as selectors
from sessions.models import Session, Task, Worker
from sessions.models.worker import WorkerStatus
from sessions.schemas_workers import (
    Answer,
    QueueOut,
    Snooze,
    Why,
    WorkerIn,
    WorkerOut,
    WorkerPatch,
    WorkerRow,
)
from sessions.services import worker_runs, workers

router = Router(tags=["Workers"])
ORDER = ["-created_at", "-id"]


class WorkerQuery(Input):
    """How a list of workers is narrowed."""

    status: WorkerStatus | None = None
    primitive: Text | None = Field(None, max_length=60)
    session: Text | None = Field(None, max_length=36, description="Spawned by this session")
    conversation_id: Text | None = Field(None, max_length=120)
    task: Text | None = Field(None, max_length=36)
    trace_id: Text | None = Field(None, max_length=64)
    claimed_by: Text | None = Field(None, max_length=120, description="An agent's name or id")
    dead: bool = Field(False, description="Those that failed for good: the same as status=failed")

    def wanted(self) -> selectors.WorkerFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        if self.dead and self.status not in (None, WorkerStatus.FAILED):
            raise Invalid({"dead": "a dead worker is a failed one; ask for one of the two"})
        return {
            "status": WorkerStatus.FAILED if self.dead else self.status,
            "primitive": self.primitive,
            "session_id": find_row_id(Session, self.session),
            "conversation_id": self.conversation_id,
            "task_id": find_row_id(Task, self.task),
            "trace_id": self.trace_id,
            "claimed_by_id": None if self.claimed_by is None else find_agent(self.claimed_by).id,
        }


@router.get(
    "/workers",
    auth=KeyAuth("work:read"),
    response=Page[WorkerRow],
    operation_id="list_workers",
    summary="List workers",
)
def list_workers(
    request: HttpRequest, paging: PageQuery, filters: Annotated[WorkerQuery, Query()]
) -> HttpResponse:
    """Newest first. 404 where a filter names a session, task or agent that is not there."""
    rows = selectors.list_workers(filters.wanted())
    return reply_page(WorkerRow, page(rows, order=ORDER, **paging.model_dump()))


@router.post(
    "/workers",
    auth=KeyAuth("work:write"),
    response={201: WorkerOut, 200: WorkerOut},
    operation_id="spawn_worker",
    summary="Spawn a worker",
)
def spawn_worker(request: HttpRequest, payload: WorkerIn) -> HttpResponse:
    """Put work into the queue. 200 with the worker that is there where its dedupe_key, or its
    external_id, was sent before."""
    row, new = workers.spawn_worker(actor=actor_of(request), **_linked(payload.sent()))
    selectors.with_needs(row)
    return reply_created(WorkerOut, row, new=new, location=f"/workers/{row.id}")


def _linked(fields: dict[str, Any]) -> dict[str, Any]:
    """References as ids of this workspace."""
    if fields.get("session_id") is not None:
        fields["session_id"] = find_id(Session, fields["session_id"], check=False)
    if fields.get("task_id") is not None:
        fields["task_id"] = find_id(Task, fields["task_id"], check=False)
    if "depends_on" in fields:
        try:
            needs = [find_id(Worker, text, check=False) for text in fields["depends_on"]]
        except NotFound as error:
            raise Invalid({"depends_on": error.detail}) from None
        fields["depends_on"] = needs
    return fields


@router.get(
    "/workers/queue",
    auth=KeyAuth("work:read"),
    response=QueueOut,
    operation_id="count_workers",
    summary="Count the queue",
)
def count_workers(request: HttpRequest) -> HttpResponse:
    """How many workers are in which state, and how many may be claimed now."""
    return reply(QueueOut, selectors.count_queue(worker_runs.claimable(database_now())))


@router.get(
    "/workers/{worker_id}",
    auth=KeyAuth("work:read"),
    response=WorkerOut,
    operation_id="get_worker",
    summary="Read a worker",
)
def get_worker(request: HttpRequest, worker_id: Id) -> HttpResponse:
    """One worker with its texts, and the state of each it needs."""
    return reply(WorkerOut, selectors.get_worker(worker_id))


@router.patch(
    "/workers/{worker_id}",
    auth=KeyAuth("work:write"),
    response=WorkerOut,
    operation_id="update_worker",
    summary="Change a worker",
    openapi_extra=IF_MATCH,
)
def patch_worker(request: HttpRequest, worker_id: Id, payload: WorkerPatch) -> HttpResponse:
    """Fields that are not sent stay. 409 for what it is to do once it runs or has ended; 422 for
    depends_on where it would wait for itself."""
    expected = if_match(request)
    changes = _linked(payload.sent())
    row = workers.update_worker(
        actor=actor_of(request),
        worker_id=_id(worker_id),
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=expected,
    )
    return reply(WorkerOut, selectors.with_needs(row))


def _id(text: str) -> Any:
    return find_id(Worker, text, check=False)


@router.delete(
    "/workers/{worker_id}",
    auth=KeyAuth("work:write"),
    response={204: None},
    operation_id="delete_worker",
    summary="Delete a worker",
    openapi_extra=IF_MATCH,
)
def delete_worker(request: HttpRequest, worker_id: Id, reason: Reason = None) -> HttpResponse:
    """With its output. 409 while it runs, or while others wait for it."""
    workers.delete_worker(
        actor=actor_of(request),
        worker_id=_id(worker_id),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.post(
    "/workers/{worker_id}/cancel",
    auth=KeyAuth("work:write"),
    response=WorkerOut,
    operation_id="cancel_worker",
    summary="Cancel a worker",
)
def cancel_worker(request: HttpRequest, worker_id: Id, payload: Why | None = None) -> HttpResponse:
    """At once where it waits. Where it runs, its runner is told by the next beat and ends it.
    Cancelling twice changes nothing; 409 when it is complete or failed."""
    row = workers.cancel(
        actor=actor_of(request), worker_id=_id(worker_id), reason=payload.reason if payload else ""
    )
    return reply(WorkerOut, selectors.with_needs(row))


@router.post(
    "/workers/{worker_id}/retry",
    auth=KeyAuth("work:write"),
    response=WorkerOut,
    operation_id="retry_worker",
    summary="Try a failed worker again",
)
def retry_worker(request: HttpRequest, worker_id: Id, payload: Why | None = None) -> HttpResponse:
    """With one more attempt at least. 409 where it neither failed nor was cancelled."""
    row = workers.retry(
        actor=actor_of(request), worker_id=_id(worker_id), reason=payload.reason if payload else ""
    )
    return reply(WorkerOut, selectors.with_needs(row))


@router.post(
    "/workers/{worker_id}/answer",
    auth=KeyAuth("work:write"),
    response=WorkerOut,
    operation_id="answer_worker",
    summary="Answer a worker's question",
)
def answer_worker(request: HttpRequest, worker_id: Id, payload: Answer) -> HttpResponse:
    """It waits to be claimed again, and whoever claims it reads the answer. 409 where nothing was
    asked."""
    row = workers.answer(
        actor=actor_of(request),
        worker_id=_id(worker_id),
        text=payload.answer,
        reason=payload.reason,
    )
    return reply(WorkerOut, selectors.with_needs(row))


@router.post(
    "/workers/{worker_id}/snooze",
    auth=KeyAuth("work:write"),
    response=WorkerOut,
    operation_id="snooze_worker",
    summary="Let a worker rest",
)
def snooze_worker(request: HttpRequest, worker_id: Id, payload: Snooze) -> HttpResponse:
    """Until a time, or for a while. A running one is snoozed by who holds its lease, and the
    attempt is not counted; 409 for others that are not pending."""
    until = payload.until
    if payload.duration is not None and until is None:
        until = database_now() + payload.duration
    elif payload.duration is not None or until is None:
        raise Invalid({"until": "send either until or duration"})
    row = worker_runs.snooze(
        actor=actor_of(request),
        worker_id=_id(worker_id),
        until=until,
        lease_id=payload.lease_id,
        reason=payload.reason,
    )
    return reply(WorkerOut, selectors.with_needs(row))


@router.get(
    "/workers/{worker_id}/history",
    auth=KeyAuth("work:read"),
    response=Page[RevisionOut],
    operation_id="list_worker_history",
    summary="Read who changed a worker",
)
def list_worker_history(request: HttpRequest, worker_id: Id, paging: PageQuery) -> HttpResponse:
    """Newest first; by its full id also after the worker was deleted."""
    rows = history_of(Worker, worker_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
