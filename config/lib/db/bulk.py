"""Many rows of one model, new or changed, as fast as PostgreSQL takes them through row-level
security.

COPY is refused under row-level security, and bulk_create spends more time on making SQL text than
the server on running it. This sends the rows as one JSON parameter of one statement, whatever
their number; bound by the server, so that it is neither quoted here nor parsed as SQL there. Not
for rows with defaults made by the database; it calls no save(), no signal.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from django.db import connection, models
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from psycopg.types.json import Json

from config.lib.scope import current_workspace_id

# A statement's worth: bounded memory on both sides.
STATEMENT_ROWS = 1000


def insert_rows(rows: Sequence[models.Model]) -> None:
    """Insert `rows`, all of one model, in the current transaction."""
    if not rows:
        return
    model = type(rows[0])
    insert_values(model, [row.__dict__ for row in rows])
    for row in rows:
        row._state.adding = False
        row._state.db = connection.alias


def insert_values(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """The same of rows that are no objects: every column's value by its attribute's name."""
    if not rows:
        return
    sql, names = _statement(model)
    with bound_cursor() as cursor:
        for start in range(0, len(rows), STATEMENT_ROWS):
            part = rows[start : start + STATEMENT_ROWS]
            # What is not said is null.
            told = [{c: v for a, c in names if (v := row[a]) is not None} for row in part]
            cursor.execute(sql, [as_json(told)])


def update_values(
    model: type[models.Model],
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    versioned: bool = False,
) -> int:
    """Write the attributes `names` over rows of this workspace by their `id`; how many there were.
    `versioned`: only over those that are still at `version`, which becomes one more."""
    sql = _update(model, tuple(names), versioned)
    columns = _columns(model)
    sent = [(name, columns[name]) for name in ("id", *(["version"] if versioned else []), *names)]
    written = 0
    with bound_cursor() as cursor:
        for start in range(0, len(rows), STATEMENT_ROWS):
            part = rows[start : start + STATEMENT_ROWS]
            values = as_json([{c: row[a] for a, c in sent} for row in part])
            ids = [row["id"] for row in part]
            cursor.execute(sql, [values, current_workspace_id(), ids])
            written += cursor.rowcount
    return written


@cache
def _update(model: type[models.Model], names: tuple[str, ...], versioned: bool) -> str:
    """The ids are said once more, as an array: of how few rows that names, the planner knows."""
    columns = _columns(model)
    table = f'"{model._meta.db_table}"'
    changes = [f'"{columns[name]}" = x."{columns[name]}"' for name in names]
    same = ""
    if versioned:
        changes.append("version = t.version + 1")
        same = " AND t.version = x.version"
    return (
        f"UPDATE {table} AS t SET {', '.join(changes)} "  # noqa: S608  (names of our own models)
        f"FROM json_populate_recordset(NULL::{table}, %s::json) AS x "
        f"WHERE t.workspace_id = %s AND t.id = ANY(%s) AND t.id = x.id{same}"
    )


@cache
def _columns(model: type[models.Model]) -> dict[str, str]:
    """Each column by its attribute's name."""
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, models.GeneratedField)]
    return {field.attname: field.column or "" for field in fields}


@contextlib.contextmanager
def pipelined() -> Iterator[None]:
    """The server works on one statement while the next is made. For this module's inserts alone:
    what they raise may come with a later one, or at the end, and no statement in here may ask for
    rows or for their number."""
    connection.ensure_connection()
    server: Any = connection.connection
    with connection.wrap_database_errors, server.pipeline():
        yield


def bound_cursor() -> CursorWrapper:
    """A cursor whose parameters are sent beside the statement: for those of many bytes."""
    connection.ensure_connection()
    cursor: Any = ServerBindingCursor(connection.connection)  # type: ignore[call-arg]
    if connection.queries_logged:
        return connection.make_debug_cursor(cursor)
    return connection.make_cursor(cursor)


@cache
def _statement(model: type[models.Model]) -> tuple[str, list[tuple[str, str]]]:
    """The INSERT of a model, and each column's attribute and name."""
    names = _columns(model)
    columns = ", ".join(f'"{column}"' for column in names.values())
    table = f'"{model._meta.db_table}"'
    sql = (
        f"INSERT INTO {table} ({columns}) "  # noqa: S608  (names of our own models)
        f"SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s::json)"
    )
    return sql, list(names.items())


def as_json(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows as one parameter, which is not copied once more."""
    return Json(rows, dumps=_dump)


def _dump(rows: Any) -> bytes:
    try:
        return orjson.dumps(rows, default=_plain)
    except TypeError:
        # An integer of more than 64 bits, which JSON and jsonb can hold.
        return json.dumps(rows, default=_plain, ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    """What JSON has no form for, as PostgreSQL reads it from a text."""
    if isinstance(value, (bytes, memoryview)):
        return "\\x" + bytes(value).hex()
    return str(value)
