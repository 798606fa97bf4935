"""How tests ask: by words inside a scope, or fully as the API does."""

from typing import Any

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.search.funnel import search
from memory.search.parse import parse
from memory.search.schemas import SearchAnswer, SearchQuery
from memory.search.vectors import embed_query
from memory.services.embedding import embed_pending


def ask(q: str = "", **fields: Any) -> SearchAnswer:
    """By words alone, in the current scope."""
    return search(query=SearchQuery(q=q, mode="lexical", **fields))


def ask_fully(workspace: Workspace, q: str, **fields: Any) -> SearchAnswer:
    """The vector first, then the scope."""
    query = SearchQuery(q=q, **fields)
    vector = embed_query(parse(q).text, workspace.id)
    with workspace_scope(workspace.id):
        return search(query=query, query_vector=vector)


def texts(answer: SearchAnswer) -> list[str]:
    return [hit.text for hit in answer.hits]


def embed_all(workspace: Workspace) -> None:
    """What the job does, until nothing waits."""
    while embed_pending(workspace.id, seconds=60).waiting is not None:
        continue
