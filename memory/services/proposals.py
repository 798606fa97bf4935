"""A language model proposes memories of sessions that have ended. Each waits for a person's review.

Off unless REMEMBRANCER_EXTRACT_PROVIDER says otherwise: by this, texts of sessions leave the
machine. A session is read in one transaction, the model asked in none, and what it says written
in another.
Not for what it is asked (memory/learning/asking.py).
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import DatabaseError
from django.db.models.functions import Left, Length, Right

from config.lib import clock
from config.lib.errors import DomainError
from config.lib.jobs import Job
from config.lib.recalled import ends_without_recalled, without_recalled
from config.lib.redact import redact_text
from config.lib.scope import workspace_scope
from contacts.services import erasing, funnel
from memory.endpoints.chat import MOST_ANSWER_TOKENS
from memory.learning.asking import (
    MOST_CHARACTERS,
    MOST_LINES,
    PURPOSE,
    SCHEMA,
    SYSTEM,
    Line,
    MalformedError,
    Proposal,
    ProposalError,
    RefusedError,
    as_asked,
    ask_for,
    read_proposals,
    shortened,
)
from memory.models import Learning
from memory.models.memory import MODEL_METHOD, Trust
from memory.services import model_use, queue
from memory.services.chunks import estimate_tokens
from memory.services.lessons import Finding, keep
from memory.services.model_use import FIRST_WAIT, MOST_FAILURES, pause, server
from sessions.models import Message, Session, Thread
from sessions.models.thread import MessageRole

log = structlog.get_logger()

PROPOSE_TASK = "memory.propose"
PRIORITY = -30
RULE = "model"
CONFIDENCE = 0.5
# Of a text as it is read: both ends of a longer one.
READ_CHARACTERS = 4_000
MOST_THREADS = 200
HEADS = 20


@dataclass(slots=True)
class _Slice:
    """The next messages of a session, and where its threads stand behind them."""

    place: Learning
    session: Session
    threads: dict[str, int]
    erased: int
    lines: list[Line] = field(default_factory=list)
    messages: list[tuple[uuid.UUID, datetime]] = field(default_factory=list)
    more: bool = False


def propose_job(workspace_id: uuid.UUID) -> Job:
    return Job(
        task=PROPOSE_TASK,
        queue=queue.QUEUE,
        lock=f"propose:{workspace_id}",
        arguments={"workspace_id": str(workspace_id)},
        priority=PRIORITY,
        # A server of a model is asked one thing at a time, and keeps one worker at most.
        alone=True,
    )


def propose_due(workspace_id: uuid.UUID, *, seconds: float) -> bool:
    """Ask for sessions that are due, until so long has passed; whether some still are. Outside any
    scope. Index learning_model_due."""
    if not model_use.is_set():
        return False
    end = time.monotonic() + seconds
    while not pause.problem(server()):
        with workspace_scope(workspace_id):
            rows = Learning.objects.filter(model_due_at__lte=clock.now()).order_by("model_due_at")
            due = list(rows.values_list("session_id", flat=True)[:HEADS])
        if not due:
            return False
        for session_id in due:
            propose_for(workspace_id, session_id)
            if time.monotonic() > end:
                return True
            if pause.problem(server()):
                break
    # The sweep goes on when the server is worth a try again.
    return False


def propose_for(workspace_id: uuid.UUID, session_id: uuid.UUID) -> None:
    """Ask about the next slice of a session. Outside any scope; what fails is put off."""
    with workspace_scope(workspace_id):
        part = _read(session_id)
    if part is None:
        return
    if not part.lines:
        with workspace_scope(workspace_id):
            _move_on(part)
        return
    asked = ask_for(part.lines)
    estimate = estimate_tokens(SYSTEM) + estimate_tokens(asked) + estimate_tokens(str(SCHEMA))
    estimate += MOST_ANSWER_TOKENS
    with workspace_scope(workspace_id):
        day = model_use.reserve(estimate)
        if day is None:
            _put_off(part.place, model_use.tomorrow())
            log.warning("extraction_budget_used", workspace=str(workspace_id))
            return
    used: int | None = None
    try:
        chat = model_use.get_chat(PURPOSE)
        reply = chat.ask(SYSTEM, asked)
        used = reply.tokens or estimate - MOST_ANSWER_TOKENS + estimate_tokens(str(reply.content))
        proposals = read_proposals(reply.content, part.lines)
    except ProposalError as error:
        with workspace_scope(workspace_id):
            # A call that never got an answer cost nothing that we know of.
            model_use.settle(day, estimate, used if used is not None else 0, error)
            _failed(part, error)
        return
    try:
        with workspace_scope(workspace_id):
            model_use.settle(day, estimate, used)
            _write(part, proposals, chat.method)
    except (DomainError, DatabaseError) as error:
        log.warning("proposals_not_written", session=str(session_id), error=repr(error))
        with workspace_scope(workspace_id):
            _put_off(part.place, clock.now() + FIRST_WAIT)


# --- Reading --------------------------------------------------------------------------------------


def _read(session_id: uuid.UUID) -> _Slice | None:
    """What people and agents said to each other since the last time, as much as one question
    holds. Indexes thread_session, message_idx_unique."""
    erased = erasing.erased_so_far()
    place = Learning.objects.filter(session_id=session_id).first()
    session = Session.objects.select_related("agent").filter(pk=session_id).first()
    if place is None or session is None or place.model_due_at is None:
        return None
    part = _Slice(place, session, dict(place.model_threads), erased)
    threads = Thread.objects.filter(session_id=session_id, parent=None, message_count__gt=0)
    room = MOST_CHARACTERS
    for thread_id, count in threads.order_by("created_at", "id").values_list("id", "message_count")[
        :MOST_THREADS
    ]:
        first = part.threads.get(str(thread_id), 0)
        if first >= count:
            continue
        rows = Message.objects.filter(
            thread_id=thread_id, idx__gte=first, role__in=(MessageRole.USER, MessageRole.ASSISTANT)
        ).exclude(content="")
        told = rows.order_by("idx").values_list(
            "id", "idx", "role", "occurred_at",
            Left("content", READ_CHARACTERS), Right("content", READ_CHARACTERS), Length("content"),
        )[: MOST_LINES + 1]  # fmt: skip
        for pk, idx, role, at, head, tail, length in told:
            line = Line(role, _own(head, tail, length))
            size = len(as_asked(len(part.lines) + 1, line)) + 1
            if len(part.lines) == MOST_LINES or (size > room and part.lines):
                part.threads[str(thread_id)] = idx
                part.more = True
                return part
            if line.text:
                room -= size
                part.lines.append(line)
                part.messages.append((pk, at))
        part.threads[str(thread_id)] = count
    return part


def _own(head: str, tail: str, length: int) -> str:
    whole = length <= READ_CHARACTERS
    text = without_recalled(head) if whole else ends_without_recalled(head, tail)
    return shortened(redact_text(text))


# --- Writing --------------------------------------------------------------------------------------


def _write(part: _Slice, proposals: Sequence[Proposal], method: str) -> None:
    erasing.require_nothing_erased(part.erased)
    for one in proposals:
        message_id, at = part.messages[one.line]
        keep(
            part.session,
            Finding(
                rule=RULE,
                kind=one.kind,
                text=one.text,
                quote=one.quote,
                message_id=message_id,
                at=at,
                explicit=False,
                confidence=CONFIDENCE,
                method=MODEL_METHOD + method,
                trust=Trust.EXTERNAL,
                told={"model": method},
            ),
        )
    _move_on(part)


def _move_on(part: _Slice) -> None:
    due = clock.now() if part.more else None
    funnel.touch(part.place, model_threads=part.threads, model_due_at=due, model_failures=0)


def _put_off(place: Learning, until: datetime) -> None:
    funnel.touch(place, model_due_at=until)


def _failed(part: _Slice, error: ProposalError) -> None:
    place, failures = part.place, part.place.model_failures + 1
    log.warning("extraction_failed", session=str(part.session.pk), error=str(error))
    useless = isinstance(error, (MalformedError, RefusedError))
    if useless and failures >= MOST_FAILURES:
        _move_on(part)
        return
    if not useless:
        pause.begin(server(), error)
    due = clock.now() + model_use.wait_after(failures, error)
    funnel.touch(place, model_due_at=due, model_failures=failures)
