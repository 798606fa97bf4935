"""Workers for those who run them: claim, beat, print, ask, complete, fail.

Everything after the claim carries its lease_id; 409 with not_running or lease_lost means that
somebody else may run the worker, and that the caller has to stop.
"""

import uuid
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row, find_row_id
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    Id,
    PageQuery,
    actor_of,
    no_content,
    principal_of,
    reply,
)
from sessions.models import Session, Worker
from sessions.schemas_workers import (
    Ask,
    Beat,
    BeatOut,
    Claim,
    ClaimedWorker,
    ClaimNext,
    Complete,
    Fail,
    Kept,
    OutputPage,
    Pieces,
    Progress,
    Release,
    WorkerOut,
)
from sessions.selectors_workers import list_output, with_needs
from sessions.services import worker_runs
from sessions.services.waiting import MAX_WAIT_SECONDS, wait_until
from sessions.services.workers import ENDED

router = Router(tags=["Workers"])


def _id(text: str) -> uuid.UUID:
    return find_id(Worker, text, check=False)


@router.post(
    "/workers/claim",
    auth=KeyAuth("work:write"),
    response={200: ClaimedWorker, 204: None},
    operation_id="claim_next_worker",
    summary="Claim the next worker",
)
def claim_next_worker(request: HttpRequest, payload: ClaimNext | None = None) -> HttpResponse:
    """Highest priority first, then oldest, for the key's agent; 204 where nothing may run now.
    Beat before the lease runs out."""
    wanted = payload or ClaimNext.model_validate({})
    row = worker_runs.claim(
        actor=actor_of(request),
        agent=principal_of(request).key.agent,
        primitives=wanted.primitives,
        lease_seconds=wanted.lease_seconds,
        session_id=find_row_id(Session, wanted.session_id),
    )
    return no_content() if row is None else reply(ClaimedWorker, with_needs(row))


@router.post(
    "/workers/{worker_id}/claim",
    auth=KeyAuth("work:write"),
    response=ClaimedWorker,
    operation_id="claim_worker",
    summary="Claim one worker",
)
def claim_worker(request: HttpRequest, worker_id: Id, payload: Claim | None = None) -> HttpResponse:
    """409 where it cannot be had: already_claimed, not_claimable, not_due or blocked."""
    wanted = payload or Claim.model_validate({})
    row = worker_runs.claim_worker(
        actor=actor_of(request),
        agent=principal_of(request).key.agent,
        worker_id=_id(worker_id),
        lease_seconds=wanted.lease_seconds,
        session_id=find_row_id(Session, wanted.session_id),
    )
    return reply(ClaimedWorker, with_needs(row))


@router.post(
    "/workers/{worker_id}/beat",
    auth=KeyAuth("work:write"),
    response=BeatOut,
    operation_id="beat_worker",
    summary="Give a sign of life",
)
def beat_worker(request: HttpRequest, worker_id: Id, payload: Beat) -> HttpResponse:
    """Prolongs the lease. The answer says whether the worker is to be cancelled."""
    row = worker_runs.beat(
        worker_id=_id(worker_id),
        lease_id=payload.lease_id,
        lease_seconds=payload.lease_seconds,
        progress_percent=payload.percent,
        progress_text=payload.text,
    )
    return _go_on(row)


def _go_on(row: Worker) -> HttpResponse:
    said: dict[str, Any] = {
        "id": row.id,
        "status": row.status,
        "lease_until": row.lease_until,
        "cancel_requested": row.cancel_requested_at is not None,
    }
    return reply(BeatOut, said)


@router.post(
    "/workers/{worker_id}/progress",
    auth=KeyAuth("work:write"),
    response=BeatOut,
    operation_id="report_worker_progress",
    summary="Say how far it is",
)
def report_worker_progress(request: HttpRequest, worker_id: Id, payload: Progress) -> HttpResponse:
    """In percent and words. The lease stays as long as it was."""
    row = worker_runs.report_progress(
        worker_id=_id(worker_id),
        lease_id=payload.lease_id,
        percent=payload.percent,
        text=payload.text,
    )
    return _go_on(row)


@router.post(
    "/workers/{worker_id}/output",
    auth=KeyAuth("work:write"),
    response={201: Kept},
    operation_id="append_worker_output",
    summary="Keep what it printed",
)
def append_worker_output(request: HttpRequest, worker_id: Id, payload: Pieces) -> HttpResponse:
    """Pieces in order, all or none. 409 output_full where a worker has 100,000 of them."""
    rows = worker_runs.append_output(
        actor=actor_of(request),
        worker_id=_id(worker_id),
        lease_id=payload.lease_id,
        pieces=[(piece.stream, piece.text) for piece in payload.pieces],
    )
    return reply(Kept, {"last_seq": rows[-1].seq}, status=201)


@router.get(
    "/workers/{worker_id}/output",
    # While it waits it holds neither a transaction nor a connection.
    auth=KeyAuth("work:read", detached=True),
    response=OutputPage,
    operation_id="list_worker_output",
    summary="Read what a worker printed, or wait for more",
)
def list_worker_output(
    request: HttpRequest,
    worker_id: Id,
    paging: PageQuery,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Behind this seq")] = 0,
    wait: Annotated[
        float,
        Query(
            ge=0,
            le=MAX_WAIT_SECONDS,
            description="Seconds to wait until there is some, or the worker has ended. A busy or "
            "stopping server answers earlier: look at `status`, and ask again.",
        ),
    ] = 0,
) -> HttpResponse:
    """In order, of all attempts. To follow it, ask again with `after` the last seq you have, and
    `wait`, until `status` says that it has ended and nothing more comes."""

    def look(before: dict[str, Any] | None) -> dict[str, Any]:
        # A shortened id is looked for among all of them, once.
        named = worker_id if before is None else str(before["id"])
        # Before the rows: of a worker that has ended then, they are all there.
        worker = find_row(Worker.objects.only("id", "status"), named)
        rows = list_output(worker.pk, after=after)
        items, cursor = page(rows, order=["seq"], **paging.model_dump())
        return {"id": worker.pk, "items": items, "next_cursor": cursor, "status": worker.status}

    found = wait_until(
        workspace_id=principal_of(request).workspace_id,
        look=look,
        settled=lambda found: bool(found["items"]) or found["status"] in ENDED,
        seconds=wait,
    )
    return reply(OutputPage, found)


@router.post(
    "/workers/{worker_id}/ask",
    auth=KeyAuth("work:write"),
    response=WorkerOut,
    operation_id="ask_about_worker",
    summary="Ask for a clarification",
)
def ask_about_worker(request: HttpRequest, worker_id: Id, payload: Ask) -> HttpResponse:
    """The lease is given up and the conversation is told; the answer puts it into the queue."""
    row = worker_runs.ask(
        actor=actor_of(request),
        worker_id=_id(worker_id),
        lease_id=payload.lease_id,
        question=payload.question,
        options=payload.options,
    )
    return reply(WorkerOut, with_needs(row))


@router.post(
    "/workers/{worker_id}/complete",
    auth=KeyAuth("work:write"),
    response=WorkerOut,
    operation_id="complete_worker",
    summary="Report that it is done",
)
def complete_worker(request: HttpRequest, worker_id: Id, payload: Complete) -> HttpResponse:
    """The conversation is told, once."""
    row = worker_runs.complete(
        actor=actor_of(request), worker_id=_id(worker_id), **payload.model_dump()
    )
    return reply(WorkerOut, with_needs(row))


@router.post(
    "/workers/{worker_id}/fail",
    auth=KeyAuth("work:write"),
    response=WorkerOut,
    operation_id="fail_worker",
    summary="Report that it failed",
)
def fail_worker(request: HttpRequest, worker_id: Id, payload: Fail) -> HttpResponse:
    """Tried again after 1, 2, 4 ... minutes; failed when its attempts are used up, or with
    `final`. One that was to be cancelled is cancelled."""
    row = worker_runs.fail(
        actor=actor_of(request), worker_id=_id(worker_id), **payload.model_dump()
    )
    return reply(WorkerOut, with_needs(row))


@router.post(
    "/workers/{worker_id}/release",
    auth=KeyAuth("work:write"),
    response=WorkerOut,
    operation_id="release_worker",
    summary="Give a worker back",
)
def release_worker(request: HttpRequest, worker_id: Id, payload: Release) -> HttpResponse:
    """Unfinished, for somebody else to claim; the attempt is not counted."""
    row = worker_runs.release(
        actor=actor_of(request), worker_id=_id(worker_id), **payload.model_dump()
    )
    return reply(WorkerOut, with_needs(row))
