"""Of the exact nearest passages, how many the product's search by meaning gives."""

import time
from collections.abc import Sequence
from typing import Any

from benchmarks._fill import Home
from benchmarks._server import Bench, summary, superuser

DEPTHS = (10, 200)
# Without the index's own expression no index can serve it: every vector is compared.
EXACT = """
    SELECT id, embedding <=> %(vector)s::halfvec AS distance FROM memory_passage
     WHERE workspace_id = %(own)s AND embedding IS NOT NULL AND state = 'active'
     ORDER BY distance LIMIT %(most)s
"""


def recall(bench: Bench, homes: Sequence[Home], asked: Sequence[str]) -> dict[str, Any]:
    """Each query in a workspace, in turn, asked as the funnel asks.

    Passages as near as the last exact one count as found: which of two equals comes first says
    nothing. `by_index` is the share of the queries that the product answered by its vector index.
    """
    shares: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    spent: list[float] = []
    exactly: list[float] = []
    indexed = 0
    with superuser(bench) as connection:
        for place, query in enumerate(asked):
            home = homes[place % len(homes)]
            given, vector, milliseconds, by_index = _ask(home, query)
            spent.append(milliseconds)
            indexed += by_index
            begun = time.perf_counter()
            exact = connection.execute(
                EXACT, {"vector": vector, "own": home.workspace_id, "most": max(DEPTHS)}
            ).fetchall()
            connection.commit()
            exactly.append((time.perf_counter() - begun) * 1000)
            for depth in DEPTHS:
                if part := exact[:depth]:
                    # Half precision gives equal distances now and then, and sums may differ.
                    last = part[-1][1] + 1e-6
                    found = sum(1 - cosine <= last for cosine in given[:depth])
                    shares[depth].append(min(1.0, found / len(part)))
    return {
        "queries": len(asked),
        "by_index": round(indexed / len(asked), 3),
        **{f"recall_at_{k}": round(sum(s) / len(s), 4) for k, s in shares.items() if s},
        **{f"worst_at_{k}": round(min(s), 3) for k, s in shares.items() if s},
        "nearest": summary(spent),
        "exact_sql": summary(exactly),
    }


def _ask(home: Home, query: str) -> tuple[list[float], str, float, bool]:
    """(cosines, nearest first; the query's vector; milliseconds; whether by the index)."""
    from django.db import connection

    from config.lib.scope import workspace_scope
    from memory.search import dense
    from memory.search.corpus import active_space, corpus
    from memory.search.filters import resolve
    from memory.search.schemas import SearchQuery
    from memory.search.vectors import embed_query

    statements: list[str] = []

    def note(execute: Any, statement: str, parameters: Any, many: bool, context: Any) -> Any:
        statements.append(statement)
        return execute(statement, parameters, many, context)

    vector = embed_query(query, home.workspace_id).vector
    with workspace_scope(home.workspace_id), connection.execute_wrapper(note):
        space, figures = active_space(), corpus()
        assert space is not None
        narrowed = resolve(SearchQuery(q=query))
        begun = time.perf_counter()
        found = dense.nearest(
            vector,
            space_id=space.id,
            figures=figures,
            narrowed=narrowed,
            condition="",
            most=max(DEPTHS),
        )
        milliseconds = (time.perf_counter() - begun) * 1000
    by_index = any("hnsw.ef_search" in statement for statement in statements)
    return sorted(found.values(), reverse=True), vector, milliseconds, by_index
