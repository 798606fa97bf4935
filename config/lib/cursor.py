"""Keyset pages: stable under inserts, and as fast on page 1,000 as on page 1.

Not for offsets and totals; a list that needs a count gets it from stats.
"""

import base64
import binascii
import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleLessThan

from config.lib.errors import Invalid
from config.lib.text import text_problem

DEFAULT_LIMIT, MAX_LIMIT = 50, 200


def page(
    rows: QuerySet[Any],
    *,
    order: Sequence[str],
    cursor: str | None,
    limit: int = DEFAULT_LIMIT,
) -> tuple[list[Any], str | None]:
    """One page of `rows` and the cursor of the next, or None at the end.

    `order` names columns that are unique together and never null, all ascending or all
    descending ("-name"), as an index has them. The cursor is the last row's values: opaque to
    callers, checked here, no secret.
    """
    descending = order[0].startswith("-")
    names = [name.lstrip("-") for name in order]
    rows = rows.order_by(*order)
    if cursor:
        values = read_cursor(cursor, [rows.model._meta.get_field(name) for name in names])
        compare = TupleLessThan if descending else TupleGreaterThan
        rows = rows.filter(compare(tuple(F(name) for name in names), values))
    found = list(rows[: limit + 1])
    if len(found) <= limit:
        return found, None
    found.pop()
    last = found[-1]
    get = last.get if isinstance(last, dict) else lambda name: getattr(last, name)
    return found, write_cursor([get(name) for name in names])


def write_cursor(values: list[Any]) -> str:
    """The values of a row that a list goes on after."""
    return base64.urlsafe_b64encode(orjson.dumps(values)).rstrip(b"=").decode()


def read_cursor(cursor: str, fields: Sequence[Any]) -> tuple[Any, ...]:
    """The values, each parsed as its column's type: a cursor is input like any other."""
    wrong = Invalid({"cursor": "is not a cursor of this list; leave it out to start again"})
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        raw = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, orjson.JSONDecodeError, UnicodeEncodeError):
        raise wrong from None
    if not isinstance(raw, list) or len(raw) != len(fields):
        raise wrong
    try:
        return tuple(_column_value(field, value) for field, value in zip(fields, raw, strict=True))
    except (ValueError, TypeError, AttributeError, ValidationError):
        raise wrong from None


def _column_value(field: Any, value: Any) -> Any:
    """`value` as the column has it, or one of the errors above: what the column's type does not
    have, the database would not even compare."""
    if field.is_relation:
        field = field.target_field
    kind = field.get_internal_type()
    if kind == "UUIDField":
        return uuid.UUID(value)
    if kind == "DateTimeField":
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("a time without a zone")
        return moment
    if kind == "DateField":
        return date.fromisoformat(value)
    expected = {"BooleanField": bool, "CharField": str}.get(kind, int)
    if type(value) is not expected or (isinstance(value, str) and text_problem(value)):
        raise ValueError("not of the column's type")
    field.run_validators(value)
    return value
