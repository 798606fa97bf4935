"""How each model's rows are changed and brought back, as its app says at its start; and what their
Revisions keep, read as their fields have it."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models

from config.lib.actor import Actor
from config.lib.db.models import WorkspaceRow
from contacts.models import Revision
from contacts.services import funnel

Parts = Callable[[Any, Mapping[str, Any]], Sequence[funnel.Part]]


@dataclass(frozen=True, slots=True)
class Way:
    """How rows of a model are changed: `update(actor=, {row_id}=, changes=, reason=)`, by which
    fields; `scope` is what a key needs for it, without `:read` and `:write`.

    `parts` are written with a row that is brought back; None where a row is not all there was (a
    session's messages are gone). `read` makes a part's value of what its Revisions keep, `held` is
    what they would keep of the parts of rows now, by their ids. `follows` are fields that the
    service sets by itself when another one of the same change is set. `may_restore(actor, row,
    deletion)` raises where this one may not bring a row back. `actions` has, by the action of a
    Revision, what takes back a change that follows from more than its fields, and its row.
    """

    update: Callable[..., Any]
    row_id: str
    editable: frozenset[str]
    scope: str
    parts: Parts | None = None
    read: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    held: Callable[[Collection[uuid.UUID]], Mapping[uuid.UUID, Mapping[str, Any]]] | None = None
    follows: frozenset[str] = frozenset()
    may_restore: Callable[[Actor, Any, Revision], None] | None = None
    actions: Mapping[str, Callable[[Actor, Revision, str], Any]] = field(default_factory=dict)


_ways: dict[str, Way] = {}


def undoable(model: Any, way: Way) -> None:
    """Said once for each model, when its app starts."""
    _ways[model._meta.label_lower] = way


def way_of(model: str) -> Way | None:
    """How rows of a model are changed and brought back, if they are."""
    return _ways.get(model)


def scope_of(model: str) -> str | None:
    """What a key needs to read (`:read`) or write (`:write`) changes of a model, if agents may."""
    way = _ways.get(model)
    return None if way is None else way.scope


def taken_back_whole(revision: Revision) -> Callable[[Actor, Revision, str], Any] | None:
    """What takes back a change that follows from more than its fields, where something does."""
    way = _ways.get(revision.model)
    return None if way is None else way.actions.get(revision.action)


def no_parts(row: Any, before: Mapping[str, Any]) -> Sequence[funnel.Part]:
    """For a model whose rows are all there is of them."""
    return ()


def name_of(revision: Revision) -> str:
    try:
        return str(apps.get_model(revision.model)._meta.verbose_name)
    except (LookupError, ValueError):
        return revision.model.split(".")[-1]


def row_of(label: str, object_id: uuid.UUID) -> Any:
    try:
        model: Any = apps.get_model(label)
    except (LookupError, ValueError):
        return None
    return model.objects.filter(pk=object_id).first() if issubclass(model, WorkspaceRow) else None


def field_of(model: Any, name: str) -> Any:
    """The field of that name or attribute's name; None where the model has none."""
    return _fields(model._meta.label_lower).get(name)


@cache
def _fields(label: str) -> Mapping[str, Any]:
    fields = apps.get_model(label)._meta.concrete_fields
    return {name: one for one in fields for name in (one.name, one.attname)}


def attname_of(row: Any, name: str) -> str:
    """As services name it: Revisions of a creation keep `project`, of a change `project_id`."""
    found = field_of(type(row), name)
    return found.attname if found is not None else name


def python_value(found: Any, value: Any) -> Any:
    """A recorded JSON value as its field has it."""
    if isinstance(value, str) and isinstance(found, models.BinaryField):
        return bytes.fromhex(value)
    return found.to_python(value)
