"""What each model needs besides the values of a draft, when it is made in bulk: what follows from
its other fields, and what its own service would refuse."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from config.lib.db.models import WorkspaceRow
from contacts.models import Contact
from contacts.services import contacts
from contacts.services.addresses import sort_name
from contacts.services.funnel import Part
from memory.importers.rows import Model
from memory.models import Evidence, Memory, MemoryAbout
from memory.services.memories import content_hash
from sessions.models import (
    Handoff,
    Mission,
    Notification,
    Ping,
    Priority,
    Project,
    ScheduledMission,
    Session,
    StagedContent,
    Task,
    Thread,
    Worker,
)
from sessions.services.sessions import new_conversation_id

# What is pointed at comes before what points at it.
ORDER: tuple[Model, ...] = (
    Contact, Project, Task, Session, Thread, ScheduledMission, Worker, Mission, Priority, Ping,
    Notification, StagedContent, Handoff, Memory, MemoryAbout, Evidence,
)  # fmt: skip


def _memory(memory: Any) -> None:
    memory.content_hash = content_hash(memory.text)


def _contact(contact: Any) -> None:
    contact.name = " ".join(contact.name.split())
    contact.sort_name = sort_name(contact.name)


_PREPARED: Mapping[Model, Callable[[Any], None]] = {Memory: _memory, Contact: _contact}
# Fields that follow from another one, when that is changed.
_FOLLOWS: Mapping[Model, Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    Memory: {"text": lambda text: {"content_hash": content_hash(text)}},
    Contact: {"name": lambda name: {"sort_name": sort_name(name)}},
}


def complete(row: WorkspaceRow) -> None:
    """Fill what of a new row only the database knows: a conversation is named by the workspace's
    days."""
    if isinstance(row, Session) and not row.conversation_id:
        row.conversation_id = new_conversation_id(row.role, row.started_at)


def prepare(row: WorkspaceRow) -> None:
    """Fill what follows from a new row's other fields. Touches no database."""
    prepared = _PREPARED.get(type(row))
    if prepared is not None:
        prepared(row)


def follow(model: Model, changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` of a row, with what follows from them."""
    for name, derive in _FOLLOWS.get(model, {}).items():
        if name in changes:
            changes |= derive(changes[name])
    return changes


def parts_of(row: WorkspaceRow, wanted: Mapping[str, Any]) -> Sequence[Part]:
    """What lies in rows of its own, for the funnel."""
    return contacts.parts_of(row, wanted) if isinstance(row, Contact) and wanted else ()


def write_new_parts(parts: Mapping[uuid.UUID, Sequence[Part]]) -> None:
    """Those of new rows, which only contacts have, all at once."""
    contacts.write_new_parts(parts)


def order_of(model: Model) -> int:
    return ORDER.index(model)


Ids = dict[tuple[Model, str], uuid.UUID]
