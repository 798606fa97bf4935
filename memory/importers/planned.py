"""A draft on its way into the database, what came of it, and what its steps share."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import models

from config.lib.errors import Conflict, DomainError, Invalid
from contacts.models import Revision
from memory.importers.rows import Draft, Entry, Model, Ref

CREATED, UPDATED, UNCHANGED, SKIPPED = "created", "updated", "unchanged", "skipped"
ACTION = "import"


@dataclass(slots=True)
class Planned:
    """A draft on its way: the row it is or becomes, and its references that are resolved."""

    entry: Entry
    draft: Draft
    row: Any = None
    is_new: bool = False
    keys: dict[str, uuid.UUID] = field(default_factory=dict)
    missing: dict[str, Ref] = field(default_factory=dict)
    outcome: str = UNCHANGED


def changed_here_of(ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Which rows anybody but an import changed. Index revision_object."""
    others = Revision.objects.filter(object_id__any_of=ids).exclude(actor_kind="import")
    return set(others.values_list("object_id", flat=True))


@cache
def attname(model: Model, name: str) -> str:
    found: models.Field[Any, Any] = model._meta.get_field(name)  # type: ignore[assignment]
    return str(found.attname)


def said(error: Exception) -> str:
    """Why the database or a service refused, in one line."""
    if isinstance(error, Invalid):
        return "; ".join(f"{name} {text}" for name, text in error.errors.items())
    if isinstance(error, (Conflict, DomainError)):
        return error.detail
    return str(error).strip().splitlines()[0][:300]
