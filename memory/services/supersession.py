"""One memory takes the place of another, and gives it back.

The one way in which a memory becomes superseded: by a link `supersedes` that somebody makes, by the
merge of a pair (duplicates.py), by what was decided of a contradiction (contradictions.py). The old
one keeps its row, its evidence and what is said of its words; the chain is `superseded_by`.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from contacts.services import funnel
from memory.models import Memory, MemoryLink
from memory.models.links import Relation
from memory.models.memory import MemoryState
from memory.services.authority import check_authority, check_release, check_replacing

# Where a memory stands among others. What supports, contradicts, caused or was derived from the old
# one says so of its words, and stays with them.
MOVED = (Relation.PARENT, Relation.RELATED)
MOST_MOVED = 500
_MOVED_FROM = "moved_from"


@dataclass(frozen=True, slots=True)
class Superseded:
    """`link` goes from the new one to the old one."""

    link: MemoryLink
    new: Memory
    old: Memory
    is_new: bool = True


def supersede(
    *,
    actor: Actor,
    new_id: uuid.UUID,
    old_id: uuid.UUID,
    metadata: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Superseded:
    """`new` takes the place of `old`, which holds no longer: its `valid_to` is closed, and it
    leaves lists and searches but those as of a time before.

    Said twice it is done once. Conflict (`not_active`) where one of the two is not in use;
    Forbidden where a person vouched for the old one and an agent asks, or the new one is trusted
    less.
    """
    if new_id == old_id:
        raise Invalid({"target_id": "a memory cannot be linked to itself"})
    new, old = _locked(new_id, old_id)
    found = MemoryLink.objects.filter(source=new, target=old, relation=Relation.SUPERSEDES).first()
    if found is not None and old.superseded_by_id == new.pk:
        return Superseded(found, new, old, is_new=False)
    check_replacing(actor, new, old)
    link = replace(
        new, old, actor=actor, action="supersede", reason=reason, metadata=metadata, closes=True
    )
    _move_links(old, new, actor=actor)
    return Superseded(link, new, old, is_new=found is None)


def restore(*, actor: Actor, link: MemoryLink, reason: str = "") -> Superseded:
    """Take `supersede` back: the old one is in use again, its links are its own. Conflict
    (`changed_since`) where it was changed since."""
    new, old = _locked(link.source_id, link.target_id)
    check_authority(actor, old)
    check_release(actor, old)
    _move_links_back(old, new, actor=actor)
    put_back(new, old, link, actor=actor, action="unsupersede", reason=reason)
    return Superseded(link, new, old)


def replace(
    new: Memory,
    old: Memory,
    *,
    actor: Actor,
    action: str,
    closes: bool,
    reason: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> MemoryLink:
    """The link and the state of two locked memories. `closes` says that what the old one told is
    over; what another one tells in other words goes on."""
    for one in (new, old):
        if one.state != MemoryState.ACTIVE:
            raise Conflict(f"The memory {one.pk} is {one.state}.", code="not_active")
    now = clock.now()
    changes: dict[str, Any] = {
        "state": MemoryState.SUPERSEDED,
        "superseded_by_id": new.pk,
        "superseded_at": now,
    }
    end = _end(new, old, now)
    kept = dict(metadata or {})
    if closes and (old.valid_to is None or end < old.valid_to):
        kept["valid_to"] = old.valid_to.isoformat() if old.valid_to else None
        changes["valid_to"] = end
    link = MemoryLink.objects.filter(source=new, target=old, relation=Relation.SUPERSEDES).first()
    if link is None:
        link = MemoryLink(source=new, target=old, relation=Relation.SUPERSEDES, metadata=kept)
        funnel.create(link, actor=actor, reason=reason)
    else:
        write_link(link, actor=actor, metadata={**link.metadata, **kept})
    funnel.update(
        old, changes, actor=actor, action=action, reason=reason, note={"link": str(link.pk)}
    )
    funnel.touch(old, repeat_key="")
    return link


def put_back(
    new: Memory, old: Memory, link: MemoryLink, *, actor: Actor, action: str, reason: str = ""
) -> None:
    """The reverse of `replace`; the link goes."""
    if old.state != MemoryState.SUPERSEDED or old.superseded_by_id != new.pk:
        raise Conflict(
            f"The memory {old.pk} was changed since it was superseded.", code="changed_since"
        )
    changes: dict[str, Any] = {
        "state": MemoryState.ACTIVE, "superseded_by_id": None, "superseded_at": None,
    }  # fmt: skip
    if "valid_to" in link.metadata:
        held = link.metadata["valid_to"]
        changes["valid_to"] = datetime.fromisoformat(held) if held else None
    remove_link(link, actor=actor, reason=reason)
    funnel.update(old, changes, actor=actor, action=action, reason=reason)


def remove_link(link: MemoryLink, *, actor: Actor, reason: str = "") -> None:
    before = funnel.snapshot(link)
    funnel.record(link, "delete", actor=actor, before=before, after={}, reason=reason)
    link.delete()


def write_link(link: MemoryLink, *, actor: Actor, reason: str = "", **values: Any) -> None:
    """Links have no versions; what they were is in their history."""
    now = {name: getattr(link, name) for name in values}
    before = {name: funnel.plain(value) for name, value in now.items()}
    funnel.touch(link, **values)
    after = {name: funnel.plain(value) for name, value in values.items()}
    funnel.record(link, "update", actor=actor, before=before, after=after, reason=reason)


def _locked(new_id: uuid.UUID, old_id: uuid.UUID) -> tuple[Memory, Memory]:
    """In one order, whichever is to replace which."""
    rows = {pk: funnel.get_row(Memory, pk, lock=True) for pk in sorted((new_id, old_id))}
    return rows[new_id], rows[old_id]


def _end(new: Memory, old: Memory, now: datetime) -> datetime:
    """When the old one ceased to hold as far as we knew: when the new one began to, but not before
    we learned of it, or a search as of a time between would find neither."""
    end = min(now, max(new.valid_from or new.recorded_at, new.recorded_at))
    return max(end, old.valid_from) if old.valid_from is not None else end


def _move_links(old: Memory, new: Memory, *, actor: Actor) -> None:
    """Indexes memorylink_unique, memorylink_target."""
    links = MemoryLink.objects.filter(Q(source=old) | Q(target=old), relation__in=MOVED)
    for link in links.exclude(Q(source=new) | Q(target=new)).order_by("id")[:MOST_MOVED]:
        _point(link, old, new, {**link.metadata, _MOVED_FROM: str(old.pk)}, actor=actor)


def _move_links_back(old: Memory, new: Memory, *, actor: Actor) -> None:
    mine = {f"metadata__{_MOVED_FROM}": str(old.pk)}
    links = MemoryLink.objects.filter(Q(source=new) | Q(target=new), relation__in=MOVED, **mine)
    for link in links.order_by("id")[:MOST_MOVED]:
        kept = {name: value for name, value in link.metadata.items() if name != _MOVED_FROM}
        _point(link, new, old, kept, actor=actor)


def _point(
    link: MemoryLink, away: Memory, to: Memory, metadata: Mapping[str, Any], *, actor: Actor
) -> None:
    """Unless the other one has that link already."""
    source, target = (to.pk if pk == away.pk else pk for pk in (link.source_id, link.target_id))
    there = MemoryLink.objects.filter(source_id=source, target_id=target, relation=link.relation)
    if source != target and not there.exists():
        write_link(link, actor=actor, source_id=source, target_id=target, metadata=dict(metadata))
