"""Many rows of one model written at once, as fast as row-level security lets PostgreSQL take them.

COPY is refused under row-level security, and bulk_create spends more time on making SQL text than
the server on running it. This sends the rows as one JSON parameter of one statement, whatever
their number. Not for rows with defaults made by the database; it calls no save(), no signal.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
from django.db import connection, models

from config.lib.scope import current_workspace_id

# A statement's worth: bounded memory on both sides.
STATEMENT_ROWS = 1000


def insert_rows(rows: Sequence[models.Model]) -> None:
    """Insert `rows`, all of one model, in the current transaction."""
    if not rows:
        return
    sql, names = _statement(type(rows[0]))
    with connection.cursor() as cursor:
        for start in range(0, len(rows), STATEMENT_ROWS):
            part = rows[start : start + STATEMENT_ROWS]
            cursor.execute(sql, [_dump([{c: getattr(r, a) for a, c in names} for r in part])])
    for row in rows:
        row._state.adding = False
        row._state.db = connection.alias


def update_rows(rows: Sequence[models.Model], names: Sequence[str]) -> int:
    """Write these attributes of `rows`, all of one model of the current workspace, each its own
    values; how many there were. No save(), no signal, no version."""
    if not rows:
        return 0
    sql, attributes = _update_statement(type(rows[0]), tuple(names))
    workspace_id = current_workspace_id()
    written = 0
    with connection.cursor() as cursor:
        for start in range(0, len(rows), STATEMENT_ROWS):
            part = rows[start : start + STATEMENT_ROWS]
            values = _dump([{c: getattr(r, a) for a, c in attributes} for r in part])
            cursor.execute(sql, [values, workspace_id, [row.pk for row in part]])
            written += cursor.rowcount
    return written


@cache
def _update_statement(
    model: type[models.Model], names: tuple[str, ...]
) -> tuple[str, list[tuple[str, str]]]:
    """The ids are said once more, as an array: the planner knows of that how few rows it names."""
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    table = f'"{model._meta.db_table}"'
    changes = ", ".join(f'"{field.column}" = new."{field.column}"' for field in fields)
    columns = ", ".join(f'"{field.column}" {field.db_type(connection)}' for field in fields)
    sql = (
        f"UPDATE {table} AS old SET {changes} "  # noqa: S608  (names of our own models)
        f"FROM json_to_recordset(%s::json) AS new (id uuid, {columns}) "
        "WHERE old.workspace_id = %s AND old.id = ANY(%s) AND old.id = new.id"
    )
    return sql, [("id", "id"), *((field.attname, field.column) for field in fields)]


@cache
def _statement(model: type[models.Model]) -> tuple[str, list[tuple[str, str]]]:
    """The INSERT of a model, and each column's attribute and name."""
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, models.GeneratedField)]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    table = f'"{model._meta.db_table}"'
    sql = (
        f"INSERT INTO {table} ({columns}) "  # noqa: S608  (names of our own models)
        f"SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s::json)"
    )
    return sql, [(field.attname, field.column or "") for field in fields]


def _dump(rows: list[dict[str, Any]]) -> str:
    try:
        return orjson.dumps(rows, default=_plain).decode()
    except TypeError:
        # An integer of more than 64 bits, which JSON and jsonb can hold.
        return json.dumps(rows, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """What JSON has no form for, as PostgreSQL reads it from a text."""
    if isinstance(value, (bytes, memoryview)):
        return "\\x" + bytes(value).hex()
    return str(value)
