"""Rows of a statement of our own as models, where the ORM would take longer than the database."""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models

M = TypeVar("M", bound=models.Model)


@cache
def _converters(model: type[models.Model]) -> list[tuple[int, list[Any]]]:
    """(place, what makes a Python value of the column's) of the fields that need it."""
    fields = enumerate(model._meta.concrete_fields)
    found = ((place, field.get_db_converters(connection)) for place, field in fields)
    return [(place, converters) for place, converters in found if converters]


def made_of(model: type[M], values: Sequence[Any]) -> M:
    """A model of the values of its columns, in their order; what follows them is left alone."""
    fields = model._meta.concrete_fields
    row = list(values[: len(fields)])
    for place, converters in _converters(model):
        for convert in converters:
            row[place] = convert(row[place], None, connection)
    return model.from_db(connection.alias, [str(field.attname) for field in fields], row)
