"""Many rows out of few: every row of the demo's workspace copied so many times, by SQL.

A copy has an id of its own, made of the first one's and its number, and points at the copies of
the same number of what its original points at, so that threads stay with their sessions and links
with their memories. Times go back a little with each number. Triggers of foreign keys are off for
the connection: what the rows point to is there. What there are few of in a real workspace too
(agents, keys, projects, embedding spaces, channels, members) is not copied.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import Connection, sql

from benchmarks._server import Bench, superuser

# A month of one team, over and over: so far apart are two copies.
APART = "3 minutes"
# As long as a conversation gets.
LONGEST = 5000
# Unique where they are not empty, and empty with most rows.
EMPTIED = frozenset({"repeat_key", "dedupe_key", "external_id", "vcard_uid", "claude_session_id"})
# Unique and never empty: the number goes behind them.
NUMBERED = frozenset({"slug", "entity_id"})
# The same for what has a form of its own.
FORMED = {
    "email": "n || '.' || o.email",
    "number": "'+49151' || lpad((abs(hashtext(o.id::text || n)) % 100000000)::text, 8, '0')",
}
# A copy of a contact is somebody else.
RENAMED = frozenset({("contacts_contact", "name"), ("contacts_contact", "sort_name")})
# An id's head is its time and stays; its tail is the copy's own.
_COPIED_ID = """
    CREATE FUNCTION pg_temp.copied(id uuid, n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
        SELECT (substr(id::text, 1, 14) || '7' || substr(h, 1, 3) || '-a' || substr(h, 4, 3) || '-'
                || substr(h, 7, 12))::uuid FROM md5(id::text || n) AS h
    $$
"""


@dataclass(frozen=True)
class Wanted:
    """How many rows there are to be, at least, of the tables that are asked for."""

    sessions: int
    messages: int
    events: int
    memories: int

    def times(self, factor: float) -> "Wanted":
        return Wanted(**{name: max(1, round(n * factor)) for name, n in asdict(self).items()})


def multiply(bench: Bench, workspace_id: Any, wanted: Wanted) -> dict[str, Any]:
    """Fill up; how many rows each table has then, and what that took."""
    from memory.models import Memory
    from sessions.models import Message, Session, SessionEvent

    begun = time.perf_counter()
    with superuser(bench) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(_COPIED_ID)
        copier = _Copier(connection, workspace_id)
        copies = -(-wanted.sessions // copier.count(Session)) - 1
        for model in _growing():
            copier.copy(model, 1, copies)
        # Up to the rows wanted: memories of no session; the rest in the longest conversations.
        copier.top_up(Memory, wanted.memories, copies)
        copier.lengthen(Message, "thread_id", "idx", wanted.messages)
        copier.lengthen(SessionEvent, "session_id", "seq", wanted.events)
        copier.recount()
    filled = time.perf_counter() - begun
    with superuser(bench, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        copier = _Copier(connection, workspace_id)
        rows = {model._meta.db_table: copier.count(model) for model in _growing()}
    return {"rows": rows, "seconds": round(filled, 1)}


def _growing() -> list[Any]:
    """The models whose rows are copied."""
    from django.apps import apps

    from config.lib.db.models import WorkspaceRow
    from contacts import models as contacts
    from memory import models as memory
    from sessions import models as sessions

    few = {
        contacts.Agent, contacts.ApiKey, contacts.Membership, contacts.Invitation, contacts.Tag,
        contacts.IdempotencyKey, contacts.RevisionSeal, sessions.Project, sessions.PingChannel,
        memory.EmbeddingSpace, memory.Learning, memory.GoldenQuery, memory.GoldenRun,
        memory.GoldenResult,
    }  # fmt: skip
    found = [model for model in apps.get_models() if issubclass(model, WorkspaceRow)]
    counted = {"memory_rowcount", "memory_daycount", "memory_termstat", "memory_lesson"}
    return [one for one in found if one not in few and one._meta.db_table not in counted]


class _Copier:
    def __init__(self, connection: Connection, workspace_id: Any) -> None:
        self.connection, self.workspace_id = connection, workspace_id

    def count(self, model: Any) -> int:
        row = self.connection.execute(
            sql.SQL("SELECT count(*) FROM {} WHERE workspace_id = %s").format(_table(model)),
            [self.workspace_id],
        ).fetchone()
        return int(row[0]) if row else 0

    def copy(self, model: Any, first: int, last: int) -> None:
        """Copies number `first` to `last` of every row there was at the beginning. What there can
        be only one of (a project's passage) stays one."""
        from config.lib.db.fields import ScopedForeignKey

        growing = set(_growing())
        names, values = [], []
        for field in model._meta.concrete_fields:
            if field.generated:
                continue
            name = sql.Identifier(field.column)
            value: sql.Composable = sql.SQL("o.{}").format(name)
            if field.column == "id" or (
                isinstance(field, ScopedForeignKey) and field.related_model in growing
            ):
                value = sql.SQL("pg_temp.copied(o.{}, n)").format(name)
            if field.column in EMPTIED:
                value = sql.SQL("''")
            elif field.column in NUMBERED:
                value = sql.SQL("o.{} || '-' || n").format(name)
            elif field.column in FORMED:
                value = sql.SQL(FORMED[field.column])
            elif (model._meta.db_table, field.column) in RENAMED:
                value = sql.SQL("substr(md5(o.id::text || n), 1, 9) || ' ' || o.{}").format(name)
            elif field.get_internal_type() == "DateTimeField":
                value = sql.SQL("o.{} - n * {}::interval").format(name, sql.Literal(APART))
            names.append(name)
            values.append(value)
        table = _table(model)
        self.connection.execute(
            sql.SQL(
                "INSERT INTO {} ({}) SELECT {} FROM {} o, generate_series({}, {}) n "
                "WHERE o.workspace_id = {} ON CONFLICT DO NOTHING"
            ).format(
                table, sql.SQL(", ").join(names), sql.SQL(", ").join(values), table,
                sql.Literal(first), sql.Literal(last), sql.Literal(str(self.workspace_id)),
            )
        )  # fmt: skip

    def top_up(self, model: Any, wanted: int, copies: int) -> None:
        """More copies of the newest rows, without a session."""
        missing = wanted - self.count(model)
        if missing <= 0:
            return
        table = _table(model)
        columns = [f.column for f in model._meta.concrete_fields if not f.generated]
        changed = {
            "id": "pg_temp.copied(o.id, n)", "session_id": "NULL", "superseded_by_id": "NULL",
            "external_id": "''", "repeat_key": "''", "text": "o.text || ' (' || n || ')'",
        }  # fmt: skip
        taken = ", ".join(changed.get(column, f"o.{column}") for column in columns)
        self.connection.execute(
            sql.SQL(
                "INSERT INTO {} ({}) SELECT "
                + taken
                + " FROM (SELECT * FROM {} WHERE workspace_id = %s ORDER BY id DESC LIMIT 100) o, "
                "generate_series(%s, %s) n LIMIT %s"
            ).format(table, sql.SQL(", ").join(map(sql.Identifier, columns)), table),
            [self.workspace_id, 1_000_000, 1_000_000 + missing // 100 + 1, missing],
        )

    def lengthen(self, model: Any, of: str, number: str, wanted: int) -> None:
        """Append copies of their own rows to as many parents as it takes, each up to LONGEST."""
        missing = wanted - self.count(model)
        if missing <= 0:
            return
        table = _table(model)
        columns = [f.column for f in model._meta.concrete_fields if not f.generated]
        changed = {
            # Beyond the numbers of the copies there are.
            "id": "pg_temp.copied(o.id, 2000000 + n)", number: "p.most + n",
            "dedupe_key": "''", "native_uuid": "''",
        }  # fmt: skip
        taken = ", ".join(changed.get(column, f"o.{column}") for column in columns)
        self.connection.execute(
            sql.SQL(
                f"WITH p AS (SELECT {of} AS parent, max({number}) AS most, min(id::text)::uuid "
                f"AS one FROM {{}} WHERE workspace_id = %s GROUP BY 1 ORDER BY 1 DESC LIMIT %s) "
                f"INSERT INTO {{}} ({{}}) SELECT {taken} FROM p JOIN {{}} o "
                f"ON o.workspace_id = %s AND o.id = p.one, generate_series(1, %s) n LIMIT %s"
            ).format(table, table, sql.SQL(", ").join(map(sql.Identifier, columns)), table),
            [
                self.workspace_id, missing // LONGEST + 1, self.workspace_id,
                min(LONGEST, missing), missing,
            ],
        )  # fmt: skip

    def recount(self) -> None:
        """The counters that lists show."""
        for table, counter, rows, of in (
            ("agent_sessions_thread", "message_count", "agent_sessions_message", "thread_id"),
            ("agent_sessions_session", "message_count", "agent_sessions_message", "session_id"),
            ("agent_sessions_session", "event_count", "agent_sessions_sessionevent", "session_id"),
        ):
            self.connection.execute(
                f"UPDATE {table} t SET {counter} = r.n FROM (SELECT {of} AS id, count(*) AS n "
                f"FROM {rows} WHERE workspace_id = %s GROUP BY 1) r "
                f"WHERE t.workspace_id = %s AND t.id = r.id AND t.{counter} <> r.n",
                [self.workspace_id, self.workspace_id],
            )


def _table(model: Any) -> sql.Identifier:
    return sql.Identifier(model._meta.db_table)
