"""Cursors for the statements that are asked over and over, as those of each request and search.

Django binds parameters in the client, so PostgreSQL parses and plans each statement as if it were
the first of its kind, which takes longer than the work of a small one. Not for the ORM's.
"""

from typing import Any
from weakref import WeakSet

import psycopg
from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor
from psycopg.pq import Format

# From its third time on a statement is kept by the server, parsed and perhaps planned, for as long
# as the connection lasts, or until a whole transaction rolls back, as that of a failed request
# does: psycopg drops them all then, and when something is dropped or altered.
PREPARE_AFTER = 2

_direct: WeakSet[psycopg.Connection[Any]] = WeakSet()


def allow_preparing(server: psycopg.Connection[Any]) -> None:
    """Note of a new connection whether statements may be kept at its other end."""
    if _is_direct(server):
        _direct.add(server)


def may_prepare(server: psycopg.Connection[Any]) -> bool:
    return server in _direct


def _is_direct(server: psycopg.Connection[Any]) -> bool:
    """Whether PostgreSQL itself answers. A pooler between tells a process id of its own (tried with
    PgBouncer), and may give each transaction another server, which knows nothing of what was
    prepared on the last."""
    row = server.execute("SELECT pg_backend_pid()").fetchone()
    return row is not None and row[0] == server.info.backend_pid


class _Cursor(ServerBindingCursor):
    """Only while it executes does psycopg count statements: it would keep the texts of the last
    hundred of the others, and those of an import have megabytes."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        server: Any = self.connection  # type: ignore[attr-defined]
        server.prepare_threshold = PREPARE_AFTER if may_prepare(server) else None
        try:
            return super().execute(query, params, **options)  # type: ignore[misc]
        finally:
            server.prepare_threshold = None


def prepared_cursor(*, binary: bool = False) -> Any:
    """As `connection.cursor()`; parameters are sent beside the statement, which is kept where it
    can be. One statement each time, with types where PostgreSQL cannot tell them.

    `binary` answers are cheaper where they are mostly numbers; jsonb and times come in other types
    so.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor: Any = _Cursor(connection.connection)  # type: ignore[call-arg]
        cursor.format = Format.BINARY if binary else Format.TEXT
        return connection._prepare_cursor(cursor)  # type: ignore[attr-defined]
