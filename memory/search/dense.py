"""The leg that finds by meaning: cosine similarity over the passages' vectors."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from config.lib.scope import current_workspace_id
from memory.models.memory import MemoryState
from memory.models.passage import COLUMNS, Columns, Slot
from memory.search.corpus import Corpus, Kept
from memory.search.filters import Filter

# Up to here every vector of the workspace may be compared: 1.3 us each.
MOST_EXACT = 20_000
# What reading one row through the index costs, in rows of a scan. Measured at 11,000 passages of
# one workspace: the 200 nearest take 3 ms by the index, with the first 10 among them in 99.7 % of
# the cases, and 14 ms by comparing all.
INDEX_COST = 12
# How far the approximate search may go on, where other workspaces take most away.
MOST_SCANNED = 40_000
# How many rows the index keeps in view (hnsw.ef_search; at most 1,000 for pgvector), and of how
# many rows one is. The more there are, the more it overlooks, and of a large index nobody expects
# the answer of a small one's time. At 100,000 passages of one workspace the first 10 are found in
# 99 % of the cases with 600, in 97 to 98 % with 400, in 97 % with 200 (no two builds of the index
# are the same), at a million in 99 % with 1,000, in 90 % with 400.
MOST_EF = 1000
LEAST_EF, ROWS_PER_EF = 600, 600
# Beside another leg, which finds the most of what this one overlooks.
LEAST_EF_BESIDE, ROWS_PER_EF_BESIDE = 200, 1000
INDEX_KEPT_SECONDS = 30.0
# What every search asks for at least.
LIVE = Filter(states=[MemoryState.ACTIVE.value])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a space's vectors are; for as long as the space is, the same."""

    slot: Slot
    columns: Columns
    dimensions: int


_places: dict[uuid.UUID, Place] = {}
_indexed: Kept[bool] = Kept(100)


def place_of(space_id: uuid.UUID) -> Place:
    """Index memory_embeddingspace_pkey, once in a process."""
    place = _places.get(space_id)
    if place is None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT slot, dimensions FROM memory_embeddingspace "
                "WHERE workspace_id = %s AND id = %s",
                [current_workspace_id(), space_id],
            )
            slot, dimensions = cursor.fetchone() or (Slot.FIRST, 0)
        place = note_place(space_id, slot, dimensions)
    return place


def note_place(space_id: uuid.UUID, slot: int, dimensions: int) -> Place:
    """As somebody has just read it; one of no dimensions is none."""
    place = Place(Slot(slot), COLUMNS[Slot(slot)], dimensions)
    if dimensions:
        _places[space_id] = place
    return place


def is_indexed(place: Place) -> bool:
    """Whether there is a whole index of vectors of that length in that slot. Kept for 30 s."""
    key = (place.columns.vector, place.dimensions)
    kept = _indexed.get(key)
    if kept is None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = 'memory_passage'::regclass "
                "AND indisvalid AND position(%s in pg_get_indexdef(indexrelid)) > 0)",
                [f"(({place.columns.vector})::halfvec({place.dimensions})) halfvec_cosine_ops"],
            )
            kept = bool(cursor.fetchone()[0])
        _indexed.keep(key, kept, INDEX_KEPT_SECONDS)
    return kept


def forget_indexes() -> None:
    """An index was made: look again."""
    _indexed.clear()


def nearest(
    vector: str,
    *,
    space_id: uuid.UUID,
    figures: Corpus,
    narrowed: Filter,
    condition: str,
    most: int,
    beside: bool = False,
    thorough: bool = True,
) -> dict[str, float]:
    """passage -> cosine of the `most` nearest that pass the filter, alone or beside another leg;
    ids as text, in no order.

    Never fewer than there are: what the approximate search may have missed under a narrow filter
    is looked for exactly. Not so where `thorough` is false: then a filter does not make it slower.
    """
    width = _width(figures, space_id, narrowed if thorough else LIVE, condition, most, beside)
    if width is not None:
        found = _approximate(vector, space_id, width, narrowed, condition, most)
        if len(found) >= most or not thorough:
            return found
    return exact(vector, space_id, narrowed, condition, most)


def width_beside(
    space_id: uuid.UUID, figures: Corpus, narrowed: Filter, condition: str, most: int
) -> int | None:
    """How far search_rows is to look into the index itself for the `most` nearest, beside the other
    leg; None where `nearest` must."""
    if condition or narrowed.is_narrow:
        return None
    return _width(figures, space_id, narrowed, condition, most, beside=True)


def _compare_all(figures: Corpus, narrowed: Filter, condition: str, most: int) -> bool:
    """Whether the exact scan is the cheaper one, or the surer one and cheap enough.

    The index is shared: to find `most` rows of a workspace that has a tenth of all passages, ten
    times as many are read. How much a filter takes away is not known, so a small workspace is
    scanned under one.
    """
    if figures.passages <= MOST_EXACT and (condition or narrowed.is_narrow):
        return True
    by_index = most / max(figures.share, 1e-9)
    return by_index > MOST_SCANNED or figures.passages <= by_index * INDEX_COST


def exact(
    vector: str, space_id: uuid.UUID, narrowed: Filter, condition: str, most: int
) -> dict[str, float]:
    """As `nearest`, by comparing all of the workspace's vectors."""
    column = f"p.{place_of(space_id).columns.vector}"
    return _run(column, "%s::halfvec", "", vector, space_id, narrowed, condition, most)


def _width(
    figures: Corpus,
    space_id: uuid.UUID,
    narrowed: Filter,
    condition: str,
    most: int,
    beside: bool,
) -> int | None:
    """How many rows the index is to keep in view; None where all are to be compared."""
    if _compare_all(figures, narrowed, condition, most) or not is_indexed(place_of(space_id)):
        return None
    least, rows_per = (LEAST_EF_BESIDE, ROWS_PER_EF_BESIDE) if beside else (LEAST_EF, ROWS_PER_EF)
    everywhere = figures.passages / max(figures.share, 1e-9)
    return min(max(most, least, int(everywhere) // rows_per), MOST_EF)


def _approximate(
    vector: str, space_id: uuid.UUID, width: int, narrowed: Filter, condition: str, most: int
) -> dict[str, float]:
    """Index passage_vectors, or another of the slot and length. relaxed_order: where other
    workspaces' rows take most away, what is found late may be nearer than what was found before,
    and the strict order would leave it out."""
    place = place_of(space_id)
    column, n = f"p.{place.columns.vector}", int(place.dimensions)
    settings = (
        "SET LOCAL hnsw.iterative_scan = relaxed_order",
        f"SET LOCAL hnsw.ef_search = {width:d}",
        f"SET LOCAL hnsw.max_scan_tuples = {MOST_SCANNED:d}",
    )
    return _run(
        f"{column}::halfvec({n})",
        f"%s::halfvec({n})",
        f" AND vector_dims({column}) = {n}",
        vector,
        space_id,
        narrowed,
        condition,
        most,
        settings,
    )


def _run(
    column: str,
    parameter: str,
    extra: str,
    vector: str,
    space_id: uuid.UUID,
    narrowed: Filter,
    condition: str,
    most: int,
    settings: Sequence[str] = (),
) -> dict[str, float]:
    """`settings` go before the statement in one message: a way to the server and back is dear."""
    filters, values = narrowed.as_sql()
    if condition:
        filters += " AND p.tsv @@ %s::tsquery"
        values.append(condition)
    at = place_of(space_id).columns
    with connection.cursor() as cursor:
        cursor.execute(
            "".join(f"{setting}; " for setting in settings) + "SELECT id::text, 1 - distance "  # noqa: S608
            f"FROM (SELECT p.id, {column} <=> {parameter} AS distance "
            "FROM memory_passage p WHERE p.workspace_id = %s "
            f"AND p.{at.space} = %s AND p.{at.vector} IS NOT NULL{extra}{filters} "
            "ORDER BY distance LIMIT %s) nearest",
            [vector, current_workspace_id(), space_id, *values, most],
        )
        for _ in settings:
            cursor.nextset()
        return dict(cursor.fetchall())
