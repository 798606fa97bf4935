"""What is counted, and the SQL that counts a part of it. Shared by the reader (memory/stats.py)
and the job (memory/services/counts.py), so that both mean the same by a state.

Row ids are UUIDv7: what was written after a moment is a range at the end of the primary key.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from config.lib.db.models import WorkspaceRow
from config.lib.scope import current_workspace_id
from contacts.models import Agent, Contact
from memory.models import Memory, Passage
from sessions.models import (
    Handoff,
    Message,
    Mission,
    Notification,
    Ping,
    Priority,
    Project,
    ScheduledMission,
    Session,
    SessionEvent,
    StagedContent,
    Task,
    Thread,
    Worker,
)

NOTHING = "''"
# Before every row.
START = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Counted:
    """One table and how its rows are told apart; expressions are SQL over the table as `t`.

    `day` is the column of the time that a row tells of. `live` is the condition of a partial
    index that holds the rows whose state may still change; all others are in the state `rest`.
    A table whose rows never change state has `state` empty.
    """

    what: str
    model: type[WorkspaceRow]
    state: str = NOTHING
    kind: str = NOTHING
    day: str = ""
    live: str = ""
    rest: str = ""

    @property
    def changes(self) -> bool:
        return self.state != NOTHING

    @property
    def table(self) -> str:
        return f'"{self.model._meta.db_table}" t'


PING = (
    "CASE WHEN t.resolved_at IS NOT NULL THEN 'resolved' "
    "WHEN t.expires_at <= statement_timestamp() THEN 'expired' "
    "WHEN t.acknowledged_at IS NOT NULL THEN 'acknowledged' WHEN t.seen_at IS NOT NULL THEN 'seen' "
    "WHEN t.delivered_at IS NOT NULL THEN 'delivered' ELSE 'created' END"
)
NOTIFICATION = (
    "CASE WHEN t.acked_at IS NOT NULL THEN 'acknowledged' "
    "WHEN t.notified_at IS NOT NULL THEN 'delivered' ELSE 'pending' END"
)

STAGED = (
    "CASE WHEN t.dismissed_at IS NOT NULL THEN 'dismissed' "
    "WHEN t.expires_at <= statement_timestamp() THEN 'expired' ELSE 'shown' END"
)


def _either(column: str, then: str, otherwise: str) -> str:
    return f"CASE WHEN t.{column} IS NOT NULL THEN '{then}' ELSE '{otherwise}' END"


COUNTED = {
    each.what: each
    for each in (
        Counted("agents", Agent, "t.status"),
        Counted("contacts", Contact, _either("merged_into_id", "merged", "active")),
        Counted("projects", Project, _either("archived_at", "archived", "active")),
        # Indexes session_active, ping_open, notification_pending, priority_open,
        # stagedcontent_board for what is live.
        Counted(
            "sessions", Session, "t.current_state",
            day="started_at", live="t.ended_at IS NULL", rest="ended",
        ),
        Counted("events", SessionEvent, day="occurred_at"),
        Counted("threads", Thread, "t.status"),
        Counted("messages", Message, day="occurred_at"),
        Counted("memories", Memory, "t.state", "t.kind", day="recorded_at"),
        Counted(
            "tasks", Task,
            "CASE WHEN t.archived_at IS NOT NULL THEN 'archived' ELSE t.status END",
        ),
        Counted("workers", Worker, "t.status"),
        Counted(
            "scheduled_missions", ScheduledMission,
            "CASE WHEN t.enabled THEN 'enabled' ELSE 'paused' END",
        ),
        Counted("missions", Mission, "t.status"),
        Counted(
            "priorities", Priority, _either("completed_at", "completed", "open"),
            live="t.completed_at IS NULL", rest="completed",
        ),
        Counted("pings", Ping, PING, live="t.resolved_at IS NULL", rest="resolved"),
        Counted(
            "notifications", Notification, NOTIFICATION,
            live="t.acked_at IS NULL", rest="acknowledged",
        ),
        Counted(
            "staged_content", StagedContent, STAGED,
            live="t.dismissed_at IS NULL", rest="dismissed",
        ),
        Counted("handoffs", Handoff, "t.status"),
        Counted("passages", Passage),
    )
}  # fmt: skip
# Kept beside these: passages without a vector, where they are too many to count while one waits.
PENDING = "pending"
BY_DAY = [each for each in COUNTED.values() if each.day]


def id_before(moment: datetime) -> uuid.UUID:
    """The least UUIDv7 of a moment: ids made earlier are below it."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def day_of(each: Counted) -> str:
    """The UTC day of a row, as SQL."""
    return f"(t.{each.day} AT TIME ZONE 'UTC')::date" if each.day else "NULL::date"


Group = tuple[str, str, str, Any, int]


def newest(asked: Sequence[tuple[Counted, uuid.UUID]], most: int, *, days: bool) -> list[Group]:
    """(what, state, kind, day, rows) of what each table has after an id, in one statement.

    At most `most` rows of each are looked at, the newest; primary keys. `day` is null unless
    asked for, and then the groups are finer.
    """
    return _groups(
        [
            (each, "AND t.id > %s ORDER BY t.id DESC", [after], day_of(each) if days else "NULL")
            for each, after in asked
        ],
        most,
    )


def live(asked: Sequence[Counted], most: int) -> list[Group]:
    """The same of the rows whose state may still change; partial indexes."""
    return _groups([(each, f"AND {each.live}", [], "NULL") for each in asked], most)


def _groups(parts: Sequence[tuple[Counted, str, list[Any], str]], most: int) -> list[Group]:
    if not parts:
        return []
    sql: list[str] = []
    parameters: list[Any] = []
    for each, condition, values, day in parts:
        sql.append(
            f"SELECT '{each.what}', g.state::text, g.kind::text, g.day::date, count(*) FROM ("  # noqa: S608
            f"SELECT {each.state} AS state, {each.kind} AS kind, {day} AS day FROM {each.table} "
            f"WHERE t.workspace_id = %s {condition} LIMIT {most:d}) g GROUP BY 2, 3, 4"
        )
        parameters += [current_workspace_id(), *values]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"({part})" for part in sql), parameters)
        return cursor.fetchall()
