"""The way from a request to its answer, for REST, MCP, commands and measurements.

The query's vectors are made outside any transaction, since that may take a network call; then
the funnel searches in a scope of its own.
"""

import uuid

from config.lib.scope import workspace_scope
from memory.embedding import Embedder
from memory.search.funnel import search
from memory.search.parse import parse
from memory.search.ranking import keywords
from memory.search.schemas import SearchAnswer, SearchMode, SearchQuery
from memory.search.speakers import speakers_of
from memory.search.vectors import NOT_ASKED, QueryVector, embed_query


def ask(workspace_id: uuid.UUID, query: SearchQuery) -> SearchAnswer:
    """What the workspace knows of `query`, best first. Call it outside any scope.

    Raises Invalid naming the field that cannot be searched for.
    """
    query.check()
    vector = embed(workspace_id, query)
    with workspace_scope(workspace_id):
        return search(query=query, query_vector=vector)


def embed(
    workspace_id: uuid.UUID, query: SearchQuery, *, embedder: Embedder | None = None
) -> QueryVector:
    """The query's vectors, as far as its mode looks at meaning, by the model that searches read
    unless another is given."""
    text = parse(query.q).text
    if query.mode is SearchMode.LEXICAL or not text.strip():
        return NOT_ASKED
    if query.mode is SearchMode.SEMANTIC:
        return embed_query(text, workspace_id, embedder=embedder)
    told = keywords(text, speakers_of(workspace_id))
    return embed_query(text, workspace_id, keywords=told, embedder=embedder)
