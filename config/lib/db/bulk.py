"""Many new rows of one model, as fast as PostgreSQL takes them through row-level security.

COPY is refused under row-level security, and bulk_create spends more time on making SQL text than
the server on running it. This sends one INSERT with bound parameters in pipeline mode. Not for
rows with defaults made by the database, and it calls no save(), signal or announcement.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import psycopg
from django.db import connection, models
from psycopg.types.json import Jsonb


def insert_rows(rows: Sequence[models.Model]) -> None:
    """Insert `rows`, all of one model, in the current transaction."""
    if not rows:
        return
    sql, columns = _statement(type(rows[0]))
    values = [
        [
            convert(getattr(row, name)) if convert else getattr(row, name)
            for name, convert in columns
        ]
        for row in rows
    ]
    connection.ensure_connection()
    # Errors become Django's, as everywhere else.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.executemany(sql, values)
    for row in rows:
        row._state.adding = False
        row._state.db = connection.alias


@cache
def _statement(
    model: type[models.Model],
) -> tuple[str, list[tuple[str, Callable[[Any], Any] | None]]]:
    """The INSERT of a model, and for each parameter its attribute and how it is sent."""
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, models.GeneratedField)]
    names = ", ".join(f'"{field.column}"' for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    sql = f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({marks})'
    return sql, [(field.attname, _converter(field)) for field in fields]


def _converter(field: Any) -> Callable[[Any], Any] | None:
    if isinstance(field, models.JSONField):
        return Jsonb
    if type(field).__module__.startswith("pgvector"):
        return lambda value: field.get_db_prep_save(value, connection)
    return None
