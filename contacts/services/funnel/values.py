"""A row's fields as Revisions keep them: JSON values, without what says nothing to their reader."""

import datetime
import decimal
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from django.db import models

from config.lib.db.models import VersionedRow, WorkspaceRow

R = TypeVar("R", bound=WorkspaceRow)
V = TypeVar("V", bound=VersionedRow)
# Neither says anything to a person who reads a Revision.
_UNRECORDED = frozenset(
    {
        "id", "workspace_id", "created_at", "updated_at", "version", "repeat_key",
        "bucket_tokens", "bucket_at", "bucket_granted",
    }
)  # fmt: skip
# A secret's digest is no secret, but it is nobody's business either; what is to be erased
# (`wanted`) would be kept by the record of its erasure.
HIDDEN = frozenset({"digest", "secret", "wanted"})
# Values that are JSON as they are.
_JSON = frozenset({str, int, float, bool, dict, list, type(None)})


@dataclass(frozen=True, slots=True)
class Part:
    """What belongs to a row and lies in rows of its own (a contact's emails), as JSON values.

    It is written after its row and before the announcement, and recorded in the row's Revision.
    """

    name: str
    before: Any
    after: Any
    write: Callable[[], None]


def snapshot(row: models.Model) -> dict[str, Any]:
    """A row's recorded fields as JSON values; what is still at its default is left out."""
    values: dict[str, Any] = {}
    held = row.__dict__
    for attname, name in _recorded(type(row)):
        # Only what was deferred is not at hand.
        value = held[attname] if attname in held else getattr(row, attname)
        if not value and value in (None, "", [], {}):
            continue
        values[name] = value if type(value) in _JSON else plain(value)
    return values


@cache
def _recorded(model: type[models.Model]) -> list[tuple[str, str]]:
    """The attributes and names of a model's recorded fields."""
    return [
        (field.attname, field.name)
        for field in model._meta.concrete_fields
        if field.attname not in _UNRECORDED
        and field.name not in HIDDEN
        and not isinstance(field, models.GeneratedField)
    ]


def last(row: WorkspaceRow) -> dict[str, Any]:
    """A row that goes: also since when it was there, which nothing else will know."""
    return snapshot(row) | {"created_at": plain(row.created_at)}


def whole(row: WorkspaceRow) -> dict[str, Any]:
    """Every column of an append-only row; none of them is a secret's digest."""
    return {name: plain(getattr(row, attname)) for attname, name in _columns(type(row))}


@cache
def _columns(model: type[models.Model]) -> list[tuple[str, str]]:
    return [
        (field.attname, field.name)
        for field in model._meta.concrete_fields
        if field.name not in ("id", "workspace") and not isinstance(field, models.GeneratedField)
    ]


def plain(value: Any) -> Any:
    """A field's value as JSON has it, and a Revision keeps it."""
    if type(value) in _JSON:
        return value
    if isinstance(value, models.Model):
        return str(value.pk)
    if isinstance(value, (uuid.UUID, decimal.Decimal)):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return value


def name_of(row: models.Model) -> str:
    return str(row._meta.verbose_name)
