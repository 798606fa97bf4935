"""Several small reads in one statement: each costs the database little, each trip a page's time.

Not for long lists, whose rows would be made into JSON for nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet


def read_together(queries: Mapping[str, QuerySet[Any, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each of these values() querysets, in their order, as dicts of Python values."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in queries}
    parts, parameters, readers = [], [], {}
    for name, rows in queries.items():
        compiler = rows.query.get_compiler(connection=connection)
        try:
            sql, values = compiler.as_sql()
        except EmptyResultSet:
            continue
        columns = list(rows.query.selected or ())
        readers[name] = [
            (column, expression.output_field)
            for column, (expression, _, _) in zip(columns, compiler.select, strict=True)
        ]
        aliases = ", ".join(connection.ops.quote_name(column) for column in columns)
        parts.append(f"(SELECT json_agg(t)::text FROM ({sql}) AS t({aliases}))")  # noqa: S608
        parameters += values
    for (name, fields), text in zip(readers.items(), _one_row(parts, parameters), strict=True):
        for row in json.loads(text or "[]"):
            found[name].append({column: field.to_python(row[column]) for column, field in fields})
    return found


def count_together(queries: Mapping[str, QuerySet[Any, Any]]) -> dict[str, int]:
    """How many rows each has, no further than its own limit."""
    found = dict.fromkeys(queries, 0)
    parts, parameters, asked = [], [], []
    for name, rows in queries.items():
        try:
            sql, values = rows.query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            continue
        asked.append(name)
        parts.append(f"(SELECT count(*) FROM ({sql}) AS t)")  # noqa: S608
        parameters += values
    return found | dict(zip(asked, _one_row(parts, parameters), strict=True))


def _one_row(parts: list[str], parameters: list[Any]) -> tuple[Any, ...]:
    if not parts:
        return ()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", parameters)
        row: tuple[Any, ...] = cursor.fetchone()
    return row
