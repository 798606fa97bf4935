"""An erasure and whoever works beside it: the locks by which neither overlooks the other.

An erasure waits for those who may not have seen its tombstones (`under_way`), and nobody writes
what came of a text that is erased just then (`require_nothing_erased`). Not for tombstones
(tombstones.py) or for erasing (memory/erasing).
"""

import uuid
from collections.abc import Iterable
from typing import Any

from django.db import connection, models

from config.lib.errors import Conflict, Erased
from config.lib.scope import current_workspace_id
from contacts.models import Erasure
from contacts.models.erasure import ErasureState

# A lock by a number of 64 bits is listed in two halves.
_UNDER_WAY = (
    "WITH lock AS (SELECT %s::int8 AS number) "
    "SELECT DISTINCT virtualtransaction FROM pg_locks, lock "
    "WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND pid <> pg_backend_pid() AND granted AND ("
    "locktype = 'advisory' AND objsubid = 1 "
    "AND (classid::int8 << 32) | objid::int8 = lock.number "
    "OR locktype = 'relation' AND mode = 'RowExclusiveLock' "
    "AND relation = ANY (%s::regclass[]::oid[]))"
)


def lock_of(pk: uuid.UUID) -> int:
    """The number of a row's advisory lock, signed: the random half of its id."""
    return int.from_bytes(pk.bytes[8:], signed=True)


def under_way(workspace_id: uuid.UUID, models: Iterable[type[models.Model]]) -> set[str]:
    """The transactions, as the server numbers them, that have asked for the workspace's tombstones,
    or written to the tables of `models`, and are not over. Not this one; outside any scope."""
    tables = [model._meta.db_table for model in models]
    with connection.cursor() as cursor:
        cursor.execute(_UNDER_WAY, [lock_of(workspace_id), tables])
        return {number for (number,) in cursor.fetchall()}


def take(erasure_id: uuid.UUID) -> None:
    """Nobody else removes what it is about until the transaction is over, nor writes what must not
    be written meanwhile (`keep_off`): a shell may be at it, and the job that believes it lost. The
    row is not locked by this: how far it is is written on it."""
    _ask("SELECT pg_advisory_xact_lock(%s)", erasure_id)


def keep_off(erasure_id: uuid.UUID) -> bool:
    """Whether nobody removes what an erasure is about, nor will before the transaction is over."""
    return bool(_ask("SELECT pg_try_advisory_xact_lock_shared(%s)", erasure_id))


def _ask(lock: str, pk: uuid.UUID) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(lock, [lock_of(pk)])
        return cursor.fetchone()[0]


def erased_so_far() -> int:
    """For whoever reads, thinks about it outside of a transaction, and writes what came of it:
    asked before reading, for `require_nothing_erased`."""
    return Erasure.objects.filter(state=ErasureState.DONE).count()


def require_nothing_erased(before: int) -> None:
    """Conflict `erased_meanwhile` where what was read when so many were done may have been erased
    since, or is just now: it would stand in what was made of it."""
    require_nothing_erasing()
    # After that: one that was removing, and is not any more, is done.
    if erased_so_far() != before:
        raise _meanwhile()


def require_nothing_erasing() -> None:
    """Conflict `erased_meanwhile` while something is removed; what is to be removed after this
    waits for the end of the transaction."""
    _ask("SELECT pg_advisory_xact_lock_shared(%s)", current_workspace_id())
    running = Erasure.objects.filter(state=ErasureState.RUNNING).values_list("pk", flat=True)
    if not all(map(keep_off, running)):
        raise _meanwhile()


def _meanwhile() -> Conflict:
    return Conflict(
        "Something is being erased, or was, since this was read; do it again.",
        code="erased_meanwhile",
    )


def count_kept_away(refusal: Erased) -> None:
    """For a job, which has nobody to tell: counted where the erasure is shown."""
    rows = Erasure.objects.filter(pk__in=refusal.erasures)
    rows.update(kept_away=models.F("kept_away") + 1)
