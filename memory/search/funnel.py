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
from memory.search.parse import parse
from memory.search.schemas import SearchAnswer, SearchMode, SearchQuery
from memory.search.scoring import Scored, fuse
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
    query.check()
    parsed, figures, narrowed = parse(query.q), corpus(), resolve(query)
    words = lexical.analyse(parsed, figures)
    most = max(LEAST_CANDIDATES, query.limit * CANDIDATES_PER_HIT)
    meaning = Meaning()
    if parsed.text and query.mode is not SearchMode.LEXICAL:
        meaning = _meaning(query_vector)
    legs, scored = _candidates(query.mode, words, meaning, figures, narrowed, most)
    kept = [one for one in scored if one.score >= query.min_score]
    return SearchAnswer(
        hits=make_hits(kept, terms=words.terms, limit=query.limit, explain=query.explain),
        mode=query.mode,
        legs=legs,
        semantic_unavailable=meaning.problem or None,
        passages=figures.passages,
        not_embedded=count_pending(),
    )


@dataclass(frozen=True, slots=True)
class Meaning:
    """The query's vector and the space it is compared in, or why there is none."""

    vector: str = ""
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
    return Meaning(query.vector, space.id)


def _candidates(
    mode: SearchMode, words: Words, meaning: Meaning, figures: Corpus, narrowed: Filter, most: int
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
    # Each leg's candidates are scored by the other leg as well.
    missing = [passage for passage in bm25 if passage not in cosine]
    cosine |= dense.cosines(meaning.vector, space_id=meaning.space_id, ids=missing)
    return ["lexical", "semantic"], fuse(bm25 | beside, cosine, mode=mode)


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
