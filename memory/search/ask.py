"""The way from a request to its answer, for REST, MCP, commands and measurements.

The query's vectors are made outside any transaction, since that may take a network call; then the
funnel searches in a scope of its own, or in its caller's where they were at hand. Where a reranker
is configured, it orders the hits outside of any as well, and what stands beside them is read in a
second.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext

from config.lib.scope import set_local, workspace_scope
from memory.embedding import Embedder
from memory.search.funnel import complete, look, search
from memory.search.parse import parse
from memory.search.ranking import keywords
from memory.search.rerank import hits_wanted, rerank, reranker_for
from memory.search.schemas import SearchAnswer, SearchMode, SearchQuery
from memory.search.speakers import note_speakers, speakers_of
from memory.search.vectors import QueryVector, embed_query, vectors_at_hand

# Told the answer, and the milliseconds it took without the query's embedding.
Told = Callable[[SearchAnswer, float], None]


def ask(
    workspace_id: uuid.UUID,
    query: SearchQuery,
    *,
    tell: Told | None = None,
    seconds: float | None = None,
    leave: Callable[[], object] | None = None,
) -> SearchAnswer:
    """What the workspace knows of `query`, best first. Call it outside any scope, or with `leave`.

    `leave` ends the caller's scope, which is searched in where the query's vectors are at hand, as
    those of a repeated query are; else it is ended before they are made.

    `tell` is called with the finished answer inside the search's last scope; its hits say what the
    legs said of them, whether or not the caller asked to see it. `seconds` is for a
    caller who cannot wait: a vector that takes longer is done without, and a statement that does
    raises OperationalError. Raises Invalid naming the field that cannot be searched for.
    """
    query.check()
    reranker, problem = reranker_for(query)
    vector = None
    if leave is not None:
        vector = _at_hand(query)
        if vector is None or reranker is not None:
            leave()
            leave = None
    if vector is None:
        vector = embed(workspace_id, query, seconds=seconds)
    if reranker is None:
        with workspace_scope(workspace_id) if leave is None else nullcontext():
            if seconds is not None:
                set_local("statement_timeout", str(int(seconds * 1000)))
            began = time.perf_counter()
            answer = search(query=query, query_vector=vector)
            answer.rerank_unavailable = problem or None
            if tell is not None:
                tell(answer, _ms_since(began))
        return _as_asked(answer, query)
    wider = query.model_copy(update={"limit": hits_wanted(query)})
    with workspace_scope(workspace_id):
        began = time.perf_counter()
        answer = look(query=wider, query_vector=vector)
    rerank(reranker, query, answer)
    with workspace_scope(workspace_id):
        complete(answer, query)
        if tell is not None:
            tell(answer, _ms_since(began))
    return _as_asked(answer, query)


def _as_asked(answer: SearchAnswer, query: SearchQuery) -> SearchAnswer:
    """Without what only `tell` is told."""
    if not query.explain:
        for hit in answer.hits:
            hit.explain = None
    return answer


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _at_hand(query: SearchQuery) -> QueryVector | None:
    """As `embed` in the current scope, or None where that takes the model."""
    text, told = _asked(query, note_speakers)
    return vectors_at_hand(text, keywords=told)


def _asked(query: SearchQuery, speakers: Callable[[], frozenset[str]]) -> tuple[str, str]:
    """The text that the query's meaning is asked by, and its keywords; blank where it is not."""
    text = parse(query.q).text
    if query.mode is SearchMode.LEXICAL or not text.strip():
        return "", ""
    return text, "" if query.mode is SearchMode.SEMANTIC else keywords(text, speakers())


def embed(
    workspace_id: uuid.UUID,
    query: SearchQuery,
    *,
    embedder: Embedder | None = None,
    seconds: float | None = None,
) -> QueryVector:
    """The query's vectors, as far as its mode looks at meaning, by the model that searches read
    unless another is given; within `seconds`, or as long as searches wait."""
    text, told = _asked(query, lambda: speakers_of(workspace_id))
    return embed_query(text, workspace_id, keywords=told, embedder=embedder, seconds=seconds)
