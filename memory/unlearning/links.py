"""What an unlearning does about links: what it takes back of them, and brings again.

A link `supersedes` puts another memory out of use, and `derived_from` may lower its trust or have
it go along: whoever wrote the link wrote that too. Not for whole rows (taking.py), nor for the
links that a memory was made with, which stay with it.
"""

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q

from config.lib.actor import Actor
from config.lib.errors import DomainError
from contacts.models import Revision
from contacts.services import funnel
from memory.models import Memory, MemoryDuplicate, MemoryLink
from memory.models.duplicates import Kept
from memory.models.links import Relation
from memory.models.memory import Trust
from memory.services import supersession
from memory.services.duplicates import merge_duplicate, unmerge_duplicate
from memory.services.memories import link_memories
from memory.services.trust import is_lower

LINK = MemoryLink._meta.label_lower
# These follow from a link that is made, or goes: who has the link, has them.
FOLLOWING = frozenset({"supersede", "unsupersede", "merge", "unmerge"})
_PEOPLE = (Trust.OPERATOR, Trust.VERIFIED)
# (memory, why): what stays as it is.
Keep = Callable[[uuid.UUID, str], None]


def follows_from_link(revision: Revision) -> bool:
    """Whether a change is taken back with its link, not by itself."""
    if revision.model == LINK:
        return bool(revision.before and revision.after)
    models = (Memory._meta.label_lower, MemoryDuplicate._meta.label_lower)
    return revision.model in models and revision.action in FOLLOWING


def take_back_links(
    *,
    actor: Actor,
    made: Collection[uuid.UUID],
    going: Collection[uuid.UUID],
    kept: Collection[uuid.UUID],
    reason: str,
    keep: Keep,
) -> int:
    """Remove the links `made` from memories that stay, and what gave those in `going` the place of
    others; how many memories are in use again. A memory in `kept` was changed by somebody, and so
    keeps its links. Before anything else is taken back: what is superseded comes back only from one
    in use. Indexes memorylink_unique, revision_object."""
    back = 0
    wanted = Q(pk__in=list(made)) | Q(source_id__in=list(going), relation=Relation.SUPERSEDES)
    for link in MemoryLink.objects.filter(wanted).select_related("target").order_by("-id"):
        superseding = _holds(link)
        if link.source_id in kept or (link.source_id in going and not superseding):
            continue
        if link.pk not in made and _by_person(link):
            keep(link.target_id, "a person said that another takes its place")
            continue
        try:
            with transaction.atomic():
                remove(link, actor=actor, reason=reason)
        except DomainError as error:
            keep(link.target_id, error.detail)
        else:
            back += superseding
    return back


def remove(link: MemoryLink, *, actor: Actor, reason: str) -> None:
    """With what followed from it, but for a lowered trust (`lift`)."""
    if not _holds(link):
        supersession.remove_link(link, actor=actor, reason=reason)
    elif pair := link.metadata.get("duplicate"):
        unmerge_duplicate(actor=actor, duplicate_id=uuid.UUID(pair), reason=reason)
    else:
        supersession.restore(actor=actor, link=link, reason=reason)


def make_again(values: Mapping[str, Any], *, actor: Actor, reason: str) -> None:
    """A link of which a Revision kept `values`, with what followed from it."""
    source, target = uuid.UUID(values["source"]), uuid.UUID(values["target"])
    metadata, relation = dict(values.get("metadata") or {}), values["relation"]
    if relation != Relation.SUPERSEDES:
        link_memories(
            actor=actor, source_id=source, target_id=target, relation=relation, metadata=metadata
        )
    elif pair := metadata.get("duplicate"):
        row = funnel.get_row(MemoryDuplicate, uuid.UUID(pair), what="near duplicate")
        which = Kept.OLDER if row.older_id == source else Kept.NEWER
        merge_duplicate(actor=actor, duplicate_id=row.pk, keep=which, reason=reason)
    else:
        # Which end it closes follows anew.
        metadata.pop("valid_to", None)
        supersession.supersede(
            actor=actor, new_id=source, old_id=target, metadata=metadata, reason=reason
        )


def lift(revision: Revision, *, actor: Actor, reason: str) -> bool:
    """The trust that a memory had before a link lowered it; whether it was still as lowered, and
    rests on nothing as little trusted. No more than an agent's: people's was never lowered."""
    memory = Memory.objects.filter(pk=revision.object_id).select_for_update(no_key=True).first()
    was, now = revision.before["trust"], revision.after["trust"]
    if memory is None or memory.trust != now or was in _PEOPLE:
        return False
    parents = MemoryLink.objects.filter(
        source=memory, relation__in=[Relation.PARENT, Relation.DERIVED_FROM]
    )
    if any(is_lower(trust, was) for trust in parents.values_list("target__trust", flat=True)):
        return False
    funnel.update(memory, {"trust": was}, actor=actor, action="unlearn", reason=reason)
    return True


def _holds(link: MemoryLink) -> bool:
    return link.relation == Relation.SUPERSEDES and link.target.superseded_by_id == link.source_id


def _by_person(link: MemoryLink) -> bool:
    made = Revision.objects.filter(object_id=link.pk, before={})
    return made.filter(actor_kind="user").exists()
