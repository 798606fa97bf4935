"""What a workspace holds, as far as scoring needs it: how many passages, how long, which vectors.

Counting everything for every query would cost more than the query, so figures of larger
workspaces are kept in the process for some seconds. BM25 hardly moves with them.
"""

import math
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from django.db import connection

from config.lib import clock
from config.lib.scope import current_workspace_id
from memory.models.passage import SpaceState

# Below this a count takes about a millisecond and is always fresh.
SMALL = 2000
KEPT_SECONDS = 30.0
# Counting reads every passage, so no more than so much of the time is spent on it, unless that
# makes the figures old.
COUNTING_SHARE = 1 / 300
MOST_KEPT_SECONDS = 600.0
MOST_KEPT = 1000
# How often a word occurs, in a larger workspace. Not that it occurs nowhere: the next row may be
# the first with it, and would not be found. A rare one may soon be less so.
COMMON = 200
COMMON_KEPT_SECONDS = 600.0
RARE_KEPT_SECONDS = 30.0
MOST_WORDS_KEPT = 50_000
# A word that more rows have says little; beyond this they are estimated, not counted. In workspaces
# that hold more than so many passages the planner's statistics are believed from MANY rows on.
MOST_COUNTED = 20_000
MANY = 2000
# The part of all passages from which on the planner's statistics are those of the workspace, and
# the text index is read without looking at whose the passages are.
MAIN_SHARE = 0.5
# Counting what waits is for information; an import's backlog need not be counted to the end.
MOST_PENDING = 100_000
# A space that was left is read for so long by queries that were embedded for it; longer than a
# process keeps which space is active (vectors.py).
LEFT_READABLE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Figures of the current workspace's passages. `share` is their part of all workspaces'."""

    passages: int
    average_length: float
    share: float

    @property
    def is_main(self) -> bool:
        """Whether what is known of all passages together says much of these."""
        return self.share > MAIN_SHARE


V = TypeVar("V")


class Kept(Generic[V]):
    """Values that hold for some seconds, the oldest of them dropped when there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            until, value = self._values.get(key, (0.0, None))
        return value if time.monotonic() < until else None

    def keep(self, key: Hashable, value: V, seconds: float) -> None:
        with self._lock:
            self._values[key] = (time.monotonic() + seconds, value)
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._values.clear()


_figures: Kept[Corpus] = Kept(MOST_KEPT)
_frequencies: Kept[int] = Kept(MOST_WORDS_KEPT)


# One row of figures of the workspace given. reltuples is the planner's estimate of the whole table;
# -1 before the first ANALYZE.
FIGURES = """(
    SELECT count(*) AS passages, coalesce(avg(token_count), 0)::float8 AS average_length,
           (SELECT reltuples FROM pg_class WHERE oid = 'memory_passage'::regclass)::float8
           AS everywhere
      FROM memory_passage WHERE workspace_id = %s) figures"""


def corpus() -> Corpus:
    """Of the current workspace, at most 30 s old, of a large one some minutes. Index
    memory_passage_pkey, or a scan."""
    kept = kept_corpus()
    if kept is not None:
        return kept
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT passages, average_length, everywhere FROM {FIGURES}",  # noqa: S608
            [current_workspace_id()],
        )
        return note_corpus(*cursor.fetchone(), spent=time.monotonic() - began)


def kept_corpus() -> Corpus | None:
    return _figures.get(current_workspace_id())


def note_corpus(passages: int, average_length: float, everywhere: float, *, spent: float) -> Corpus:
    """The figures that somebody has just read in `spent` seconds, kept where that is worth it."""
    found = Corpus(passages, average_length, passages / max(everywhere, passages, 1))
    if found.passages > SMALL:
        seconds = min(max(KEPT_SECONDS, spent / COUNTING_SHARE), MOST_KEPT_SECONDS)
        _figures.keep(current_workspace_id(), found, seconds)
    return found


def frequencies(terms: Sequence[str], figures: Corpus) -> dict[str, int]:
    """lexeme -> passages of the workspace that have it. Index passage_words.

    Of a larger workspace they are at most half a minute old, common ones ten minutes, and the
    planner's estimate. Where more than 20,000 have one and nothing is known of it: between that and
    all, the middle by ratio.
    """
    workspace_id = current_workspace_id()
    found: dict[str, int] = {}
    for term in terms:
        kept = _frequencies.get((workspace_id, term))
        if kept is not None:
            found[term] = kept
    missing = [term for term in terms if term not in found]
    if not missing:
        return found
    known = figures.passages > MOST_COUNTED and figures.is_main
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT term, documents FROM search_term_counts(%s::text[], %s, %s)",
            [missing, MOST_COUNTED, MANY if known else None],
        )
        for term, count in cursor.fetchall():
            if count == MOST_COUNTED:
                count = max(MOST_COUNTED, math.isqrt(MOST_COUNTED * figures.passages))
            found[term] = count
            if count and figures.passages > SMALL:
                seconds = COMMON_KEPT_SECONDS if count >= COMMON else RARE_KEPT_SECONDS
                _frequencies.keep((workspace_id, term), count, seconds)
    return found


@dataclass(frozen=True, slots=True)
class Space:
    """The vectors that search reads."""

    id: uuid.UUID
    provider: str
    model: str
    dimensions: int

    def __str__(self) -> str:
        return f"{self.provider} {self.model} ({self.dimensions})"


def active_space() -> Space | None:
    """Index embeddingspace_one_active."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, provider, model, dimensions FROM memory_embeddingspace "
            "WHERE workspace_id = %s AND state = %s",
            [current_workspace_id(), SpaceState.ACTIVE.value],
        )
        row = cursor.fetchone()
    return None if row is None else Space(*row)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a search stands: `space_id` is that of the vectors a query's are compared with, if
    there are any, in `slot`, `active` that of most queries, `pending` how many passages wait for a
    vector of the latter."""

    space_id: uuid.UUID | None
    slot: int | None
    active: Space | None
    pending: int


STANDING = "search_standing(%s, %s, %s::int, %s, %s::int) standing"
STANDING_COLUMNS = "space, slot, pending, active, provider, model, dimensions"


def asked_standing(provider: str = "", model: str = "", dimensions: int = 0) -> list[Any]:
    """The parameters of STANDING for a query's vector of that model: it is compared with the active
    space, or with one that was until a moment ago, whose vectors are still there.

    A process may make a query's vector by the model of before for some seconds after a switch.
    Indexes embeddingspace_one_active, embeddingspace_unique and passage_pending, or where the
    active space is in the second slot passage_second_pending (migration 0013).
    """
    return [provider, model, dimensions, clock.now() - LEFT_READABLE, MOST_PENDING]


def read_standing(row: Sequence[Any]) -> Standing:
    """Of STANDING_COLUMNS."""
    space_id, slot, pending, active, *of = row
    return Standing(space_id, slot, None if active is None else Space(active, *of), pending)


def standing() -> Standing:
    """For no query's vector."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {STANDING_COLUMNS} FROM {STANDING}",  # noqa: S608
            asked_standing(),
        )
        return read_standing(cursor.fetchone())


def forget() -> None:
    """Empties what is kept, as tests need."""
    _figures.clear()
    _frequencies.clear()
