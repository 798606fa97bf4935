"""What ranking knows of candidates beside their own scores: their rows, and their neighbours.

Five statements, each by ids, for the best few score candidates. Not for scoring (ranking.py).
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection

from config.lib.scope import current_workspace_id
from memory.search import dense, lexical
from memory.search.corpus import Corpus
from memory.search.filters import Filter
from memory.search.lexical import Words
from memory.search.ranking import Neighbour, Row

# Rows whose surroundings are looked at; the others would hardly come into an answer.
MOST_ROWS = 120
# A longer row speaks for itself (ranking.HALF_WORDS), and of a neighbour the beginning counts.
MOST_LENGTH = 300
MOST_NEIGHBOUR_CHUNKS = 2
REACH = 2
# Rows whose neighbours become candidates themselves: an answer may have no word of its question.
MOST_SPREAD = 40


@dataclass(slots=True)
class Meanings:
    """Cosines of passages with the query, and with its keywords, and how to get more of them."""

    vector: str = ""
    keyword_vector: str = ""
    space_id: uuid.UUID | None = None
    query: dict[uuid.UUID, float] = field(default_factory=dict)
    keywords: dict[uuid.UUID, float] = field(default_factory=dict)

    def add(self, ids: Sequence[uuid.UUID]) -> None:
        """Of `ids` those that are not known yet."""
        if self.space_id is None:
            return
        for vector, known in (
            (self.vector, self.query),
            (self.keyword_vector or self.vector, self.keywords),
        ):
            missing = [one for one in ids if one not in known]
            known |= dense.cosines(vector, space_id=self.space_id, ids=missing)


@dataclass(slots=True)
class Candidate:
    """A row that was found: its passages that are candidates, the best of them first."""

    source: uuid.UUID
    kind: str
    thread: uuid.UUID | None
    idx: int | None
    passages: list[uuid.UUID]
    row: Row


Place = tuple[uuid.UUID, int]


def gather(
    bm25: dict[uuid.UUID, float],
    meanings: Meanings,
    words: Words,
    figures: Corpus,
    narrowed: Filter,
) -> list[Candidate]:
    """The most promising rows of the candidates, with all that ranking asks for. `bm25` is added
    to: what stands beside them is scored as well."""
    meanings.add(list(bm25.keys() | meanings.query.keys()))
    found = _rows(bm25.keys() | meanings.query.keys(), bm25, meanings, words)
    found.sort(key=_promise, reverse=True)
    del found[MOST_ROWS:]
    neighbours = _neighbours(found)
    beside = sorted({one for passages in neighbours.values() for one, _ in passages})
    meanings.add(beside)
    bm25 |= lexical.score(words, figures, [one for one in beside if one not in bm25])
    found += _spread(found, neighbours, bm25, meanings, words, narrowed)
    _read(found, words)
    openings = _openings(found)
    meanings.add(list(openings.values()))
    for candidate in found:
        opening = openings.get(candidate.source, candidate.passages[0])
        candidate.row.opening_meaning = meanings.query.get(opening)
        if candidate.thread is None or candidate.idx is None:
            continue
        for step in range(1, REACH + 1):
            for place, side in (
                (candidate.idx - step, candidate.row.before),
                (candidate.idx + step, candidate.row.after),
            ):
                side.append(
                    _neighbour(neighbours.get((candidate.thread, place), ()), bm25, meanings, words)
                )
    return found


def _promise(candidate: Candidate) -> float:
    """A first guess: the legs' figures, and what the best of many chunks owes to their number."""
    row = candidate.row
    return row.words + (row.meaning or 0.0) + (row.keyword_meaning or 0.0) - 0.1 * row.chunks**0.5


def _spread(
    found: Sequence[Candidate],
    neighbours: Mapping[Place, Sequence[tuple[uuid.UUID, bool]]],
    scores: Mapping[uuid.UUID, float],
    meanings: Meanings,
    words: Words,
    narrowed: Filter,
) -> list[Candidate]:
    """The rows before and after the most promising ones, as far as they are not among `found`
    and pass the filter."""
    taken = {(candidate.thread, candidate.idx) for candidate in found}
    places = {
        (candidate.thread, candidate.idx + step)
        for candidate in found[:MOST_SPREAD]
        if candidate.thread is not None
        and candidate.idx is not None
        and candidate.row.length <= MOST_LENGTH
        for step in (-1, 1)
    }
    ids = [one for place in places - taken for one, _ in neighbours.get(place, ())]
    return _rows(ids, scores, meanings, words, narrowed)


def _rows(
    ids: Iterable[uuid.UUID],
    bm25: Mapping[uuid.UUID, float],
    meanings: Meanings,
    words: Words,
    narrowed: Filter | None = None,
) -> list[Candidate]:
    filters, values = narrowed.as_sql() if narrowed else ("", [])
    if narrowed and words.condition:
        filters += " AND p.tsv @@ %s::tsquery"
        values.append(words.condition)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, coalesce(p.of_memory_id, p.of_summary_id, p.of_event_id, "  # noqa: S608
            "p.of_message_id, p.of_project_id, p.of_task_id, p.of_contact_id), p.kind, "
            "p.thread_id, p.idx, p.token_count FROM memory_passage p "
            f"WHERE p.workspace_id = %s AND p.id = ANY(%s::uuid[]){filters}",
            [current_workspace_id(), sorted(ids), *values],
        )
        found: dict[uuid.UUID, Candidate] = {}
        best: dict[uuid.UUID, float] = {}
        for passage, source, kind, thread, idx, length in cursor.fetchall():
            candidate = found.get(source)
            if candidate is None:
                candidate = Candidate(source, kind, thread, idx, [], Row(thread=thread))
                found[source] = candidate
            row = candidate.row
            row.length = max(row.length, length)
            share = bm25.get(passage, 0.0) / words.ideal if words.ideal else 0.0
            first = share + meanings.query.get(passage, 0.0)
            row.words = max(row.words, share)
            row.meaning = _larger(row.meaning, meanings.query.get(passage))
            row.keyword_meaning = _larger(row.keyword_meaning, meanings.keywords.get(passage))
            # The best passage stands for the row.
            if not candidate.passages or first > best[source]:
                best[source] = first
                candidate.passages.insert(0, passage)
            else:
                candidate.passages.append(passage)
    return list(found.values())


def _larger(one: float | None, other: float | None) -> float | None:
    return one if other is None else other if one is None else max(one, other)


def _read(found: Sequence[Candidate], words: Words) -> None:
    """Each row's number of chunks, its best passage's text, and which of the words it has.

    Indexes memory_passage_pkey and passage_of_*_unique.
    """
    by_passage = {candidate.passages[0]: candidate.row for candidate in found}
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
            column = f"of_{kind}_id"
            cursor.execute(
                f"SELECT {column}, count(*), sum(token_count) FROM memory_passage "  # noqa: S608
                f"WHERE workspace_id = %s AND {column} = ANY(%s::uuid[]) GROUP BY 1",
                [current_workspace_id(), list(rows)],
            )
            for source, chunks, length in cursor.fetchall():
                rows[source].chunks, rows[source].length = chunks, int(length)


def _openings(found: Sequence[Candidate]) -> dict[uuid.UUID, uuid.UUID]:
    """row -> its first passage, of those with several. Indexes passage_of_*_unique."""
    openings: dict[uuid.UUID, uuid.UUID] = {}
    with connection.cursor() as cursor:
        for kind in {candidate.kind for candidate in found}:
            ids = [c.source for c in found if c.kind == kind and c.row.chunks > 1]
            if ids:
                column = f"of_{kind}_id"
                cursor.execute(
                    f"SELECT {column}, id FROM memory_passage WHERE workspace_id = %s "  # noqa: S608
                    f"AND {column} = ANY(%s::uuid[]) AND chunk = 0",
                    [current_workspace_id(), ids],
                )
                openings |= dict(cursor.fetchall())
    return openings


def _neighbours(found: Sequence[Candidate]) -> dict[Place, list[tuple[uuid.UUID, bool]]]:
    """(thread, idx) -> the first passages of the message there, and whether each ends in a
    question mark. Indexes message_idx_unique and passage_of_message_unique."""
    places = {
        (candidate.thread, candidate.idx + step)
        # Those that are spread to have neighbours of their own.
        for reach, part in ((REACH + 1, found[:MOST_SPREAD]), (REACH, found[MOST_SPREAD:]))
        for candidate in part
        if candidate.thread is not None
        and candidate.idx is not None
        and candidate.row.length <= MOST_LENGTH
        for step in range(-reach, reach + 1)
        if step
    }
    beside: dict[Place, list[tuple[uuid.UUID, bool]]] = {}
    if not places:
        return beside
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.thread_id, m.idx, p.id, right(rtrim(p.text), 1) = '?' "
            "FROM unnest(%s::uuid[], %s::int[]) AS wanted (thread_id, idx) "
            "JOIN agent_sessions_message m ON m.workspace_id = %s "
            "AND m.thread_id = wanted.thread_id AND m.idx = wanted.idx "
            "JOIN memory_passage p ON p.workspace_id = m.workspace_id "
            "AND p.of_message_id = m.id AND p.chunk < %s",
            [
                [thread for thread, _ in places],
                [idx for _, idx in places],
                current_workspace_id(),
                MOST_NEIGHBOUR_CHUNKS,
            ],
        )
        for thread, idx, passage, asks in cursor.fetchall():
            beside.setdefault((thread, idx), []).append((passage, asks))
    return beside


def _neighbour(
    passages: Sequence[tuple[uuid.UUID, bool]],
    scores: Mapping[uuid.UUID, float],
    meanings: Meanings,
    words: Words,
) -> Neighbour:
    ids = [passage for passage, _ in passages]
    share = max((scores.get(one, 0.0) for one in ids), default=0.0)
    return Neighbour(
        words=share / words.ideal if words.ideal else 0.0,
        meaning=max((meanings.query.get(one, 0.0) for one in ids), default=0.0),
        keyword_meaning=max((meanings.keywords.get(one, 0.0) for one in ids), default=0.0),
        asks=any(asks for _, asks in passages),
    )
