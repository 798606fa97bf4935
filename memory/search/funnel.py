"""The one way to search: candidates of both legs, one score, hits.

REST and MCP call `search` inside a workspace_scope, with the query's vector made before it
(vectors.py). Only reads.
"""

import uuid
from dataclasses import dataclass

from django.db import connection

from config.lib.scope import current_workspace_id
from memory.search import dense, lexical
from memory.search.corpus import Corpus, active_space, corpus, count_pending, space_of
from memory.search.filters import Filter, resolve
from memory.search.hits import make_hits
from memory.search.lexical import Words
from memory.search.parse import Parsed, parse
from memory.search.ranking import features, probability
from memory.search.schemas import SearchAnswer, SearchMode, SearchQuery
from memory.search.scoring import Scored, fuse
from memory.search.surroundings import Meanings, gather
from memory.search.vectors import NOT_ASKED, QueryVector

# From each leg. Chunks of one row share a place in the answer, and a hit may be first in one leg
# only, so more than are asked for.
LEAST_CANDIDATES = 200
CANDIDATES_PER_HIT = 5


def search(*, query: SearchQuery, query_vector: QueryVector = NOT_ASKED) -> SearchAnswer:
    """What the workspace knows of `query`, best first.

    `query_vector` is `embed_query(parse(query.q).text)`. Without one (no provider, endpoint down,
    vectors of another model) a hybrid or semantic search is made by words, and the answer says
    why. Raises Invalid naming the field that cannot be searched for.
    """
    found = find(query=query, query_vector=query_vector)
    kept = [one for one in found.scored if one.score >= query.min_score]
    return SearchAnswer(
        hits=make_hits(kept, terms=found.terms, limit=query.limit, explain=query.explain),
        mode=query.mode,
        legs=found.legs,
        semantic_unavailable=found.problem or None,
        passages=found.passages,
        not_embedded=count_pending(),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """The passages that were found, best first, and how: `terms` are the query's lexemes,
    `problem` says why meaning was not asked for, `passages` how many there are."""

    legs: list[str]
    scored: list[Scored]
    terms: list[str]
    problem: str
    passages: int


def find(*, query: SearchQuery, query_vector: QueryVector = NOT_ASKED) -> Found:
    """As `search`, before hits are made of it."""
    query.check()
    parsed, figures, narrowed = parse(query.q), corpus(), resolve(query)
    words = lexical.analyse(parsed, figures)
    most = max(LEAST_CANDIDATES, query.limit * CANDIDATES_PER_HIT)
    meaning = Meaning()
    if parsed.text and query.mode is not SearchMode.LEXICAL:
        meaning = _meaning(query_vector)
    legs, scored = _candidates(query.mode, parsed, words, meaning, figures, narrowed, most)
    return Found(legs, scored, words.terms, meaning.problem, figures.passages)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The query's vectors and the space they are compared in, or why there is none."""

    vector: str = ""
    keywords: str = ""
    space_id: uuid.UUID | None = None
    problem: str = ""


def _meaning(query: QueryVector) -> Meaning:
    if query.problem:
        return Meaning(problem=query.problem)
    if not query.vector:
        return Meaning(problem="the query's vector was not made")
    space = space_of(query.provider, query.model, query.dimensions)
    if space is None:
        active = active_space()
        if active is None:
            return Meaning(problem="nothing is embedded yet")
        return Meaning(
            problem=f"the index holds vectors of {active}, the query has one of {query.provider} "
            f"{query.model} ({query.dimensions})"
        )
    return Meaning(query.vector, query.keywords, space.id)


def _candidates(
    mode: SearchMode,
    parsed: Parsed,
    words: Words,
    meaning: Meaning,
    figures: Corpus,
    narrowed: Filter,
    most: int,
) -> tuple[list[str], list[Scored]]:
    """(the legs that ran, their passages with scores)."""
    cosine: dict[uuid.UUID, float] = {}
    if meaning.space_id is not None:
        cosine = dense.nearest(
            meaning.vector,
            space_id=meaning.space_id,
            figures=figures,
            narrowed=narrowed,
            condition=words.condition,
            most=most,
        )
        if mode is SearchMode.SEMANTIC:
            return ["semantic"], fuse({}, cosine, mode=mode)
    if not words.searchable:
        if meaning.space_id is not None:
            return ["semantic"], fuse({}, cosine, mode=mode)
        # Nothing to look for: stop words, punctuation, or filters alone.
        return ["recent"], _recent(narrowed, words.condition, most)
    bm25, beside = lexical.find(words, figures, narrowed, others=list(cosine), most=most)
    if meaning.space_id is None:
        return ["lexical"], fuse(bm25, {}, mode=SearchMode.LEXICAL)
    meanings = Meanings(meaning.vector, meaning.keywords, meaning.space_id, cosine)
    return ["lexical", "semantic"], _ranked(
        parsed, bm25 | beside, meanings, words, figures, narrowed
    )


def _ranked(
    parsed: Parsed,
    bm25: dict[uuid.UUID, float],
    meanings: Meanings,
    words: Words,
    figures: Corpus,
    narrowed: Filter,
) -> list[Scored]:
    """Rows by their best passage, in the order of ranking.py."""
    candidates = gather(bm25, meanings, words, figures, narrowed)
    best = [candidate.passages[0] for candidate in candidates]
    by_passage = {
        one.passage: one
        for one in fuse(
            {passage: bm25[passage] for passage in best if passage in bm25},
            {passage: meanings.query[passage] for passage in best if passage in meanings.query},
            mode=SearchMode.HYBRID,
        )
    }
    found = []
    for candidate, seen in zip(
        candidates, features(parsed.text, [c.row for c in candidates]), strict=True
    ):
        passage = candidate.passages[0]
        one = by_passage.get(passage) or Scored(passage, 0.0)
        one.source, one.features, one.score = candidate.source, seen, probability(seen)
        found.append(one)
    found.sort(key=lambda one: (one.score, one.passage.int), reverse=True)
    return found


def _recent(narrowed: Filter, condition: str, most: int) -> list[Scored]:
    """The newest rows that pass the filter; they have no score."""
    filters, values = narrowed.as_sql()
    if condition:
        filters += " AND p.tsv @@ %s::tsquery"
        values.append(condition)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id FROM memory_passage p WHERE p.workspace_id = %s AND p.chunk = 0"  # noqa: S608
            f"{filters} ORDER BY p.occurred_at DESC, p.id DESC LIMIT %s",
            [current_workspace_id(), *values, most],
        )
        return [Scored(passage, 0.0) for (passage,) in cursor.fetchall()]
