"""What a workspace holds, as far as scoring needs it: how many passages, how long, which vectors.

Counting everything for every query would cost more than the query, so figures of larger
workspaces are kept in the process for some seconds. BM25 hardly moves with them.
"""

import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass

from django.db import connection

from config.lib.scope import current_workspace_id
from memory.models import EmbeddingSpace
from memory.models.passage import SpaceState

# Below this a count takes about a millisecond and is always fresh.
SMALL = 2000
KEPT_SECONDS = 30.0
MOST_KEPT = 1000
# Counting what waits is for information; an import's backlog need not be counted to the end.
MOST_PENDING = 100_000


@dataclass(frozen=True, slots=True)
class Corpus:
    """Figures of the current workspace's passages."""

    passages: int
    average_length: float


_lock = threading.Lock()
_kept: OrderedDict[uuid.UUID, tuple[float, Corpus]] = OrderedDict()


def corpus() -> Corpus:
    """Of the current workspace, at most 30 s old. Index memory_passage_pkey, or a scan."""
    workspace_id, now = current_workspace_id(), time.monotonic()
    with _lock:
        kept = _kept.get(workspace_id)
    if kept is not None and kept[0] > now:
        return kept[1]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(avg(token_count), 0)::float8 FROM memory_passage "
            "WHERE workspace_id = %s",
            [workspace_id],
        )
        found = Corpus(*cursor.fetchone())
    if found.passages > SMALL:
        with _lock:
            _kept[workspace_id] = (now + KEPT_SECONDS, found)
            _kept.move_to_end(workspace_id)
            while len(_kept) > MOST_KEPT:
                _kept.popitem(last=False)
    return found


def count_pending() -> int:
    """Passages without a vector. Index passage_pending."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT FROM memory_passage WHERE workspace_id = %s "
            "AND embedding IS NULL LIMIT %s) pending",
            [current_workspace_id(), MOST_PENDING],
        )
        return int(cursor.fetchone()[0])


def active_space() -> EmbeddingSpace | None:
    """The vectors that search reads. Index embeddingspace_one_active."""
    return EmbeddingSpace.objects.filter(state=SpaceState.ACTIVE).first()


def forget() -> None:
    """Empties what is kept, as tests need."""
    with _lock:
        _kept.clear()
