"""The same memory saved again: recognised as it is written, and counted.

A repeat says nothing that is not there: the same text (content_hash) of the same agent, project,
kind and tags, with every field that was sent as it is there. What brings links, evidence, a name
of its own (external_id) or another value is a memory of its own; if it is nearly the same,
duplicates.py proposes to merge it.
"""

import hashlib
import json
from collections.abc import Callable, Collection
from typing import Any

from django.db import IntegrityError, transaction

from config.lib import clock
from contacts.services import funnel
from memory.models import Memory
from memory.models.memory import MemoryState

# Where it was said does not make it another memory.
_NOT_COMPARED = frozenset({"text", "session_id", "tags", "source"})
_SCOPE = ("kind", "agent_id", "project_id", "actor")
# Of one text in one scope there are few; the oldest that fits is the one.
EXAMINED = 50


def create_once(
    memory: Memory, sent: Collection[str], create: Callable[[], Memory]
) -> tuple[Memory, bool]:
    """The memory that `memory` repeats, counted, or `memory` made by `create`; (row, is it new).

    `sent` names the fields that the caller gave. Of two who save the same at once, the second
    waits for the first and counts: a unique key sees to it.
    """
    compared = {*_SCOPE, *sent} - _NOT_COMPARED
    found = _find(memory, compared)
    if found is None:
        memory.repeat_key = _key(memory, compared)
        try:
            with transaction.atomic():
                return create(), True
        except IntegrityError:
            found = _find(memory, compared)
            if found is None:
                # Held by one that is no repeat any more.
                memory.repeat_key = ""
                return create(), True
    count_repeat(found)
    return found, False


def count_repeat(memory: Memory) -> None:
    """It was said again. Its row is locked."""
    funnel.touch(memory, repeat_count=memory.repeat_count + 1, last_repeated_at=clock.now())


def forget_key(memory: Memory) -> None:
    """A memory that was changed is not what somebody may save again at this moment."""
    if memory.repeat_key:
        funnel.touch(memory, repeat_key="")


def _find(memory: Memory, compared: Collection[str]) -> Memory | None:
    """Locked. Index memory_content_hash."""
    rows = Memory.objects.select_for_update(no_key=True).filter(
        content_hash=memory.content_hash,
        kind=memory.kind,
        agent_id=memory.agent_id,
        project_id=memory.project_id,
        # What waits for review waits once.
        state__in=[MemoryState.ACTIVE, MemoryState.QUARANTINED],
    )
    now = clock.now()
    for row in rows.order_by("id")[:EXAMINED]:
        gone = row.expires_at is not None and row.expires_at <= now
        if gone and "expires_at" not in compared:
            continue
        if set(row.tags) == set(memory.tags) and all(
            getattr(row, name) == getattr(memory, name) for name in compared
        ):
            return row
    return None


def _key(memory: Memory, compared: Collection[str]) -> str:
    said: dict[str, Any] = {name: getattr(memory, name) for name in compared}
    said |= {"content_hash": memory.content_hash, "tags": sorted(memory.tags)}
    # Not orjson, which refuses whole numbers beyond 64 bits.
    packed = json.dumps(said, sort_keys=True, default=str)
    return hashlib.sha256(packed.encode()).hexdigest()
