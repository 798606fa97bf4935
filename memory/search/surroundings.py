"""What ranking knows of candidates beside their own scores: their rows, and their neighbours.

Six statements, and one more for each kind of row, by ids, for the best candidates.
Not for scoring (ranking.py).
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from config.lib.scope import current_workspace_id
from memory.search import lexical
from memory.search.corpus import Corpus
from memory.search.dense import place_of
from memory.search.filters import Filter
from memory.search.lexical import Words
from memory.search.ranking import Neighbour, Row
from memory.search.schemas import MAX_LIMIT

# Rows whose surroundings are looked at: as many as an answer may have, and where an answer has
# few, the others would hardly come into it.
MOST_ROWS = MAX_LIMIT
# A longer row speaks for itself (ranking.HALF_WORDS), and of a neighbour the beginning counts.
MOST_LENGTH = 300
MOST_NEIGHBOUR_CHUNKS = 2
REACH = 2
# Rows whose neighbours become candidates themselves: an answer may have no word of its question.
MOST_SPREAD = 40


@dataclass(frozen=True, slots=True)
class Meaning:
    """The query's vectors, of itself and of its keywords, in pgvector's text form, and the space
    they are compared in."""

    vector: str
    keywords: str
    space_id: uuid.UUID

    def cosines(self) -> tuple[str, list[Any]]:
        """(two columns of passages p, their parameters): null where there is no vector."""
        at = place_of(self.space_id).columns
        column = f"CASE WHEN p.{at.space} = %s THEN 1 - (p.{at.vector} <=> %s::halfvec) END"
        space, keywords = self.space_id, self.keywords or self.vector
        return f"{column}, {column}", [space, self.vector, space, keywords]

    def opening(self) -> tuple[str, list[Any]]:
        """(one column, its parameters): the query's cosine with a row's first passage."""
        at = place_of(self.space_id).columns
        condition = f"p.chunk = 0 AND p.{at.space} = %s"
        column = f"CASE WHEN {condition} THEN 1 - (p.{at.vector} <=> %s::halfvec) END"
        return column, [self.space_id, self.vector]


@dataclass(slots=True)
class Passage:
    """One chunk of a row."""

    id: uuid.UUID
    source: uuid.UUID
    kind: str
    thread: uuid.UUID | None
    idx: int | None
    length: int
    occurred_at: datetime
    meaning: float | None
    keyword_meaning: float | None
    words: float = 0.0


@dataclass(slots=True)
class Beside:
    """A chunk of a neighbour. `passes` says whether the query's filters let it through."""

    id: uuid.UUID
    meaning: float | None
    keyword_meaning: float | None
    asks: bool
    passes: bool
    words: float = 0.0


@dataclass(slots=True)
class Candidate:
    """A row that was found: the best of its passages that are candidates, and what is known."""

    source: uuid.UUID
    kind: str
    idx: int | None
    best: Passage
    row: Row
    passages: list[Passage] = field(default_factory=list)


Place = tuple[uuid.UUID, int]


def gather(
    bm25: dict[uuid.UUID, float],
    near: Iterable[uuid.UUID],
    *,
    meaning: Meaning,
    words: Words,
    figures: Corpus,
    narrowed: Filter,
) -> list[Candidate]:
    """The most promising rows of the passages `bm25` and `near`, with all that ranking asks for.

    `bm25` is added to: what stands beside them is scored as well.
    """
    found = _rows(_passages(bm25.keys() | set(near), meaning), bm25, words)
    found.sort(key=_promise, reverse=True)
    del found[MOST_ROWS:]
    beside = _neighbours(found, meaning, words, narrowed)
    others = {one.id for passages in beside.values() for one in passages}
    bm25 |= lexical.score(words, figures, list(others - bm25.keys()))
    for passages in beside.values():
        for one in passages:
            one.words = bm25.get(one.id, 0.0) / words.ideal if words.ideal else 0.0
    found += _rows(_passages(_spread(found, beside), meaning), bm25, words)
    _read(found, meaning, words)
    for candidate in found:
        thread = candidate.row.thread
        if thread is None or candidate.idx is None:
            continue
        for step in range(1, REACH + 1):
            candidate.row.before.append(_neighbour(beside.get((thread, candidate.idx - step), ())))
            candidate.row.after.append(_neighbour(beside.get((thread, candidate.idx + step), ())))
    return found


def _promise(candidate: Candidate) -> float:
    """A first guess: the legs' figures, and what the best of many chunks owes to their number."""
    row = candidate.row
    chunks = len(candidate.passages)
    return row.words + (row.meaning or 0.0) + (row.keyword_meaning or 0.0) - 0.1 * chunks**0.5


_PASSAGE = (
    "p.id, coalesce(p.of_memory_id, p.of_summary_id, p.of_event_id, p.of_message_id, "
    "p.of_project_id, p.of_task_id, p.of_contact_id), p.kind, p.thread_id, p.idx, p.token_count, "
    "p.occurred_at"
)


def _passages(ids: Iterable[uuid.UUID], meaning: Meaning) -> list[Passage]:
    """Index memory_passage_pkey."""
    wanted = list(ids)
    if not wanted:
        return []
    cosines, values = meaning.cosines()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_PASSAGE}, {cosines} FROM memory_passage p "  # noqa: S608
            "WHERE p.workspace_id = %s AND p.id = ANY(%s::uuid[])",
            [*values, current_workspace_id(), wanted],
        )
        return [Passage(*row) for row in cursor.fetchall()]


def _rows(
    passages: Iterable[Passage], bm25: Mapping[uuid.UUID, float], words: Words
) -> list[Candidate]:
    found: dict[uuid.UUID, Candidate] = {}
    for one in passages:
        one.words = bm25.get(one.id, 0.0) / words.ideal if words.ideal else 0.0
        candidate = found.get(one.source)
        if candidate is None:
            row = Row(thread=one.thread, occurred_at=one.occurred_at)
            found[one.source] = candidate = Candidate(one.source, one.kind, one.idx, one, row)
        elif _first(one) > _first(candidate.best):
            # The best passage stands for the row.
            candidate.best = one
        candidate.passages.append(one)
        row = candidate.row
        row.length = max(row.length, one.length)
        row.words = max(row.words, one.words)
        row.meaning = _larger(row.meaning, one.meaning)
        row.keyword_meaning = _larger(row.keyword_meaning, one.keyword_meaning)
    return list(found.values())


def _first(passage: Passage) -> float:
    return passage.words + (passage.meaning or 0.0)


def _larger(one: float | None, other: float | None) -> float | None:
    return one if other is None else other if one is None else max(one, other)


def _neighbours(
    found: Sequence[Candidate], meaning: Meaning, words: Words, narrowed: Filter
) -> dict[Place, list[Beside]]:
    """(thread, idx) -> the first passages of the message there.

    Indexes message_idx_unique and passage_of_message_unique.
    """
    places = {
        (candidate.row.thread, candidate.idx + step)
        # Those that are spread to have neighbours of their own.
        for reach, part in ((REACH + 1, found[:MOST_SPREAD]), (REACH, found[MOST_SPREAD:]))
        for candidate in part
        if candidate.row.thread is not None
        and candidate.idx is not None
        and candidate.row.length <= MOST_LENGTH
        for step in range(-reach, reach + 1)
        if step
    }
    beside: dict[Place, list[Beside]] = {}
    if not places:
        return beside
    cosines, values = meaning.cosines()
    filters, filtered_by = narrowed.as_sql()
    if words.condition:
        filters += " AND p.tsv @@ %s::tsquery"
        filtered_by.append(words.condition)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT m.thread_id, m.idx, p.id, {cosines}, right(rtrim(p.text), 1) = '?', "  # noqa: S608
            f"(true{filters}) "
            "FROM unnest(%s::uuid[], %s::int[]) AS wanted (thread_id, idx) "
            "JOIN agent_sessions_message m ON m.workspace_id = %s "
            "AND m.thread_id = wanted.thread_id AND m.idx = wanted.idx "
            "JOIN memory_passage p ON p.workspace_id = m.workspace_id "
            "AND p.of_message_id = m.id AND p.chunk < %s",
            [
                *values,
                *filtered_by,
                [thread for thread, _ in places],
                [idx for _, idx in places],
                current_workspace_id(),
                MOST_NEIGHBOUR_CHUNKS,
            ],
        )
        for thread, idx, *row in cursor.fetchall():
            beside.setdefault((thread, idx), []).append(Beside(*row))
    return beside


def _spread(
    found: Sequence[Candidate],
    beside: Mapping[Place, Sequence[Beside]],
) -> list[uuid.UUID]:
    """The passages before and after the most promising rows, as far as their rows are not among
    `found` and pass the filter."""
    taken = {(candidate.row.thread, candidate.idx) for candidate in found}
    places = {
        (candidate.row.thread, candidate.idx + step)
        for candidate in found[:MOST_SPREAD]
        if candidate.row.thread is not None
        and candidate.idx is not None
        and candidate.row.length <= MOST_LENGTH
        for step in (-1, 1)
    }
    return [one.id for place in places - taken for one in beside.get(place, ()) if one.passes]


def _read(found: Sequence[Candidate], meaning: Meaning, words: Words) -> None:
    """Each row's best passage's text, which of the words it has, how many chunks there are, and
    how near the first of them is.

    Indexes memory_passage_pkey and passage_of_*_unique.
    """
    by_passage = {candidate.best.id: candidate.row for candidate in found}
    opening, values = meaning.opening()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, p.text, "
            "ARRAY(SELECT n FROM unnest(%s::text[]) WITH ORDINALITY AS t (word, n) "
            "WHERE p.tsv @@ word::tsquery) FROM memory_passage p "
            "WHERE p.workspace_id = %s AND p.id = ANY(%s::uuid[])",
            [words.quoted, current_workspace_id(), list(by_passage)],
        )
        for passage, text, held in cursor.fetchall():
            row = by_passage[passage]
            row.text = text
            row.coverage = words.coverage(held)
        for kind in {candidate.kind for candidate in found}:
            rows = {c.source: c.row for c in found if c.kind == kind}
            source = f"of_{kind}_id"
            cursor.execute(
                f"SELECT {source}, count(*) OVER part, sum(token_count) OVER part, {opening} "  # noqa: S608
                f"FROM memory_passage p WHERE p.workspace_id = %s AND {source} = ANY(%s::uuid[]) "
                f"WINDOW part AS (PARTITION BY {source})",
                [*values, current_workspace_id(), list(rows)],
            )
            for of, chunks, length, near in cursor.fetchall():
                row = rows[of]
                row.chunks, row.length = chunks, int(length)
                row.opening_meaning = _larger(row.opening_meaning, near)


_NOTHING = Neighbour()


def _neighbour(passages: Sequence[Beside]) -> Neighbour:
    if not passages:
        return _NOTHING
    return Neighbour(
        words=max(one.words for one in passages),
        meaning=max(one.meaning or 0.0 for one in passages),
        keyword_meaning=max(one.keyword_meaning or 0.0 for one in passages),
        asks=any(one.asks for one in passages),
    )
