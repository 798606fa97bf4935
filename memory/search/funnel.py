"""The one way to search: candidates of both legs, one score, hits.

REST and MCP call `search` inside a workspace_scope, with the query's vector made before it
(vectors.py). Only reads.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection

from config.lib import clock
from config.lib.scope import current_workspace_id
from contacts.preferences import preferences
from memory.search import dense, lexical
from memory.search.context import make_block
from memory.search.corpus import Corpus, Standing
from memory.search.dates import Period, find_period
from memory.search.decay import moves
from memory.search.details import add_evidence, add_neighbours
from memory.search.filters import Filter, resolve
from memory.search.ground import look_around
from memory.search.hits import make_hits
from memory.search.lexical import Words
from memory.search.parse import Parsed, parse
from memory.search.ranking import Rows, add_texts, features, probability, totals
from memory.search.rows import Meaning, gather
from memory.search.schemas import DateUse, PeriodOut, SearchAnswer, SearchMode, SearchQuery
from memory.search.scoring import Scored, by_meaning, by_words, in_order, leg_figures
from memory.search.vectors import NOT_ASKED, QueryVector

# From each leg. Chunks of one row share a place in the answer, and a hit may be first in one leg
# only, so more than are asked for.
LEAST_CANDIDATES = 60
CANDIDATES_PER_HIT = 3
# Where the chunks of a few long rows are all that was found, so many times as many are looked for,
# up to so many.
WIDENED, MOST_CANDIDATES = 6, 5000
# Rows whose texts are looked at, of which four features of ranking.py are: what stands behind them
# without could hardly come before the last hit with.
LEAST_READ = 50
READ_PER_HIT = 2


def search(*, query: SearchQuery, query_vector: QueryVector = NOT_ASKED) -> SearchAnswer:
    """What the workspace knows of `query`, best first.

    `query_vector` is `embed_query(parse(query.q).text)`. Without one (no provider, endpoint down,
    vectors of another model) a hybrid or semantic search is made by words, and the answer says
    why. Raises Invalid naming the field that cannot be searched for.
    """
    answer = look(query=query, query_vector=query_vector)
    complete(answer, query)
    return answer


def look(*, query: SearchQuery, query_vector: QueryVector = NOT_ASKED) -> SearchAnswer:
    """As `search`, with nothing beside the hits yet: their order may change before that."""
    most = max(LEAST_CANDIDATES, query.limit * CANDIDATES_PER_HIT)
    while True:
        found = find(query=query, query_vector=query_vector, most=most)
        # A cosine may be below 0: whoever asks for no least score wants these as well.
        kept = [one for one in found.scored if not query.min_score or one.score >= query.min_score]
        hits = make_hits(kept, terms=found.terms, limit=query.limit, explain=query.explain)
        if len(hits) == query.limit or len(kept) < len(found.scored) or not found.cut:
            break
        if most == MOST_CANDIDATES:
            break
        most = min(most * WIDENED, MOST_CANDIDATES)
    return SearchAnswer(
        hits=hits,
        mode=query.mode,
        legs=found.legs,
        semantic_unavailable=found.problem or None,
        passages=found.passages,
        not_embedded=found.pending,
        period=None if found.period is None else PeriodOut.model_validate(found.period),
    )


def complete(answer: SearchAnswer, query: SearchQuery) -> None:
    """Adds what is read for the hits that are given: neighbours, evidence, a context block."""
    add_neighbours(answer.hits, query.neighbours, as_of=query.as_of)
    add_evidence(answer.hits)
    if query.max_tokens is not None:
        answer.context = make_block(answer.hits, query.max_tokens)


def find_rows(q: str, narrowed: Filter, *, most: int) -> list[uuid.UUID]:
    """The rows with the words of `q`, best first, each once: for lists, which show them their own
    way. Empty where it has no word to look for. Index memory_passage_pkey beside the leg's."""
    return list(dict.fromkeys(row for row, _ in _find_in_turn(q, [narrowed], most=most)))


def find_passages(q: str, narrowed: Filter, *, most: int) -> list[uuid.UUID]:
    """The passages themselves."""
    ground = look_around(parse(q))
    words = lexical.analyse(ground)
    found = by_words(lexical.find(words, ground.figures, narrowed, most=most))
    return [uuid.UUID(one.passage) for one in found]


def find_sessions(q: str, each: Sequence[Filter], *, most: int) -> list[uuid.UUID]:
    """The same of sessions: those of the rows that the first of `each` lets through, then the
    next one's."""
    of = (session for _, session in _find_in_turn(q, each, most=most))
    return list(dict.fromkeys(session for session in of if session is not None))


def _find_in_turn(
    q: str, each: Sequence[Filter], *, most: int
) -> list[tuple[uuid.UUID, uuid.UUID | None]]:
    """(row, its session). A statement for each filter and two for all of them."""
    ground = look_around(parse(q))
    words, figures = lexical.analyse(ground), ground.figures
    order = [
        one.passage
        for narrowed in each
        for one in by_words(lexical.find(words, figures, narrowed, most=most))
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id::text, coalesce(of_memory_id, of_summary_id, of_event_id, of_message_id, "
            "of_project_id, of_task_id, of_contact_id), session_id FROM memory_passage "
            "WHERE workspace_id = %s AND id = ANY(%s::uuid[])",
            [current_workspace_id(), "{" + ",".join(order) + "}"],
        )
        sources = {passage: (row, session) for passage, row, session in cursor.fetchall()}
    return [sources[passage] for passage in order if passage in sources]


@dataclass(frozen=True, slots=True)
class Found:
    """The passages that were found, best first, and how: `terms` are the query's lexemes,
    `problem` says why meaning was not asked for, `passages` how many there are, `pending` how many
    of them wait for their vectors, `period` is the time that the query speaks of, and `cut` whether
    a leg may have more than it was asked for."""

    legs: list[str]
    scored: list[Scored]
    terms: list[str]
    problem: str
    passages: int
    pending: int
    period: Period | None
    cut: bool


def find(
    *,
    query: SearchQuery,
    query_vector: QueryVector = NOT_ASKED,
    most: int = LEAST_CANDIDATES,
) -> Found:
    """As `search`, before hits are made of it: of each leg the `most` best passages."""
    query.check()
    parsed, narrowed = parse(query.q), resolve(query)
    ground = look_around(parsed, query_vector)
    words, figures, stands = lexical.analyse(ground), ground.figures, ground.standing
    read = max(LEAST_READ, query.limit * READ_PER_HIT)
    period = _period(query, parsed)
    if period is not None and query.dates is DateUse.FILTER:
        narrowed = narrowed.within(period.start, period.end)
    meaning, problem = None, ""
    if parsed.text and query.mode is not SearchMode.LEXICAL:
        meaning, problem = _meaning(query_vector, stands)
    legs, scored, cut = _candidates(
        _Search(
            query.mode, parsed, words, meaning, figures, narrowed, period, most, read, query.decay
        )
    )
    return Found(legs, scored, words.terms, problem, figures.passages, stands.pending, period, cut)


def _period(query: SearchQuery, parsed: Parsed) -> Period | None:
    """The time that the query speaks of, by the asker's clock in the workspace's time zone."""
    if query.dates is DateUse.IGNORE:
        return None
    now = query.asked_at or clock.now()
    # Most queries speak of none, and the time zone is a statement of its own.
    if find_period(parsed.text, now) is None:
        return None
    return find_period(parsed.text, now.astimezone(preferences().timezone))


def _meaning(query: QueryVector, stands: Standing) -> tuple[Meaning | None, str]:
    """The query's vectors and the space they are compared in, or why there is none."""
    if query.problem:
        return None, query.problem
    if not query.vector:
        return None, "the query's vector was not made"
    if query.space_id is not None:
        return Meaning(query.vector, query.keywords, query.space_id), ""
    if stands.space_id is not None and stands.slot is not None:
        dense.note_place(stands.space_id, stands.slot, query.dimensions)
        return Meaning(query.vector, query.keywords, stands.space_id), ""
    if stands.active is None:
        return None, "nothing is embedded yet"
    return None, (
        f"the index holds vectors of {stands.active}, the query has one of {query.provider} "
        f"{query.model} ({query.dimensions})"
    )


@dataclass(frozen=True, slots=True)
class _Search:
    """What the legs and the ranking are asked."""

    mode: SearchMode
    parsed: Parsed
    words: Words
    meaning: Meaning | None
    figures: Corpus
    narrowed: Filter
    period: Period | None
    most: int
    read: int
    decay: float | None


def _candidates(asked: _Search) -> tuple[list[str], list[Scored], bool]:
    """(the legs that ran, their passages with scores, whether a leg may have more)."""
    if asked.meaning is not None:
        if asked.mode is SearchMode.SEMANTIC or not asked.words.searchable:
            cosine = _nearest(asked, asked.meaning, beside=False)
            return ["semantic"], by_meaning(cosine), len(cosine) >= asked.most
        found, cut = _gathered(asked, asked.meaning)
        return ["lexical", "semantic"], _ranked(asked, found), cut
    if not asked.words.searchable:
        # Nothing to look for: stop words, punctuation, or filters alone. One passage of each row.
        return ["recent"], _recent(asked.narrowed, asked.words.condition, asked.most), False
    bm25 = lexical.find(asked.words, asked.figures, asked.narrowed, most=asked.most)
    return ["lexical"], by_words(bm25), len(bm25) >= asked.most


def _nearest(asked: _Search, meaning: Meaning, *, beside: bool) -> dict[str, float]:
    return dense.nearest(
        meaning.vector,
        space_id=meaning.space_id,
        figures=asked.figures,
        narrowed=asked.narrowed,
        condition=asked.words.condition,
        most=asked.most,
        beside=beside,
    )


def _gathered(asked: _Search, meaning: Meaning) -> tuple[Rows, bool]:
    """(the rows that both legs found, whether meaning may have found more)."""

    def of(near: Iterable[str] | int) -> Rows:
        return gather(
            near,
            meaning=meaning,
            words=asked.words,
            figures=asked.figures,
            narrowed=asked.narrowed,
            most=asked.most,
            wanted=asked.read,
        )

    width = dense.width_beside(
        meaning.space_id, asked.figures, asked.narrowed, asked.words.condition, asked.most
    )
    if width is None:
        cosine = _nearest(asked, meaning, beside=True)
    elif (found := of(width)).rows:
        return found, True
    else:
        # The index has fewer; it is not looked into a second time.
        cosine = dense.exact(
            meaning.vector, meaning.space_id, asked.narrowed, asked.words.condition, asked.most
        )
    return of(cosine), len(cosine) >= asked.most


def _ranked(asked: _Search, found: Rows) -> list[Scored]:
    """Rows in the order of ranking.py: all by what is known of them without their texts, and the
    first of those with their texts."""
    seen = features(found, asked.period)
    numbers = np.argsort(-totals(seen), kind="stable")[: asked.read].tolist()
    rows, seen = [found.rows[number] for number in numbers], seen[numbers]
    add_texts(seen, asked.parsed.text, [row.text for row in rows])
    decays = moves([row.passage for row in rows], asked.decay)
    bm25 = found.column("bm25")
    legs = leg_figures(np.where(bm25 > 0, bm25, np.nan), found.column("cosine"))
    chunks = found.column("chunks").astype(int).tolist()
    return in_order(
        Scored(
            row.passage,
            probability(total + decay),
            legs[number],
            source=row.source,
            chunks=chunks[number],
            features=values,
            decay=decay,
        )
        for number, row, total, values, decay in zip(
            numbers, rows, totals(seen).tolist(), seen.tolist(), decays, strict=True
        )
    )


def _recent(narrowed: Filter, condition: str, most: int) -> list[Scored]:
    """The newest rows that pass the filter; they have no score."""
    filters, values = narrowed.as_sql()
    if condition:
        filters += " AND p.tsv @@ %s::tsquery"
        values.append(condition)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id::text FROM memory_passage p WHERE p.workspace_id = %s AND p.chunk = 0"  # noqa: S608
            f"{filters} ORDER BY p.occurred_at DESC, p.id DESC LIMIT %s",
            [current_workspace_id(), *values, most],
        )
        return [Scored(passage, 0.0) for (passage,) in cursor.fetchall()]
