"""A draft's row as it is made where the draft is new: with its values, and checked.

It touches no database, so the reader's thread makes it while the database works. What that knows is
set, and checked, when it is written (writer.py).
"""

import uuid
from dataclasses import replace
from functools import cache

from django.db import models

from config.lib.db.models import SourcedRow
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
    row = draft.model(id=new_id(), workspace_id=workspace_id)
    if isinstance(row, SourcedRow):
        row.source, row.external_id = source, draft.key
    for name, value in draft.values.items():
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
def _own(model: Model) -> frozenset[str]:
    return frozenset(field.name for field in model._meta.concrete_fields) - set_late(model)


@cache
def set_late(model: Model) -> frozenset[str]:
    """The fields that are set when the row is written."""
    fields = model._meta.concrete_fields
    names = {field.name for field in fields if isinstance(field, models.ForeignKey)}
    return frozenset(names | {"conversation_id"} if model is Session else names)
