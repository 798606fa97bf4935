"""How far a memory is trusted: at most as far as what it was made of, and agents never raise it.

operator > verified > agent > external. Parents are what it names as parent or as what it was
derived from, and its evidence: a tool's message or output, and words quoted from a page, are
external. What caused it (CAUSE) is no parent. Not for who may change what a person vouched for
(memories.check_authority).
"""

import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from memory.models import Memory
from memory.models.links import Relation
from memory.models.memory import Kind, Trust
from memory.services.sources import EXTERNAL_EVENTS, EXTERNAL_ROLES
from sessions.models import Message, SessionEvent

if TYPE_CHECKING:
    from memory.services.memories import NewEvidence

ORDER = list(Trust)
# Links by which a memory has its target as a parent.
DERIVING = frozenset({Relation.PARENT, Relation.DERIVED_FROM})
# What nobody here said, whoever brought it.
EXTERNAL_KINDS = frozenset({Kind.WEB_OBSERVATION})


def least(trusts: Iterable[str]) -> Trust:
    """The lowest of them; `operator` of none."""
    return ORDER[max((ORDER.index(Trust(one)) for one in trusts), default=0)]


def is_lower(one: str, other: str) -> bool:
    return ORDER.index(Trust(one)) > ORDER.index(Trust(other))


def of_parents(parents: Collection[uuid.UUID], evidence: Sequence["NewEvidence"]) -> Trust:
    """The most that what rests on these may have. Primary keys."""
    found: list[str] = []
    if parents:
        found += Memory.objects.filter(pk__in=list(parents)).values_list("trust", flat=True)
    messages = [one.message_id for one in evidence if one.message_id is not None]
    events = [one.event_id for one in evidence if one.event_id is not None]
    said = Message.objects.filter(pk__in=messages, role__in=EXTERNAL_ROLES)
    happened = SessionEvent.objects.filter(pk__in=events, event_type__in=EXTERNAL_EVENTS)
    quoted = any(one.quote and one.uri.lower().startswith(("http:", "https:")) for one in evidence)
    if quoted or (messages and said.exists()) or (events and happened.exists()):
        found.append(Trust.EXTERNAL)
    return least(found)
