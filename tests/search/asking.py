"""How tests ask: by words inside a scope, or fully as the API does."""

from typing import Any

from contacts.models import Workspace
from memory.search import ask as edge
from memory.search.funnel import search
from memory.search.schemas import SearchAnswer, SearchQuery
from memory.services.embedding import embed_pending


def ask(q: str = "", **fields: Any) -> SearchAnswer:
    """By words alone, in the current scope."""
    return search(query=SearchQuery(q=q, mode="lexical", **fields))


def ask_fully(workspace: Workspace, q: str, **fields: Any) -> SearchAnswer:
    """As the API does: the vector first, then the scope."""
    return edge.ask(workspace.id, SearchQuery(q=q, **fields))


def texts(answer: SearchAnswer) -> list[str]:
    return [hit.text for hit in answer.hits]


def embed_all(workspace: Workspace) -> None:
    """What the job does, until nothing waits."""
    while embed_pending(workspace.id, seconds=60).waiting is not None:
        continue
