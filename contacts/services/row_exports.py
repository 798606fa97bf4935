"""Rows of any model as CSV, JSON or NDJSON, streamed: a batch at a time, each in its own scope.

In the order in which they were made. Not for contacts as people exchange them (exports.py).
"""

import uuid
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

import orjson
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import QuerySet

from config.lib.scope import workspace_scope
from contacts.services.funnel import HIDDEN, plain
from contacts.services.sheets import write_cells

# Each may bring a body of a megabyte.
BATCH = 100
# What a file can hold; vectors and bytes say nothing outside.
_KINDS = (
    models.CharField, models.TextField, models.UUIDField, models.DateField, models.BooleanField,
    models.IntegerField, models.FloatField, models.DecimalField, models.DurationField,
    models.JSONField, models.ForeignKey, ArrayField,
)  # fmt: skip
# Who knows a lease may report in its worker's name.
SECRET = HIDDEN | {"lease_id", "repeat_key"}


class RowFormat(StrEnum):
    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"

    @property
    def content_type(self) -> str:
        kinds = {"csv": "text/csv", "json": "application/json", "ndjson": "application/x-ndjson"}
        return f"{kinds[self.value]}; charset=utf-8"


def columns(model: type[models.Model]) -> list[str]:
    """What is exported of a model: neither secrets nor their digests, nor what search made."""
    return [
        field.attname
        for field in model._meta.concrete_fields
        if isinstance(field, _KINDS)
        and not isinstance(field, models.GeneratedField)
        and field.attname not in SECRET
        and not field.attname.endswith("digest")
    ]


def row_parts(workspace_id: uuid.UUID, rows: QuerySet[Any], wanted: RowFormat) -> Iterator[bytes]:
    """The file's parts. Read outside any scope: each batch enters one of its own."""
    names = columns(rows.model)
    rows = rows.order_by("pk")
    cursor: uuid.UUID | None = None
    first = True
    if wanted is RowFormat.CSV:
        yield ("\ufeff" + write_cells(names)).encode()
    elif wanted is RowFormat.JSON:
        yield b"["
    while True:
        with workspace_scope(workspace_id):
            batch = rows if cursor is None else rows.filter(pk__gt=cursor)
            found = list(batch.values_list("pk", *names)[:BATCH])
        lines = [_written(names, values, wanted) for _, *values in found]
        if lines:
            comma = b",\n" if wanted is RowFormat.JSON else b""
            yield (b"" if first else comma) + comma.join(lines)
            first = False
        if len(found) < BATCH:
            break
        cursor = found[-1][0]
    if wanted is RowFormat.JSON:
        yield b"]\n"


def _written(names: Sequence[str], values: Sequence[Any], wanted: RowFormat) -> bytes:
    if wanted is RowFormat.CSV:
        return write_cells([_cell(value) for value in values]).encode()
    ending = b"\n" if wanted is RowFormat.NDJSON else b""
    return _json(dict(zip(names, values, strict=True))) + ending


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return _json(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value)


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=_default)


def _default(value: Any) -> Any:
    found = plain(value)
    return str(value) if found is value else found
