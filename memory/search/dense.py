"""The leg that finds by meaning: cosine similarity over the passages' vectors."""

import uuid
from collections.abc import Sequence

from django.conf import settings
from django.db import connection

from config.lib.scope import current_workspace_id, set_local
from memory.search.filters import Filter

# Up to here every vector of the workspace is compared, which is exact and needs no index.
MOST_EXACT = 20_000
# How far the approximate search may go on, where filters and other workspaces take most away.
MOST_SCANNED = 40_000
MOST_EF = 1000  # pgvector's own limit of hnsw.ef_search


def nearest(
    vector: str,
    *,
    space_id: uuid.UUID,
    passages: int,
    narrowed: Filter,
    condition: str,
    most: int,
) -> dict[uuid.UUID, float]:
    """passage -> cosine of the `most` nearest that pass the filter.

    Never fewer than there are: what the approximate search may have missed under a narrow filter
    is looked for exactly.
    """
    if passages > MOST_EXACT:
        found = _approximate(vector, space_id, narrowed, condition, most)
        if len(found) >= most:
            return found
    return _exact(vector, space_id, narrowed, condition, most)


def cosines(
    vector: str, *, space_id: uuid.UUID, ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, float]:
    """passage -> cosine, of those of `ids` that have a vector. Index memory_passage_pkey."""
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, 1 - (p.embedding <=> %s::halfvec) FROM memory_passage p "
            "WHERE p.workspace_id = %s AND p.id = ANY(%s::uuid[]) AND p.space_id = %s "
            "AND p.embedding IS NOT NULL",
            [vector, current_workspace_id(), list(ids), space_id],
        )
        return dict(cursor.fetchall())


def _exact(
    vector: str, space_id: uuid.UUID, narrowed: Filter, condition: str, most: int
) -> dict[uuid.UUID, float]:
    return _run("p.embedding", "%s::halfvec", "", vector, space_id, narrowed, condition, most)


def _approximate(
    vector: str, space_id: uuid.UUID, narrowed: Filter, condition: str, most: int
) -> dict[uuid.UUID, float]:
    """Index passage_vectors. strict_order: the rows come nearest first, as the limit expects."""
    n = int(settings.EMBEDDING_DIMENSIONS)
    set_local("hnsw.iterative_scan", "strict_order")
    set_local("hnsw.ef_search", str(min(most, MOST_EF)))
    set_local("hnsw.max_scan_tuples", str(MOST_SCANNED))
    return _run(
        f"p.embedding::halfvec({n})",
        f"%s::halfvec({n})",
        f" AND vector_dims(p.embedding) = {n}",
        vector,
        space_id,
        narrowed,
        condition,
        most,
    )


def _run(
    column: str,
    parameter: str,
    extra: str,
    vector: str,
    space_id: uuid.UUID,
    narrowed: Filter,
    condition: str,
    most: int,
) -> dict[uuid.UUID, float]:
    filters, values = narrowed.as_sql()
    if condition:
        filters += " AND p.tsv @@ %s::tsquery"
        values.append(condition)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, 1 - distance FROM (SELECT p.id, {column} <=> {parameter} AS distance "  # noqa: S608
            "FROM memory_passage p WHERE p.workspace_id = %s AND p.space_id = %s "
            f"AND p.embedding IS NOT NULL{extra}{filters} ORDER BY distance LIMIT %s) nearest",
            [vector, current_workspace_id(), space_id, *values, most],
        )
        return dict(cursor.fetchall())
