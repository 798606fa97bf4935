"""Learning from sessions as they go and end: what is new since the last time is read in one
transaction, thought about in none, and written in another.

Which sessions: learning_marks.py. What becomes of a finding: lessons.py. A language model, where
one is configured, is asked elsewhere (proposals.py).
"""

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, OperationalError
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left, Length, Right

from config.lib import clock
from config.lib.errors import Conflict, DomainError
from config.lib.phrases import read_phrases
from config.lib.recalled import ends_without_recalled, without_recalled
from config.lib.scope import current_workspace_id, workspace_scope
from contacts.services import erasing, funnel
from memory.learning import prose, rules
from memory.learning.tools import Call, troubles_of
from memory.models import Learning, Lesson
from memory.models.memory import Kind
from memory.services.learning_marks import DECISIONS, ERRORS, LEARNER, PATTERNS, QUIET, TELLING
from memory.services.lessons import Finding, keep
from memory.services.proposals import propose_job
from memory.services.summaries import OwnSummary, is_own, read_for_summary
from memory.summaries.calls import read_calls
from memory.summaries.facts import people_spoke
from memory.summaries.material import TELLING_KEYS
from sessions.models import Message, Session, SessionEvent, Thread

log = structlog.get_logger()

HEADS = 100
# What one look reads at most; the rest has its turn in the next one. All that it finds is written
# in one transaction.
MOST_MESSAGES, MOST_EVENTS, MOST_THREADS = 200, 1_000, 200
# A session that goes on is summarised again after so long, one that ends always.
SUMMARY_EVERY = timedelta(minutes=10)
# Ways out of errors that one session proposes: a person has to look at each.
MOST_FIXES = 3
FIXED, DECISION_EVENT, PATTERN_EVENT, ERROR_EVENT = (
    "fixed", "decision-event", "pattern-event", "error-event",
)  # fmt: skip
WEAK_CONFIDENCE = 0.6
_RESOLUTIONS = ("resolution", "fix", "solution", "resolved_by")
_EVENT_CHARACTERS = 4_000
MOST_EVENT_TEXT = 2_000


@dataclass(slots=True)
class _Read:
    """What one look found new in a session."""

    place: Learning
    session: Session
    threads: dict[str, int]
    seq: int
    erased: int
    messages: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    summary: OwnSummary | None = None
    more: bool = False


def learn_due(workspace_id: uuid.UUID, *, seconds: float) -> bool:
    """Look at what is due in a workspace, for so long; whether something still is. Outside any
    scope. Index learning_due."""
    end = time.monotonic() + seconds
    seen: set[uuid.UUID] = set()
    while True:
        with workspace_scope(workspace_id):
            rows = Learning.objects.filter(due_at__lte=clock.now()).order_by("due_at")
            due = list(rows.values_list("session_id", flat=True)[:HEADS])
        todo = [pk for pk in due if pk not in seen]
        if not todo:
            return False
        for session_id in todo:
            if not learn_session(workspace_id, session_id):
                seen.add(session_id)
            if time.monotonic() > end:
                return True


def learn_session(workspace_id: uuid.UUID, session_id: uuid.UUID) -> bool:
    """Look at what is new in one session; whether there is more. Outside any scope. What fails is
    logged and put off: one session must not hold up the others."""
    try:
        with workspace_scope(workspace_id):
            read = _read(session_id)
        if read is None:
            return False
        findings = list(_findings(read))
        if read.summary is not None:
            read.summary.think()
        with workspace_scope(workspace_id):
            return _write(read, findings)
    except (DomainError, IntegrityError, OperationalError) as error:
        # Somebody deleted or wrote the same rows meanwhile.
        log.warning("not_learned", session=str(session_id), error=repr(error))
    except Exception:
        log.exception("not_learned", session=str(session_id))
    with workspace_scope(workspace_id):
        Learning.objects.filter(session_id=session_id).update(due_at=clock.now() + 5 * QUIET)
    return False


def learn_again(workspace_id: uuid.UUID) -> int:
    """Have all sessions looked at from their beginning, as after an upgrade of the rules; how many.
    What was found before is not found twice. In a scope."""
    known = set(Learning.objects.values_list("session_id", flat=True))
    new = [pk for pk in Session.objects.values_list("pk", flat=True) if pk not in known]
    now = clock.now()
    Learning.objects.update(due_at=now, threads={}, seq=0)
    Learning.objects.bulk_create(
        [Learning(session_id=pk, due_at=now) for pk in new], batch_size=500, ignore_conflicts=True
    )
    return len(known) + len(new)


# --- Reading --------------------------------------------------------------------------------------


def _read(session_id: uuid.UUID) -> _Read | None:
    erased = erasing.erased_so_far()
    place = Learning.objects.filter(session_id=session_id).first()
    session = Session.objects.select_related("agent").filter(pk=session_id).first()
    if place is None or session is None or place.due_at is None:
        return None
    read = _Read(place, session, dict(place.threads), place.seq, erased)
    _read_messages(read)
    _read_events(read)
    if read.more:
        return read
    read.calls = read_calls(session.pk)
    if _summary_is_due(place, session):
        read.summary = read_for_summary(session)
    return read


def _summary_is_due(place: Learning, session: Session) -> bool:
    if session.summary and session.summary_data and not is_own(session, place.summary_digest):
        return False
    last = place.summarised_at
    return last is None or session.ended_at is not None or last <= clock.now() - SUMMARY_EVERY


def _read_messages(read: _Read) -> None:
    """What people said in the session's own threads: in one below another an agent speaks to its
    subagent. Indexes thread_session, message_idx_unique."""
    threads = Thread.objects.filter(session_id=read.session.pk, parent=None, message_count__gt=0)
    rows = threads.order_by("created_at", "id").values_list("id", "message_count")
    left = MOST_MESSAGES
    for thread_id, count in rows[:MOST_THREADS]:
        first = read.threads.get(str(thread_id), 0)
        if first >= count:
            continue
        if not left:
            read.more = True
            return
        until = min(count, first + left)
        left -= until - first
        said = Message.objects.filter(
            people_spoke(), thread_id=thread_id, idx__gte=first, idx__lt=until
        ).exclude(content="")
        read.messages += said.order_by("idx").values(
            "id",
            "occurred_at",
            head=Left("content", prose.HEAD),
            tail=Right("content", prose.TAIL),
            length=Length("content"),
            forked=KeyTextTransform("forked_from", "metadata"),
            sidechain=KeyTextTransform("is_sidechain", "metadata"),
        )
        read.threads[str(thread_id)] = until
        read.more = read.more or until < count


def _read_events(read: _Read) -> None:
    """Index event_seq_unique."""
    last = min(read.session.event_count, read.seq + MOST_EVENTS)
    rows = SessionEvent.objects.filter(
        session_id=read.session.pk, seq__gt=read.seq, seq__lte=last, event_type__in=sorted(TELLING)
    )
    about = {
        f"about_{key}": Left(KeyTextTransform(key, "data"), _EVENT_CHARACTERS)
        for key in (*TELLING_KEYS, *_RESOLUTIONS)
        if key != "text"
    }
    read.events = list(
        rows.order_by("seq").values(
            "id", "event_type", "occurred_at", said=Left("text", _EVENT_CHARACTERS), **about
        )
    )
    read.more = read.more or last < read.session.event_count
    read.seq = last


# --- Finding --------------------------------------------------------------------------------------


def _findings(read: _Read) -> Iterable[Finding]:
    yield from _of_messages(read.messages)
    yield from _of_events(read.events)
    yield from _of_calls(read.calls)


def _of_messages(messages: Sequence[dict[str, Any]]) -> Iterable[Finding]:
    phrases = read_phrases(settings.EXTRACT_PHRASES)
    for row in messages:
        if row["sidechain"] == "true":
            continue
        text = row["head"]
        if row["length"] > prose.HEAD:
            # The two ends may overlap; what is read twice is found once.
            text = ends_without_recalled(text, row["tail"])
        for found in rules.find(text, phrases):
            yield Finding(
                rule=found.rule.name,
                kind=found.kind,
                text=found.text,
                quote=found.quote,
                message_id=row["id"],
                at=row["occurred_at"],
                explicit=not found.weak,
                confidence=WEAK_CONFIDENCE if found.weak else found.rule.confidence,
                counts=not row["forked"],
                told={"language": found.language},
            )


def _of_events(events: Sequence[dict[str, Any]]) -> Iterable[Finding]:
    for row in events:
        text = _told_of(row)
        if not text:
            continue
        event_type, at = row["event_type"], row["occurred_at"]
        if event_type in DECISIONS:
            yield Finding(
                DECISION_EVENT, Kind.DECISION, text, text, event_ids=[row["id"]], at=at,
                confidence=0.8,
            )  # fmt: skip
        elif event_type in PATTERNS:
            yield Finding(
                PATTERN_EVENT, Kind.LEARNING_PATTERN, text, text, event_ids=[row["id"]], at=at,
                explicit=False,
            )  # fmt: skip
        elif event_type in ERRORS and (way_out := _first(row, _RESOLUTIONS)):
            yield Finding(
                ERROR_EVENT, Kind.LEARNING_PATTERN, f"{text}\nWay out: {way_out}", text,
                event_ids=[row["id"]], at=at, explicit=False,
            )  # fmt: skip


def _told_of(row: dict[str, Any]) -> str:
    text = without_recalled(row["said"]).strip()
    text = text or _first(row, [key for key in TELLING_KEYS if key != "text"])
    return text[:MOST_EVENT_TEXT]


def _first(row: dict[str, Any], keys: Iterable[str]) -> str:
    texts = (without_recalled(row[f"about_{key}"] or "").strip() for key in keys)
    return next((text for text in texts if text), "")[:MOST_EVENT_TEXT]


def _of_calls(calls: Sequence[Call]) -> Iterable[Finding]:
    """What failed more than once, until files were changed and it worked."""
    for trouble in troubles_of(calls):
        if not trouble.teaches or trouble.fixed_by is None:
            continue
        yield Finding(
            rule=FIXED,
            kind=Kind.LEARNING_PATTERN,
            text=trouble.lesson(),
            quote=trouble.line,
            event_ids=[trouble.call.event_id, trouble.fixed_by.event_id],
            explicit=False,
            confidence=0.4,
            told={"failures": trouble.failures},
        )


# --- Writing --------------------------------------------------------------------------------------


def _write(read: _Read, findings: Sequence[Finding]) -> bool:
    """Whether there is more to read. Raises Conflict, which undoes it all, where somebody else has
    looked or erased meanwhile: the place is locked last, since whoever writes to the session marks
    it."""
    session = read.session
    erasing.require_nothing_erased(read.erased)
    fixes = Lesson.objects.filter(session_id=session.pk, rule=FIXED).count()
    for finding in findings:
        if finding.rule == FIXED and fixes >= MOST_FIXES:
            continue
        made = keep(session, finding)
        fixes += finding.rule == FIXED and made is not None
    changes: dict[str, Any] = {"threads": read.threads, "seq": read.seq}
    if read.summary is not None:
        digest = read.summary.write(
            actor=LEARNER, session_id=session.pk, digest=read.place.summary_digest
        )
        changes["summarised_at"] = clock.now()
        if digest is not None:
            changes["summary_digest"] = digest
    place = funnel.get_row(Learning, read.place.pk, lock=True)
    if (place.threads, place.seq) != (read.place.threads, read.place.seq):
        raise Conflict("This session was read by another job.", code="concurrent_change")
    changes["due_at"] = _next(read, place)
    if settings.EXTRACT_PROVIDER != "none" and session.ended_at is not None:
        changes["model_due_at"] = place.model_due_at or clock.now()
        propose_job(current_workspace_id()).defer_on_commit()
    funnel.touch(place, **changes)
    return read.more


def _next(read: _Read, place: Learning) -> datetime | None:
    """When there is something to read again: what came meanwhile waits its time."""
    if read.more:
        return clock.now()
    return None if place.marks == read.place.marks else clock.now() + QUIET
