"""Many new rows of one model, as fast as PostgreSQL takes them through row-level security.

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
