"""How changes of people and agents are taken back."""

from collections.abc import Callable, Mapping
from typing import Any

from contacts.models import Agent, Contact
from contacts.services import agents, contacts, funnel
from contacts.services.addresses import Labelled
from contacts.services.undoable import Way, undoable


def _labelled(values: list[str]) -> list[Labelled]:
    return [Labelled.read(value) for value in values]


_READ: dict[str, Callable[[Any], Any]] = {"emails": _labelled, "phones": _labelled, "tags": list}


def _parts(contact: Contact, before: Mapping[str, Any]) -> list[funnel.Part]:
    held = {name: read(before[name]) for name, read in _READ.items() if name in before}
    return contacts.parts_of(contact, held)


def register() -> None:
    contact = Way(
        contacts.update_contact,
        "contact_id",
        contacts.EDITABLE,
        "contacts",
        parts=_parts,
        read=_READ,
        held=contacts.part_values_of,
    )
    undoable(Contact, contact)
    undoable(Agent, Way(agents.update_agent, "agent_id", agents.EDITABLE, "agents"))
