"""Rows at scale: the services' own, written by COPY with the large indexes made afterwards.

Sessions and threads come from the services; messages and their passages are made by the
product's own functions (sources.of_messages) and streamed in, with vectors, as the superuser,
since COPY is refused under row-level security. Triggers of foreign keys are off for those two
connections: what the rows point to is there. `same_as_services` compares such rows with written
ones, so that the two ways do not part.
"""

import contextlib
import time
from collections.abc import Container, Iterator, Sequence
from typing import Any

import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql

from benchmarks._server import Bench, superuser

# What two rows of one text never share.
DIFFERENT = ("id", "workspace_id", "created_at", "occurred_at", "recorded_at")


class Streams:
    """Two COPYs that stay open: psycopg holds back no more than the server has not taken."""

    def __init__(self, message: psycopg.Copy, passage: psycopg.Copy) -> None:
        from memory.models import Passage
        from sessions.models import Message

        self._message, self._passage = message, passage
        self._of_message = columns_of(Message)
        self._of_passage = columns_of(Passage)
        self.messages = self.passages = 0

    def write(
        self, messages: Sequence[Any], passages: Sequence[Any], vectors: Any, space_id: Any
    ) -> None:
        """Message rows, and NewPassage rows with one vector each."""
        for message in messages:
            self._message.write_row([getattr(message, name) for name in self._of_message])
        shared = {"workspace_id": messages[0].workspace_id, "created_at": messages[0].created_at}
        shared["space_id"] = space_id
        for passage, vector in zip(passages, vectors, strict=True):
            own = shared | {"of_message_id": passage["of"], "embedding": HalfVector(vector)}
            self._passage.write_row(
                [own[name] if name in own else passage.get(name) for name in self._of_passage]
            )
        self.messages += len(messages)
        self.passages += len(passages)


def columns_of(model: Any) -> list[str]:
    return [field.column for field in model._meta.concrete_fields if not field.generated]


@contextlib.contextmanager
def streams(bench: Bench) -> Iterator[Streams]:
    """Committed together at the end."""
    from memory.models import Passage
    from sessions.models import Message

    with contextlib.ExitStack() as stack:
        copies = []
        for model in (Message, Passage):
            connection = stack.enter_context(superuser(bench))
            register_vector(connection)
            connection.execute("SET session_replication_role = replica")
            columns, table = columns_of(model), model._meta.db_table
            types: dict[str, int] = dict(
                connection.execute(
                    "SELECT attname, atttypid FROM pg_attribute WHERE attrelid = %s::regclass",
                    [table],
                ).fetchall()
            )
            statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            copy = stack.enter_context(stack.enter_context(connection.cursor()).copy(statement))
            copy.set_types([types[column] for column in columns])
            copies.append(copy)
        yield Streams(*copies)


@contextlib.contextmanager
def without_large_indexes(bench: Bench, memory_mb: int, told: dict[str, Any]) -> Iterator[None]:
    """HNSW and GIN indexes of the passages are dropped for the block, and made again by their
    own definitions; `told` is given the seconds of each and what memory they had."""
    with superuser(bench, autocommit=True) as connection:
        found = connection.execute(
            "SELECT i.relname, pg_get_indexdef(i.oid) FROM pg_index x "
            "JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am a ON a.oid = i.relam "
            "WHERE x.indrelid = 'memory_passage'::regclass AND a.amname IN ('hnsw', 'gin') "
            "ORDER BY a.amname"
        ).fetchall()
        for name, _ in found:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    workers = 2
    told |= {"maintenance_work_mem_mb": memory_mb, "parallel_workers": workers, "seconds": {}}
    with superuser(bench, autocommit=True) as connection:
        # Before the indexes are there: what is dead now would cost a pass over each of them.
        connection.execute("VACUUM ANALYZE")
        connection.execute(f"SET maintenance_work_mem = '{memory_mb:d}MB'")
        connection.execute(f"SET max_parallel_maintenance_workers = {workers:d}")
        for name, definition in found:
            begun = time.perf_counter()
            connection.execute(definition.encode())
            told["seconds"][name] = round(time.perf_counter() - begun, 1)


def same_as_services(bench: Bench, one: Any, other: Any, known: Container[str]) -> int:
    """How many messages two workspaces have alike, column by column, with their passages.

    `one` was written by the services, `other` by COPY, of the same texts; those in `known` have
    the same vector. Raises RuntimeError at a difference.
    """
    with superuser(bench) as connection:
        compared = 0
        for table in ("agent_sessions_message", "memory_passage"):
            written = _rows(connection, table, one, known)
            for left, right in zip(written, _rows(connection, table, other, known), strict=True):
                if left != right:
                    names = [name for name in left if left[name] != right.get(name)]
                    raise RuntimeError(f"{table}: a row by COPY differs in {names}")
            compared = compared or len(written)
    return compared


def _rows(
    connection: psycopg.Connection, table: str, workspace: Any, known: Container[str]
) -> list[dict[str, Any]]:
    """In the order of the texts. Ids of other rows, and vectors made anew, are given or not."""
    of_messages = "kind = 'message'" if table == "memory_passage" else "true"
    kept = []
    for (row,) in connection.execute(
        f"SELECT to_jsonb(t) FROM {table} t WHERE workspace_id = %s AND {of_messages} "
        "ORDER BY t.thread_id, t.idx, t.id",
        [workspace],
    ):
        for name in DIFFERENT:
            row.pop(name, None)
        for name, value in row.items():
            if name.endswith("_id") or (name == "embedding" and row["text"] not in known):
                row[name] = value is not None
        if "tsv" in row:
            # The workspace is a word of it.
            row["tsv"] = row["tsv"].replace(workspace.hex, "")
        kept.append(row)
    return kept
