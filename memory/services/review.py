"""What a reviewer decides of a memory that waits: approved, rejected, merged, taken back.

The states are those of memories.py and duplicates.py; nothing here writes a row by itself.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from config.lib.actor import Actor
from config.lib.errors import Conflict
from contacts.models import Revision
from contacts.selectors import history
from contacts.services import funnel
from contacts.services.undo import undo
from memory.models import Memory, MemoryDuplicate, MemoryLink
from memory.models.duplicates import Kept
from memory.models.memory import UNVOUCHED, MemoryState, Trust
from memory.services.contradictions import reopen_contradiction
from memory.services.duplicates import Merged, merge_duplicate, unmerge_duplicate
from memory.services.memories import update_memory


def approve_memory(
    *,
    actor: Actor,
    memory_id: uuid.UUID,
    changes: Mapping[str, Any] | None = None,
    expected_version: int | None = None,
    reason: str = "",
) -> Memory:
    """Into use, with a person's word for it: trust rises to verified where it was lower. `changes`
    are what the person corrected at the same time."""
    memory = funnel.get_row(Memory, memory_id)
    decided: dict[str, Any] = {"state": MemoryState.ACTIVE}
    if memory.trust in UNVOUCHED:
        decided["trust"] = Trust.VERIFIED
    return update_memory(
        actor=actor,
        memory_id=memory_id,
        changes={**(changes or {}), **decided},
        expected_version=expected_version,
        reason=reason,
    )


def reject_memory(
    *, actor: Actor, memory_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> Memory:
    """Out of use: archived, so that the same words are not proposed again (lessons.py)."""
    return update_memory(
        actor=actor,
        memory_id=memory_id,
        changes={"state": MemoryState.ARCHIVED},
        expected_version=expected_version,
        reason=reason,
    )


def merge_reviewed(
    *, actor: Actor, duplicate_id: uuid.UUID, keep: Kept, reason: str = ""
) -> tuple[Merged, list[uuid.UUID]]:
    """Merge a pair of which one may still be in quarantine: it is released first, the one that is
    kept with the person's word. With the changes that this made, in their order."""
    pair = funnel.get_row(MemoryDuplicate, duplicate_id, what="near duplicate")
    kept = pair.older_id if keep == Kept.OLDER else pair.newer_id
    made = []
    for memory_id in (pair.older_id, pair.newer_id):
        memory = funnel.get_row(Memory, memory_id)
        if memory.state != MemoryState.QUARANTINED:
            continue
        if memory_id == kept:
            approve_memory(actor=actor, memory_id=memory_id, reason=reason)
        else:
            update_memory(
                actor=actor,
                memory_id=memory_id,
                changes={"state": MemoryState.ACTIVE},
                reason=reason,
            )
        made.append(last_change(memory_id))
    merged = merge_duplicate(actor=actor, duplicate_id=duplicate_id, keep=keep, reason=reason)
    return merged, [*made, last_change(duplicate_id)]


def last_change(object_id: uuid.UUID) -> uuid.UUID:
    """The id of a row's latest Revision. Index revision_object."""
    return history(object_id).values_list("id", flat=True)[0]


def take_back(*, actor: Actor, revision_ids: Sequence[uuid.UUID], reason: str = "") -> None:
    """Take back what one decision changed, the last change first. Conflict where something was
    changed once more since; then nothing is taken back."""
    for revision_id in reversed(revision_ids):
        revision = funnel.get_row(Revision, revision_id, what="change")
        if revision.model == MemoryLink._meta.label_lower:
            reopen_contradiction(actor=actor, link_id=revision.object_id, reason=reason)
        elif revision.model != MemoryDuplicate._meta.label_lower:
            undo(actor=actor, revision_id=revision_id, reason=reason)
        elif revision.action == "merge":
            unmerge_duplicate(actor=actor, duplicate_id=revision.object_id, reason=reason)
        else:
            raise Conflict("This decision about a pair is not taken back.", code="cannot_undo")
