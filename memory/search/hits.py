"""From scored passages to hits: each row once, by its best passage, with what surrounds it."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection

from config.lib.db.prepared import prepared_cursor
from config.lib.scope import current_workspace_id
from memory.models.memory import MemoryState
from memory.models.passage import EXPIRED
from memory.search.ranking import WEIGHTS
from memory.search.schemas import Explanation, Hit
from memory.search.scoring import Scored
from memory.search.snippets import Snippets

# Several passages of one row are often among the best, so more are read than are wanted.
READ_AHEAD = 2


def make_hits(
    scored: Sequence[Scored], *, terms: Sequence[str], limit: int, explain: bool
) -> list[Hit]:
    """The first `limit` rows of the passages in `scored`, which are in order. The function
    search_details (migration 0013) reads them."""
    hits: list[Hit] = []
    seen: set[uuid.UUID] = set()
    shown = Snippets(terms)
    # Ranked rows come once already.
    once = bool(scored) and scored[0].source is not None
    for one, row in _rows(scored, limit if once else limit * READ_AHEAD):
        if row["source"] not in seen:
            seen.add(row["source"])
            hits.append(_hit(one, row, shown, explain))
            if len(hits) == limit:
                break
    _count_chunks([hit for hit in hits if not hit.chunks])
    return hits


def _rows(scored: Sequence[Scored], step: int) -> Iterator[tuple[Scored, dict[str, Any]]]:
    for start in range(0, len(scored), step):
        part = scored[start : start + step]
        with prepared_cursor() as cursor:
            cursor.execute(
                "SELECT * FROM search_details(%s::uuid[])",
                ["{" + ",".join(one.passage for one in part) + "}"],
            )
            columns = [column.name for column in cursor.description]
            rows = {str(row[0]): dict(zip(columns, row, strict=True)) for row in cursor.fetchall()}
        # A passage may have been replaced since its leg found it.
        yield from ((one, rows[one.passage]) for one in part if one.passage in rows)


def _hit(one: Scored, row: dict[str, Any], shown: Snippets, explain: bool) -> Hit:
    explanation = Explanation(**one.legs._asdict())
    if explain and one.features is not None:
        weighed = zip(WEIGHTS.items(), one.features, strict=True)
        explanation.parts = {name: round(weight * seen, 4) for (name, weight), seen in weighed}
        if one.decay:
            explanation.parts["decay"] = round(one.decay, 4)
    values = {name: value for name, value in row.items() if name not in ("passage", "source")}
    if values["state"] == EXPIRED:
        values["state"] = MemoryState.ARCHIVED
    return Hit(
        id=row["source"],
        score=round(one.score, 6),
        snippet=shown.of(row["text"]),
        explain=explanation,
        # Ranking has counted them already.
        chunks=one.chunks or 0,
        **values,
    )


def _count_chunks(hits: Sequence[Hit]) -> None:
    """How many parts each row has, in one statement. Indexes passage_of_*_unique."""
    parts: list[str] = []
    asked: list[Any] = []
    for kind in dict.fromkeys(hit.kind for hit in hits):
        column = f"of_{kind.value}_id"
        parts.append(
            f"SELECT {column}, count(*) FROM memory_passage WHERE workspace_id = %s "  # noqa: S608
            f"AND {column} = ANY(%s::uuid[]) GROUP BY 1"
        )
        asked += [current_workspace_id(), [hit.id for hit in hits if hit.kind == kind]]
    if not parts:
        return
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), asked)
        counts = dict(cursor.fetchall())
    for hit in hits:
        hit.chunks = counts.get(hit.id, 1)
