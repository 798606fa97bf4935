"""Retention: what is old enough, by kind and workspace, goes; a job does it by night.

Two ways to go. Searches, hooks' payloads, golden runs and days of keys are deleted. What is
numbered, named again by an import, or sealed is emptied and keeps its place: numbers have no gaps,
a transcript that is read again brings nothing back, counters stay right, seals verify. Not for
erasing something with every trace, nor for summaries, memories and conversations, which stay until
somebody deletes them.

Age is since we were told (an id's time), so an import of years is kept as long as what came today.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Case, Exists, JSONField, OuterRef, Q, QuerySet, Value, When

from config.lib import clock
from config.lib.db.owner import as_owner
from config.lib.scope import workspace_scope
from contacts.models import Revision, UsageDay
from contacts.preferences import RETAINED, preferences
from contacts.services import seals
from memory.counted import START, id_before
from memory.models import Evidence, GoldenRun, HookPayload, Passage, Receipt
from memory.models.hooks import PayloadState
from memory.models.memory import MemoryState
from sessions.models import Mission, Notification, RawLine, SessionEvent, WorkerOutput

log = structlog.get_logger()

# Rows written by one transaction, and rows it reads at most to find them.
BATCH, WINDOW = 1000, 20_000
# What nobody could map is kept longer than what was.
LEFT_DAYS = 365
# How long golden runs are kept: what changed since is for people to read.
RUN_DAYS = 365
# What a key did is compared with the same month of a year ago.
USE_DAYS = 400
# What is left of an event's `data`; session.error_count follows from the second.
EMPTIED = {"emptied": True}
EMPTIED_FAILURE = {"emptied": True, "is_error": True}

Rows = QuerySet[Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """`due` are the rows that may go after so many days; `act` lets these go, and counts them.

    `empties`: rows stay and are gone through by their ids; else they are deleted, oldest first.
    `by_owner`: the runtime role may not. `default` is the server's number of days, None for ever.
    """

    name: str
    model: Any
    due: Callable[[int], Rows]
    act: Callable[[Sequence[uuid.UUID]], int]
    default: Callable[[], int | None]
    empties: bool = True
    by_owner: bool = False
    batch: int = BATCH


@dataclass(slots=True)
class Retained:
    """What became of one kind in one workspace; with `dry_run`, what would have. `skipped` says
    why nothing was done though it should have been."""

    kind: str
    days: int | None
    rows: int = 0
    skipped: str = ""


# --- What may go ------------------------------------------------------------------------------


def _ended(prefix: str) -> Q:
    """Of sessions that ended, and of no mission that runs."""
    running = Mission.objects.filter(session_id=OuterRef("session_id"), ended_at=None)
    return Q(~Exists(running), **{f"{prefix}__ended_at__isnull": False})


def _events(days: int) -> Rows:
    """Without those that a memory in use rests on. Indexes evidence_event, mission_session."""
    used = Q(memory__state__in=[MemoryState.ACTIVE, MemoryState.QUARANTINED])
    rested_on = Evidence.objects.filter(used | Q(memory__pinned=True), event_id=OuterRef("pk"))
    says = ~Q(text="") | ~(Q(data=EMPTIED) | Q(data=EMPTIED_FAILURE))
    return SessionEvent.objects.filter(says, _ended("session"), ~Exists(rested_on))


def _empty_events(ids: Sequence[uuid.UUID]) -> int:
    Passage.objects.filter(of_event_id__in=ids).delete()
    failed = When(data__contains={"is_error": True}, then=Value(EMPTIED_FAILURE, JSONField()))
    data = Case(failed, default=Value(EMPTIED, JSONField()))
    return SessionEvent.objects.filter(pk__any_of=ids).update(text="", data=data)


def _raw_lines(days: int) -> Rows:
    return RawLine.objects.filter(~Q(raw=""), _ended("session"))


def _empty_raw_lines(ids: Sequence[uuid.UUID]) -> int:
    return RawLine.objects.filter(pk__any_of=ids).update(raw="")


def _output(days: int) -> Rows:
    return WorkerOutput.objects.filter(~Q(text=""), worker__ended_at__isnull=False)


def _empty_output(ids: Sequence[uuid.UUID]) -> int:
    return WorkerOutput.objects.filter(pk__any_of=ids).update(text="")


def _notifications(days: int) -> Rows:
    """A conversation is told once, so the row stays."""
    return Notification.objects.filter(~Q(payload={}), acked_at__isnull=False)


def _empty_notifications(ids: Sequence[uuid.UUID]) -> int:
    return Notification.objects.filter(pk__any_of=ids).update(payload={})


def _revisions(days: int) -> Rows:
    """What is not sealed yet has its turn the next night."""
    return Revision.objects.filter(seal__isnull=False, erased_at=None)


def _empty_revisions(ids: Sequence[uuid.UUID]) -> int:
    return seals.empty(Revision.objects.filter(pk__any_of=ids, erased_at=None))


def _before(days: int) -> datetime:
    return clock.now() - timedelta(days=days)


def _receipts(days: int) -> Rows:
    """With the feedback on them. Index receipt_list."""
    return Receipt.objects.filter(created_at__lt=_before(days)).order_by("created_at", "id")


def _payloads(days: int) -> Rows:
    """What was not mapped is kept a year, or longer where the setting says so. Index
    hookpayload_list."""
    left = Q(
        created_at__lt=_before(max(days, LEFT_DAYS)),
        state__in=[PayloadState.UNMAPPED, PayloadState.FAILED],
    )
    mapped = Q(created_at__lt=_before(days), state=PayloadState.MAPPED)
    # What a running session was told is asked for with each prompt.
    over = Q(session=None) | Q(session__ended_at__isnull=False)
    rows = HookPayload.objects.filter(mapped | left, over, created_at__lt=_before(days))
    return rows.order_by("created_at", "id")


def _golden_runs(days: int) -> Rows:
    """With their results. By the primary key: runs are few."""
    return GoldenRun.objects.filter(created_at__lt=_before(days)).order_by("id")


def _key_usage(days: int) -> Rows:
    """Index usageday_unique."""
    return UsageDay.objects.filter(day__lt=_before(days).date()).order_by("day", "api_key_id")


def _delete(model: Any) -> Callable[[Sequence[uuid.UUID]], int]:
    def delete(ids: Sequence[uuid.UUID]) -> int:
        model.objects.filter(pk__any_of=ids).delete()
        return len(ids)

    return delete


def _for_ever() -> int | None:
    return None


KINDS = {
    kind.name: kind
    for kind in (
        Kind("receipts", Receipt, _receipts, _delete(Receipt), lambda: int(settings.RECEIPT_DAYS),
             empties=False),
        # 0 of this setting keeps them all.
        Kind("payloads", HookPayload, _payloads, _delete(HookPayload),
             lambda: int(settings.HOOK_DAYS) or None, empties=False),
        Kind("golden_runs", GoldenRun, _golden_runs, _delete(GoldenRun), lambda: RUN_DAYS,
             empties=False, batch=20),
        Kind("key_usage", UsageDay, _key_usage, _delete(UsageDay), lambda: USE_DAYS,
             empties=False),
        Kind("notifications", Notification, _notifications, _empty_notifications, _for_ever),
        Kind("events", SessionEvent, _events, _empty_events, _for_ever, by_owner=True),
        Kind("raw_lines", RawLine, _raw_lines, _empty_raw_lines, _for_ever, by_owner=True),
        Kind("worker_output", WorkerOutput, _output, _empty_output, _for_ever, by_owner=True),
        # Last: what the others change is on no record, but should it be one day, it is of now.
        Kind("revisions", Revision, _revisions, _empty_revisions, _for_ever, by_owner=True),
    )
}  # fmt: skip
if set(KINDS) != set(RETAINED):
    raise RuntimeError("the kinds that settings may name are not those that are kept here")


# --- Letting it go ----------------------------------------------------------------------------


def days_of(workspace_id: uuid.UUID) -> dict[str, int | None]:
    """For how many days each kind is kept; None for ever. Opens its own scope."""
    with workspace_scope(workspace_id):
        own = preferences().retention
    return {name: own.get(name, kind.default()) for name, kind in KINDS.items()}


def retain(
    workspace_id: uuid.UUID, *, dry_run: bool = False, kinds: Iterable[str] = tuple(KINDS)
) -> list[Retained]:
    """Let go what is past its time, in transactions of BATCH rows; or count it.

    Outside any scope. Killed at any moment, the next run finds the rest, and so it does with what
    somebody else held just then. What only the tables'
    owner may is done by that login, and skipped, with a sentence that says so, where none is known.
    """
    days = days_of(workspace_id)
    report = []
    for kind in (KINDS[name] for name in kinds):
        done = Retained(kind.name, days[kind.name])
        report.append(done)
        if done.days is None:
            continue
        if kind.by_owner and not dry_run and settings.OWNER_URL is None:
            done.skipped = "DATABASE_OWNER_URL is needed: only the owner of the tables may do this"
            continue
        with _login(kind, dry_run):
            for count in _batches(workspace_id, kind, done.days, dry_run=dry_run):
                done.rows += count
        if done.rows and not dry_run:
            log.info(
                "retained", workspace=str(workspace_id), kind=kind.name, days=done.days,
                rows=done.rows,
            )  # fmt: skip
    return report


@contextmanager
def _login(kind: Kind, dry_run: bool) -> Iterator[None]:
    owner = kind.by_owner and not dry_run
    with as_owner("empty what is past its time") if owner else nullcontext():
        yield


def _batches(workspace_id: uuid.UUID, kind: Kind, days: int, *, dry_run: bool) -> Iterator[int]:
    """How many rows each transaction let go. Each opens a scope of its own."""
    if not kind.empties:
        yield from _deleted(workspace_id, kind, days, dry_run=dry_run)
        return
    after, end = START, id_before(_before(days))
    while True:
        with workspace_scope(workspace_id):
            stop, ids, count = _part(kind, days, after, end, dry_run=dry_run)
            if ids:
                count = kind.act(ids)
        yield count
        if len(ids) == kind.batch:
            after = ids[-1]
        elif stop is None:
            return
        else:
            after = stop


def _part(
    kind: Kind, days: int, after: uuid.UUID, end: uuid.UUID, *, dry_run: bool
) -> tuple[uuid.UUID | None, list[uuid.UUID], int]:
    """Of the next WINDOW rows: the last one (None, when there are fewer) and those that are due;
    when only counted, how many. Primary keys."""
    rows = kind.model.objects.filter(id__gt=after, id__lt=end).order_by("id")
    stop = rows.values_list("id", flat=True)[WINDOW - 1 : WINDOW].first()
    due = kind.due(days).filter(id__gt=after, id__lt=end).order_by("id")
    if stop is not None:
        due = due.filter(id__lte=stop)
    if dry_run:
        return stop, [], due.count()
    return stop, _taken(due, kind), 0


def _deleted(workspace_id: uuid.UUID, kind: Kind, days: int, *, dry_run: bool) -> Iterator[int]:
    if dry_run:
        with workspace_scope(workspace_id):
            yield kind.due(days).count()
        return
    while True:
        with workspace_scope(workspace_id):
            ids = _taken(kind.due(days), kind)
            count = kind.act(ids) if ids else 0
        if not ids:
            return
        yield count


def _taken(due: Rows, kind: Kind) -> list[uuid.UUID]:
    """A batch of those that may go, locked. A row that somebody else holds is not waited for: it
    has its turn the next night. Others read on meanwhile, and write whatever is not due."""
    free = due.select_for_update(skip_locked=True, of=("self",), no_key=kind.empties)
    return list(free.values_list("id", flat=True)[: kind.batch])
