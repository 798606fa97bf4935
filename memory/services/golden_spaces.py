"""Golden queries asked of two embedding spaces side by side, before one takes the other's place.

Nothing is kept of it: a golden run says what searches find, and they read one space only.
"""

import uuid
from dataclasses import dataclass, replace

from config.lib.errors import DomainError
from config.lib.scope import workspace_scope
from memory.embedding import Embedder
from memory.models import EmbeddingSpace, GoldenQuery
from memory.search.ask import embed
from memory.search.funnel import search
from memory.services.golden import enabled_queries, ranks_of, request_of


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One golden query: the share of its rows that come back by the old space and by the new one,
    which of them only one of the two finds, and why one could not be asked by meaning."""

    name: str
    within: int
    old: float
    new: float
    lost: list[str]
    gained: list[str]
    problem: str


def compare_golden(
    workspace_id: uuid.UUID,
    *,
    old: tuple[EmbeddingSpace, Embedder],
    new: tuple[EmbeddingSpace, Embedder],
) -> list[SideBySide]:
    """Every enabled golden query by either space. Opens its own scopes."""
    with workspace_scope(workspace_id):
        queries = list(enabled_queries())
    found = []
    for golden in queries:
        before, trouble = _ranks(workspace_id, golden, *old)
        after, more_trouble = _ranks(workspace_id, golden, *new)
        found.append(
            SideBySide(
                name=golden.name,
                within=golden.within,
                old=len(before) / len(golden.expected),
                new=len(after) / len(golden.expected),
                lost=[row for row in golden.expected if row in before and row not in after],
                gained=[row for row in golden.expected if row in after and row not in before],
                problem=trouble or more_trouble,
            )
        )
    return found


def _ranks(
    workspace_id: uuid.UUID, golden: GoldenQuery, space: EmbeddingSpace, embedder: Embedder
) -> tuple[dict[str, int], str]:
    try:
        query = request_of(golden)
        vector = embed(workspace_id, query, embedder=embedder)
        with workspace_scope(workspace_id):
            answer = search(query=query, query_vector=replace(vector, space_id=space.id))
    except DomainError as error:
        return {}, error.detail[:300]
    return ranks_of(golden, answer), answer.semantic_unavailable or ""
