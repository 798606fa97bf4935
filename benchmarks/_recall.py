"""Of the exact nearest passages, how many the product's search by meaning gives."""

import time
from collections.abc import Sequence
from typing import Any

import psycopg

from benchmarks._fill import Home
from benchmarks._server import Bench, summary, superuser

DEPTHS = (10, 200)
# Without the index's own expression no index can serve it: every vector is compared.
EXACT = """
    SELECT id, embedding <=> %(vector)s::halfvec AS distance FROM memory_passage
     WHERE workspace_id = %(own)s AND embedding IS NOT NULL AND state = 'active'
     ORDER BY distance LIMIT %(most)s
"""
# The index alone, to see what a wider search in it would give and cost.
INDEXED = """
    SELECT embedding::halfvec(384) <=> %(vector)s::halfvec(384) AS distance FROM memory_passage
     WHERE vector_dims(embedding) = 384 ORDER BY distance LIMIT %(most)s
"""
WIDTHS = (100, 200, 400, 600, 1000)


def recall(bench: Bench, homes: Sequence[Home], asked: Sequence[str]) -> dict[str, Any]:
    """Each query in a workspace, in turn, asked as the funnel asks.

    Passages as near as the last exact one count as found: which of two equals comes first says
    nothing. `by_index` is the share of the queries that the product answered by its vector index.
    """
    shares: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    spent: list[float] = []
    exactly: list[float] = []
    indexed = 0
    widths: dict[int, tuple[list[float], list[float]]] = {width: ([], []) for width in WIDTHS}
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
            distances = [distance for _, distance in exact]
            for depth in DEPTHS:
                if distances:
                    shares[depth].append(_share(given, distances, depth))
            if len(homes) == 1:
                for width, (found, took) in widths.items():
                    nearest, milliseconds = _by_index(connection, vector, width)
                    found.append(_share(nearest, distances, min(DEPTHS)))
                    took.append(milliseconds)
    return {
        "queries": len(asked),
        "by_index": round(indexed / len(asked), 3),
        **{f"recall_at_{k}": round(sum(s) / len(s), 4) for k, s in shares.items() if s},
        **{f"worst_at_{k}": round(min(s), 3) for k, s in shares.items() if s},
        "nearest": summary(spent),
        "exact_sql": summary(exactly),
        "by_ef_search": {
            width: {"recall_at_10": round(sum(found) / len(found), 4), **summary(took)}
            for width, (found, took) in widths.items()
            if found
        },
    }


def _share(given: Sequence[float], exact: Sequence[float], depth: int) -> float:
    """Of the `depth` exact nearest, how many are among the first `depth` given; distances."""
    part = exact[:depth]
    # Half precision gives equal distances now and then, and sums may differ.
    last = part[-1] + 1e-6
    return min(1.0, sum(distance <= last for distance in given[:depth]) / len(part))


def _by_index(connection: psycopg.Connection, vector: str, width: int) -> tuple[list[float], float]:
    """(distances, nearest first; milliseconds the second time, when the pages are at hand)."""
    connection.execute(f"SET LOCAL hnsw.ef_search = {width:d}")
    for _ in range(2):
        begun = time.perf_counter()
        rows = connection.execute(INDEXED, {"vector": vector, "most": min(DEPTHS)}).fetchall()
        milliseconds = (time.perf_counter() - begun) * 1000
    connection.commit()
    return [distance for (distance,) in rows], milliseconds


def _ask(home: Home, query: str) -> tuple[list[float], str, float, bool]:
    """(distances, nearest first; the query's vector; milliseconds; whether by the index)."""
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
        narrowed = resolve(SearchQuery.model_validate({"q": query}))
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
    return sorted(1 - cosine for cosine in found.values()), vector, milliseconds, by_index
