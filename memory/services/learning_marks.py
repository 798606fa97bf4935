"""Which sessions have something new to learn from: marked by those who write it, in their own
transaction, so that nothing is missed whatever becomes of a job.

At the end of a turn or a session it is looked at at once; else when it has been quiet, or at least
after a while. Not for looking at it (learning.py).
"""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from config.lib import clock
from config.lib.actor import Actor
from config.lib.ids import new_id
from config.lib.jobs import Job
from config.lib.scope import current_workspace_id
from memory.services import queue
from sessions.models import Message, Session, SessionEvent
from sessions.models.thread import MessageRole

LEARN_TASK = "memory.learn"
# After vectors, before near duplicates.
PRIORITY = -15
# An agent that says no end of its turns, an import, an upload.
QUIET = timedelta(minutes=2)
LEARNER = Actor("system", "", "extraction", "job")
TURN_ENDS = frozenset({"turn_end"})
# Events that say themselves what is to be kept.
DECISIONS = frozenset({"decision_made", "decision"})
PATTERNS = frozenset({"pattern_identified"})
ERRORS = frozenset({"error_encountered", "error"})
TELLING = DECISIONS | PATTERNS | ERRORS

_MARK = """
    INSERT INTO memory_learning (id, workspace_id, created_at, session_id, due_at, marks, threads,
                                 seq, summary_digest, model_threads, model_failures)
    SELECT id, %s, %s, session, %s, 1, '{}', 0, '', '{}', 0
    FROM unnest(%s::uuid[], %s::uuid[]) AS new (id, session)
    ON CONFLICT (workspace_id, session_id) DO UPDATE
    SET due_at = least(memory_learning.due_at, excluded.due_at), marks = memory_learning.marks + 1
"""


def mark_sessions(sessions: Collection[uuid.UUID], *, at_once: bool) -> None:
    """Say that something is new in these. In the transaction that writes it."""
    if not sessions or not settings.EXTRACT:
        return
    now = clock.now()
    workspace_id = current_workspace_id()
    due: datetime = now if at_once else now + QUIET
    # In order: of two who mark the same ones, each would else wait for the other.
    ids = sorted(set(sessions))
    with connection.cursor() as cursor:
        cursor.execute(_MARK, [workspace_id, now, due, [new_id() for _ in ids], ids])
    if at_once:
        learn_job(workspace_id).defer_on_commit()


def learn_job(workspace_id: uuid.UUID) -> Job:
    return Job(
        task=LEARN_TASK,
        queue=queue.QUEUE,
        lock=f"learn:{workspace_id}",
        arguments={"workspace_id": str(workspace_id)},
        priority=PRIORITY,
        alone=True,
    )


# --- Who writes something new ---------------------------------------------------------------------


def messages_written(rows: Sequence[Message], actor: Actor) -> None:
    spoken = (MessageRole.USER, MessageRole.ASSISTANT)
    mark_sessions({row.session_id for row in rows if row.role in spoken}, at_once=False)


def events_written(rows: Sequence[SessionEvent], actor: Actor) -> None:
    # An import tells of turns that ended long ago.
    live = actor.channel != "import"
    ended = {row.session_id for row in rows if live and row.event_type in TURN_ENDS}
    mark_sessions(ended, at_once=True)
    telling = {row.session_id for row in rows if row.event_type in TELLING | TURN_ENDS}
    mark_sessions(telling - ended, at_once=False)


def sessions_written(rows: Sequence[Session], actor: Actor) -> None:
    if actor is not LEARNER:
        mark_sessions({row.pk for row in rows if row.ended_at is not None}, at_once=True)
