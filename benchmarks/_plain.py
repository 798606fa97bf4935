"""The searches' equivalents in plain SQL: in the same database, as a role that row-level security
does not hold, so that it may use the text index. No ranking, no snippets, no HTTP."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from benchmarks._fill import Home
from benchmarks._server import Bench, summary, superuser, timed

CANDIDATES = 200
# The least that finds the same kind of thing: ts_rank's and the vector index's 200 best, each
# normalised, summed, and the texts of the ten best.
BOTH = f"""
    WITH words AS (
        SELECT id, ts_rank(tsv, %(words)s::tsquery) AS score FROM memory_passage
         WHERE tsv @@ %(words)s::tsquery AND workspace_id = %(own)s
         ORDER BY score DESC LIMIT {CANDIDATES}),
    meaning AS (
        SELECT id, 1 - (embedding::halfvec(384) <=> %(vector)s::halfvec(384)) AS score
          FROM memory_passage WHERE vector_dims(embedding) = 384 AND workspace_id = %(own)s
         ORDER BY embedding::halfvec(384) <=> %(vector)s::halfvec(384) LIMIT {CANDIDATES}),
    summed AS (
        SELECT id, coalesce(w.score / max(w.score) OVER (), 0)
                 + coalesce(m.score / max(m.score) OVER (), 0) AS score
          FROM words w FULL JOIN meaning m USING (id) ORDER BY score DESC LIMIT 10)
    SELECT p.id, s.score, p.text FROM summed s
      JOIN memory_passage p ON p.workspace_id = %(own)s AND p.id = s.id
"""
WORDS = """
    SELECT id, ts_rank(tsv, %(words)s::tsquery) AS score, text FROM memory_passage
     WHERE tsv @@ %(words)s::tsquery AND workspace_id = %(own)s ORDER BY score DESC LIMIT 10
"""


class PlainSql:
    """One connection that asks the workspaces in turn."""

    def __init__(self, bench: Bench, homes: Sequence[Home]) -> None:
        self.connection = superuser(bench)
        self.connection.execute(f"SET hnsw.ef_search = {CANDIDATES}")
        # A workspace among many: go on until there are enough of its rows.
        self.connection.execute("SET hnsw.iterative_scan = strict_order")
        self.connection.commit()
        self.homes = homes

    def run(
        self, statement: str, asked: Sequence[str], times: int, *, meaning: bool = True
    ) -> dict[str, Any]:
        prepared = [
            self.prepare(self.homes[place % len(self.homes)], query, meaning=meaning)
            for place, query in enumerate(asked)
        ]
        return summary(timed(self._runner(statement, prepared), times=times))

    def prepare(self, home: Home, query: str, *, meaning: bool = True) -> dict[str, Any]:
        """The statement's parameters; the query is embedded beforehand."""
        from memory.search.vectors import embed_query

        row = self.connection.execute(
            "SELECT (%s || ' & (' || string_agg(quote_literal(lexeme), ' | ') || ')') "
            "FROM unnest(to_tsvector('english', %s))",
            [f"'w{home.workspace_id.hex}'", query],
        ).fetchone()
        assert row is not None
        vector = embed_query(query, home.workspace_id).vector if meaning else ""
        return {"words": row[0], "vector": vector, "own": home.workspace_id}

    def _runner(self, statement: str, prepared: Sequence[dict[str, Any]]) -> Callable[[], None]:
        places = count()

        def run() -> None:
            parameters = prepared[next(places) % len(prepared)]
            self.connection.execute(statement.encode(), parameters).fetchall()
            self.connection.commit()

        return run
