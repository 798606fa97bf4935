"""Memories past `expires_at`: archived by a job, and back in use once they hold again.

They leave searches, briefings and contexts at that very moment, whether the job has been there or
not: who asks compares the time. Archiving them says so to everybody else, in a Revision. Until
`expired_at` they were in use, and a search as of a time before finds them (search/filters.py).
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict
from config.lib.scope import workspace_scope
from contacts.services import funnel
from memory.models import Memory
from memory.models.memory import MemoryState

JOB = Actor("system", "expiry", "expiry", "job")
# Rows of one transaction; each is written with its passages, and nobody waits for it.
BATCH = 200


def expire_due(workspace_id: uuid.UUID) -> int:
    """Archive what is in use and past its time, in transactions of BATCH rows; how many. Outside
    any scope. What somebody is changing at the moment has its turn the next time. Index
    memory_expiring."""
    total = 0
    while True:
        with workspace_scope(workspace_id):
            rows = list(
                Memory.objects.filter(state=MemoryState.ACTIVE, expires_at__lte=clock.now())
                .select_for_update(skip_locked=True, no_key=True)
                .order_by("expires_at", "id")[:BATCH]
            )
            changes = {
                row.pk: {"state": MemoryState.ARCHIVED, "expired_at": row.expires_at}
                for row in rows
            }
            funnel.update_many(rows, changes, actor=JOB, action="expire")
            funnel.touch_all([row for row in rows if row.repeat_key], repeat_key="")
        total += len(rows)
        if len(rows) < BATCH:
            return total


def following(memory: Memory, changes: Mapping[str, Any]) -> dict[str, Any]:
    """`changes` of a memory with what follows from them: one that had expired is back in use when
    it holds again, and one that is archived after its time has expired. Conflict (`expired`) where
    it is to be in use though it is past its time."""
    changes = dict(changes)
    ends: datetime | None = changes.get("expires_at", memory.expires_at)
    is_over = ends is not None and ends <= clock.now()
    state = changes.get("state")
    if memory.expired_at is not None:
        if is_over and state == MemoryState.ACTIVE:
            raise Conflict(
                f"This memory expired at {funnel.plain(ends)}; give it a later expires_at, or "
                "none, and it is in use again.",
                code="expired",
            )
        if not is_over:
            changes |= {"state": state or MemoryState.ACTIVE, "expired_at": None}
        elif state == MemoryState.QUARANTINED:
            changes["expired_at"] = None
        elif ends != memory.expired_at:
            changes["expired_at"] = ends
    elif is_over and memory.state == MemoryState.ACTIVE and state == MemoryState.ARCHIVED:
        changes["expired_at"] = ends
    return changes
