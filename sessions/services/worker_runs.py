"""Workers as those who do the work see them: claimed under a lease, beating, printing, settled.

Every call after the claim carries its `lease_id`. A worker that is not running is a Conflict with
the code `not_running`, one that runs under another lease `lease_lost`: whoever hears either has to
stop at once, for somebody else may run it.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from config.lib.actor import Actor
from config.lib.db.now import database_now
from config.lib.errors import Conflict, Invalid
from contacts.models import Agent
from contacts.services import funnel
from sessions.models import (
    Mission,
    ScheduledMission,
    Session,
    Worker,
    WorkerDependency,
    WorkerOutput,
)
from sessions.models.worker import WorkerStatus
from sessions.services.workers import settle

MIN_LEASE_SECONDS, DEFAULT_LEASE_SECONDS, MAX_LEASE_SECONDS = 5, 60, 3600
# Between attempts that failed: 1, 2, 4 ... minutes, at most an hour.
FIRST_BACKOFF, LONGEST_BACKOFF = timedelta(minutes=1), timedelta(hours=1)
# What one claim tidies up on its way; the periodic job does the rest.
TIDIED_BY_A_CLAIM = 20
BATCH = 200
# How many of each kind a claim of several kinds looks at: other claimers have locked some.
HEADS = 20
MAX_OUTPUT_PIECES = 100_000
# What a report is shown as where its writer gave no summary.
SUMMARY_LENGTH = 500


def claim(
    *,
    actor: Actor,
    agent: Agent,
    primitives: Sequence[str] | None = None,
    lease_seconds: int = DEFAULT_LEASE_SECONDS,
    session_id: uuid.UUID | None = None,
    at: datetime | None = None,
) -> Worker | None:
    """The next worker that may run, taken under a new lease; None where there is none.

    Highest priority first, then oldest; with `primitives` only of these kinds. Two claimers never
    get the same one: who comes second passes over what the first has locked. Index worker_queue,
    or worker_queue_primitive for each kind.
    """
    seconds = _lease(lease_seconds)
    now = at or database_now()
    release_lost_leases(actor=actor, at=now, limit=TIDIED_BY_A_CLAIM)
    wake_snoozed(actor=actor, at=now, limit=TIDIED_BY_A_CLAIM)
    worker = _next(claimable(now).order_by("-priority", "id"), primitives)
    return worker and _take(worker, actor, agent, seconds, session_id, now)


def _next(rows: QuerySet[Worker], primitives: Sequence[str] | None) -> Worker | None:
    """The first of `rows` that nobody has locked, locked."""
    free = rows.select_for_update(skip_locked=True, no_key=True)
    if primitives is None:
        return free.first()
    kinds = list(dict.fromkeys(primitives))
    if len(kinds) == 1:
        return free.filter(primitive=kinds[0]).first()
    # The whole queue could have to be passed for one that is of any of these kinds; the first of
    # each are found at once, and the first of those is the first of all.
    heads = [rows.filter(primitive=kind).values("pk")[:HEADS] for kind in kinds]
    first = [row["pk"] for row in heads[0].union(*heads[1:], all=True)]
    found = free.filter(pk__any_of=first).first() if first else None
    if found is None and len(first) >= HEADS:
        # More claimers at once than heads: whatever is behind them.
        return free.filter(primitive__any_of=kinds).first()
    return found


def claim_worker(
    *,
    actor: Actor,
    agent: Agent,
    worker_id: uuid.UUID,
    lease_seconds: int = DEFAULT_LEASE_SECONDS,
    session_id: uuid.UUID | None = None,
    at: datetime | None = None,
) -> Worker:
    """Take this one. Conflict with a code that says why it cannot be had: already_claimed,
    not_claimable (its state), not_due (run_after), blocked (what it needs is not complete)."""
    seconds = _lease(lease_seconds)
    worker = funnel.get_row(Worker, worker_id, lock=True)
    now = at or database_now()
    if worker.status == WorkerStatus.RUNNING and not _lost(worker, now):
        raise Conflict("This worker is claimed already.", code="already_claimed")
    if worker.status == WorkerStatus.RUNNING:
        _put_back_lost(worker, actor, now)
    if worker.status != WorkerStatus.PENDING:
        raise Conflict(f"This worker is {worker.status}.", code="not_claimable")
    if worker.run_after is not None and worker.run_after > now:
        raise Conflict(f"This worker may run from {worker.run_after}.", code="not_due")
    if _waits_for().filter(worker_id=worker.pk).exists():
        raise Conflict("What this worker needs is not complete yet.", code="blocked")
    return _take(worker, actor, agent, seconds, session_id, now)


def claimable(now: datetime) -> QuerySet[Worker]:
    """Pending, due, and all they need complete.

    Leases and `run_after` go by the database's clock: those of two runners' machines may differ.
    """
    rows: QuerySet[Worker] = Worker.objects.filter(
        Q(run_after=None) | Q(run_after__lte=now),
        ~Exists(_waits_for().filter(worker_id=OuterRef("pk"))),
        status=WorkerStatus.PENDING,
    )
    return rows


def _waits_for() -> QuerySet[WorkerDependency]:
    rows: QuerySet[WorkerDependency] = WorkerDependency.objects.exclude(
        needs__status=WorkerStatus.COMPLETE
    )
    return rows


def _lease(seconds: int) -> timedelta:
    if not MIN_LEASE_SECONDS <= seconds <= MAX_LEASE_SECONDS:
        raise Invalid(
            {"lease_seconds": f"must be from {MIN_LEASE_SECONDS} to {MAX_LEASE_SECONDS:,}"}
        )
    return timedelta(seconds=seconds)


def _take(
    worker: Worker,
    actor: Actor,
    agent: Agent,
    lease: timedelta,
    session_id: uuid.UUID | None,
    now: datetime,
) -> Worker:
    funnel.touch(
        worker,
        lease_id=uuid.uuid4(),
        lease_until=now + lease,
        heartbeat_at=now,
        progress_percent=None,
        progress_text="",
    )
    changes: dict[str, Any] = {
        "status": WorkerStatus.RUNNING,
        "attempts": worker.attempts + 1,
        "claimed_by": agent,
        "started_at": now,
        "run_after": None,
        "exit_code": None,
    }
    if session_id is not None:
        changes["run_session"] = funnel.get_row(Session, session_id)
    return funnel.update(worker, changes, actor=actor, action="claim")


def _held(worker_id: uuid.UUID, lease_id: uuid.UUID) -> Worker:
    """The worker, locked, if it runs under this lease."""
    worker = funnel.get_row(Worker, worker_id, lock=True)
    if worker.status != WorkerStatus.RUNNING:
        raise Conflict(f"This worker is {worker.status}, not running.", code="not_running")
    if worker.lease_id != lease_id:
        raise Conflict("This worker runs under another lease.", code="lease_lost")
    return worker


def beat(
    *,
    worker_id: uuid.UUID,
    lease_id: uuid.UUID,
    lease_seconds: int = DEFAULT_LEASE_SECONDS,
    progress_percent: float | None = None,
    progress_text: str | None = None,
    at: datetime | None = None,
) -> Worker:
    """A sign of life: prolongs the lease, and says how far it is. Telemetry.

    `cancel_requested_at` of what comes back tells the caller to stop and to call `fail`.
    """
    seconds = _lease(lease_seconds)
    worker = _held(worker_id, lease_id)
    now = at or database_now()
    funnel.touch(
        worker,
        heartbeat_at=now,
        # A short beat takes nothing from a long lease.
        lease_until=max(now + seconds, worker.lease_until or now),
        **_progress(progress_percent, progress_text),
    )
    return worker


def report_progress(
    *,
    worker_id: uuid.UUID,
    lease_id: uuid.UUID,
    percent: float | None = None,
    text: str | None = None,
) -> Worker:
    """How far it is. Telemetry; the lease stays as long as it was."""
    worker = _held(worker_id, lease_id)
    funnel.touch(worker, **_progress(percent, text))
    return worker


def _progress(percent: float | None, text: str | None) -> dict[str, Any]:
    if percent is not None and not 0 <= percent <= 100:
        raise Invalid({"percent": "must be from 0 to 100"})
    given = {"progress_percent": percent, "progress_text": text}
    return {name: value for name, value in given.items() if value is not None}


def append_output(
    *,
    actor: Actor,
    worker_id: uuid.UUID,
    lease_id: uuid.UUID,
    pieces: Sequence[tuple[str, str]],
) -> list[WorkerOutput]:
    """Keep what it printed: pieces of (stream, text), in order, up to 100,000 for a worker."""
    worker = _held(worker_id, lease_id)
    last = worker.output.order_by("-seq").values_list("seq", flat=True).first() or 0
    if last + len(pieces) > MAX_OUTPUT_PIECES:
        raise Conflict(
            f"This worker has {last:,} pieces of output; at most {MAX_OUTPUT_PIECES:,} are kept.",
            code="output_full",
        )
    rows = [
        WorkerOutput(worker=worker, seq=seq, attempt=worker.attempts, stream=stream, text=text)
        for seq, (stream, text) in enumerate(pieces, start=last + 1)
    ]
    prefixes = [f"pieces[{position}]." for position in range(len(rows))]
    funnel.append(rows, actor=actor, prefixes=prefixes)
    return rows


def ask(
    *,
    actor: Actor,
    worker_id: uuid.UUID,
    lease_id: uuid.UUID,
    question: str,
    options: Sequence[str] = (),
    at: datetime | None = None,
) -> Worker:
    """Ask whoever gave the work, and give the lease up; the conversation is told of it."""
    if not question.strip():
        raise Invalid({"question": "must not be empty"})
    worker = _held(worker_id, lease_id)
    changes = {
        "clarification_question": question,
        "clarification_options": list(options),
        "clarification_asked_at": at or database_now(),
        "clarification_answer": "",
        "clarification_answered_at": None,
    }
    return settle(worker, WorkerStatus.AWAITING_CLARIFICATION, changes, actor=actor, action="ask")


def complete(
    *,
    actor: Actor,
    worker_id: uuid.UUID,
    lease_id: uuid.UUID,
    report: str = "",
    report_summary: str = "",
    exit_code: int | None = None,
    at: datetime | None = None,
) -> Worker:
    """The work is done, also where it was to be cancelled. No summary: the report's start is it."""
    worker = _held(worker_id, lease_id)
    changes = {
        "ended_at": at or database_now(),
        "report": report,
        "report_summary": report_summary or report.strip()[:SUMMARY_LENGTH],
        "exit_code": exit_code,
        "error": "",
    }
    return settle(worker, WorkerStatus.COMPLETE, changes, actor=actor, action="complete")


def fail(
    *,
    actor: Actor,
    worker_id: uuid.UUID,
    lease_id: uuid.UUID,
    error: str,
    report: str = "",
    exit_code: int | None = None,
    final: bool = False,
    at: datetime | None = None,
) -> Worker:
    """The attempt came to nothing: tried again after a while, or failed when attempts are used up.

    `final` says that trying again is pointless. One that was to be cancelled is cancelled.
    """
    worker = _held(worker_id, lease_id)
    now = at or database_now()
    return _attempt_failed(
        worker, actor, now, error=error, report=report, exit_code=exit_code, final=final,
        wait=backoff(worker.attempts),
    )  # fmt: skip


def backoff(attempts: int) -> timedelta:
    """How long to wait after the attempt of this number (from 1): 1, 2, 4 ... 60 minutes."""
    return min(FIRST_BACKOFF * 2 ** min(max(attempts - 1, 0), 10), LONGEST_BACKOFF)


def _attempt_failed(
    worker: Worker,
    actor: Actor,
    now: datetime,
    *,
    error: str,
    wait: timedelta,
    report: str = "",
    exit_code: int | None = None,
    final: bool = False,
) -> Worker:
    changes: dict[str, Any] = {"error": error, "exit_code": exit_code}
    if report:
        changes |= {"report": report, "report_summary": report.strip()[:SUMMARY_LENGTH]}
    if worker.cancel_requested_at is not None:
        changes["ended_at"] = now
        return settle(worker, WorkerStatus.CANCELLED, changes, actor=actor, action="cancel")
    if final or worker.attempts >= worker.max_attempts:
        changes["ended_at"] = now
        return settle(worker, WorkerStatus.FAILED, changes, actor=actor, action="fail")
    changes |= {"run_after": now + wait if wait else None, "claimed_by": None}
    return settle(worker, WorkerStatus.PENDING, changes, actor=actor, action="fail_attempt")


def release(*, actor: Actor, worker_id: uuid.UUID, lease_id: uuid.UUID, reason: str = "") -> Worker:
    """Give a worker back unfinished, the attempt not counted: its runner is shutting down."""
    worker = _held(worker_id, lease_id)
    return _given_back(worker, WorkerStatus.PENDING, None, actor=actor, reason=reason)


def snooze(
    *,
    actor: Actor,
    worker_id: uuid.UUID,
    until: datetime,
    lease_id: uuid.UUID | None = None,
    reason: str = "",
) -> Worker:
    """Let a worker rest until then. One that runs is snoozed by who holds its lease, and the
    attempt is not counted; otherwise Conflict unless it is pending or snoozed."""
    if lease_id is not None:
        worker = _held(worker_id, lease_id)
        return _given_back(worker, WorkerStatus.SNOOZED, until, actor=actor, reason=reason)
    worker = funnel.get_row(Worker, worker_id, lock=True)
    if worker.status not in (WorkerStatus.PENDING, WorkerStatus.SNOOZED):
        raise Conflict(
            f"This worker is {worker.status}; only a pending one is snoozed, or a running one by "
            "who holds its lease.",
            code="not_pending",
        )
    changes = {"run_after": until}
    return settle(
        worker, WorkerStatus.SNOOZED, changes, actor=actor, action="snooze", reason=reason
    )


def _given_back(
    worker: Worker, status: WorkerStatus, until: datetime | None, *, actor: Actor, reason: str
) -> Worker:
    if worker.cancel_requested_at is not None:
        changes: dict[str, Any] = {"ended_at": database_now()}
        return settle(worker, WorkerStatus.CANCELLED, changes, actor=actor, action="cancel")
    changes = {"run_after": until, "attempts": worker.attempts - 1, "claimed_by": None}
    action = "snooze" if status == WorkerStatus.SNOOZED else "release"
    return settle(worker, status, changes, actor=actor, action=action, reason=reason)


def release_lost_leases(*, actor: Actor, at: datetime | None = None, limit: int = BATCH) -> int:
    """Put back what nobody beats for any more, the attempt counted; how many were.

    At once: it is the runner that died, not the work that failed. With its attempts used up a
    worker is failed, lest one that kills its runner does so for ever. Index worker_lease.
    """
    now = at or database_now()
    rows = Worker.objects.filter(status=WorkerStatus.RUNNING, lease_until__lt=now)
    rows = rows.order_by("lease_until").select_for_update(skip_locked=True, no_key=True)
    lost = list(rows[:limit])
    # The missions that follow them, in one order: two that put back runs of the same missions
    # would else wait for each other.
    followed = ScheduledMission.objects.filter(
        pk__in=Mission.objects.filter(worker__in=lost).values("scheduled_mission_id")
    )
    if lost:
        list(followed.order_by("id").select_for_update(no_key=True).values_list("pk"))
    for worker in lost:
        _put_back_lost(worker, actor, now)
    return len(lost)


def _lost(worker: Worker, now: datetime) -> bool:
    return worker.lease_until is not None and worker.lease_until < now


def _put_back_lost(worker: Worker, actor: Actor, now: datetime) -> None:
    error = (
        f"Whoever ran this gave no sign of life until {worker.lease_until:%Y-%m-%d %H:%M:%S} UTC, "
        f"the end of the lease (attempt {worker.attempts} of {worker.max_attempts})."
    )
    _attempt_failed(worker, actor, now, error=error, wait=timedelta(0))


def wake_snoozed(*, actor: Actor, at: datetime | None = None, limit: int = BATCH) -> int:
    """Make pending what was snoozed until now; how many were. Index worker_status."""
    now = at or database_now()
    rows = Worker.objects.filter(status=WorkerStatus.SNOOZED, run_after__lte=now)
    rows = rows.order_by("created_at").select_for_update(skip_locked=True, no_key=True)
    rested = list(rows[:limit])
    for worker in rested:
        settle(worker, WorkerStatus.PENDING, {}, actor=actor, action="wake")
    return len(rested)
