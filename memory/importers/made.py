"""A draft's row as it is made where the draft is new: with its values, and checked.

It touches no database, so the reader's thread makes it while the database works. What that knows is
set, and checked, when it is written (writer.py).
"""

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from django.db import models

from config.lib.db.models import SourcedRow, WorkspaceRow
from config.lib.errors import Invalid
from config.lib.ids import new_id
from contacts.services import funnel
from memory.importers.kinds import prepare
from memory.importers.rows import Appended, Draft, Made, Model
from sessions.models import Session
from sessions.services import events, threads
from sessions.services.events import NewEvent


def make_row(draft: Draft, source: str, workspace_id: uuid.UUID) -> Made:
    """What cannot be stored stays on the row, and is said in `problems`."""
    values: dict[str, Any] = {"id": new_id(), "workspace_id": workspace_id}
    if issubclass(draft.model, SourcedRow):
        values |= {"source": source, "external_id": draft.key}
    values |= draft.values
    # All columns by their place: by their names Django takes a fifth longer.
    columns: list[Any] = [
        values.pop(attname) if attname in values else default()
        for attname, default in _columns(draft.model)
    ]
    make: Callable[..., WorkspaceRow] = draft.model
    row = make(*columns)
    for name, value in values.items():
        setattr(row, name, value)
    try:
        prepare(row)
        funnel.check(row, only=_own(draft.model))
    except Invalid as error:
        return Made(row, dict(error.errors))
    return Made(row)


def make_appended(appended: Appended, workspace_id: uuid.UUID) -> Appended:
    """With the rows that its messages or events become."""
    rows = tuple(
        events.made(one, workspace_id)
        if isinstance(one, NewEvent)
        else threads.made(one, workspace_id)
        for one in appended.rows
    )
    return replace(appended, rows=rows)


@cache
def _columns(model: Model) -> list[tuple[str, Callable[[], Any]]]:
    """Each attribute and what makes its default."""
    return [
        (field.attname, _nothing if isinstance(field, models.GeneratedField) else field.get_default)
        for field in model._meta.concrete_fields
    ]


def _nothing() -> Any:
    return models.DEFERRED


@cache
def _own(model: Model) -> frozenset[str]:
    return frozenset(field.name for field in model._meta.concrete_fields) - set_late(model)


@cache
def set_late(model: Model) -> frozenset[str]:
    """The fields that are set when the row is written."""
    fields = model._meta.concrete_fields
    names = {field.name for field in fields if isinstance(field, models.ForeignKey)}
    return frozenset(names | {"conversation_id"} if model is Session else names)
