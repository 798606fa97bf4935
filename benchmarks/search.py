"""Search over HTTP through gunicorn, beside the same two look-ups in plain SQL, as JSON.

`python -m benchmarks.search --passages 10000` fills one workspace through the services and asks
with one client on one kept connection. Texts are synthetic (see _texts.py). Vectors of the first
2,000 texts are the real model's; every other text gets one of its topic's with noise added, since
the model would take minutes: so they cluster as real ones do. Queries are embedded by the real
model; hybrid and semantic searches are measured with new queries (the model runs each time) and
with repeated ones (its answer is kept), and the model alone. The plain SQL runs in the same
database as a role that row-level security does not hold, so it may use the text index.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import psycopg

from benchmarks._server import Bench, machine, running, summary, timed
from benchmarks._texts import queries, texts

REAL_VECTORS = 2000
# Of the noise, against a vector of length 1: neighbours of one topic are about as near to each
# other as the model puts them.
NOISE = 0.6
PER_THREAD = 500
TIMES = 200
LIMIT = 10


class Stored:
    """Gives texts the vectors prepared for them, under the real model's name."""

    def __init__(self, real: Any, corpus: Sequence[tuple[int, str]]) -> None:
        self.provider, self.model, self.dimensions = real.provider, real.model, real.dimensions
        self.max_tokens = real.max_tokens
        self.turn_characters = real.turn_characters
        sample = corpus[:REAL_VECTORS]
        begun = time.perf_counter()
        vectors = real.embed([text for _, text in sample])
        self.rate = len(sample) / (time.perf_counter() - begun)
        self.by_topic: dict[int, list[Any]] = {}
        for (topic, _), vector in zip(sample, vectors, strict=True):
            self.by_topic.setdefault(topic, []).append(vector)
        self.topics = {text: topic for topic, text in corpus}
        self.known = {text: v for (_, text), v in zip(sample, vectors, strict=True)}
        self.all = list(vectors)
        self.dice = np.random.default_rng(5)

    def embed(self, asked: Sequence[str], *, budget: float | None = None) -> Any:
        return np.array([self._one(text) for text in asked], dtype=np.float32)

    def _one(self, text: str) -> Any:
        if text in self.known:
            return self.known[text]
        near = self.by_topic.get(self.topics.get(text, -1), self.all)
        noise = self.dice.standard_normal(self.dimensions) * NOISE / self.dimensions**0.5
        vector = near[self.dice.integers(len(near))] + noise
        return vector / np.linalg.norm(vector)


def fill(bench: Bench, passages: int) -> dict[str, Any]:
    """The workspace's rows and vectors; how fast that was, and how large it is."""
    from django.db import connection

    from config.lib.actor import Actor
    from config.lib.scope import workspace_scope
    from contacts.services.agents import ensure_agent
    from memory.embedding import get_embedder
    from memory.services.embedding import embed_pending
    from sessions.services.sessions import create_session
    from sessions.services.threads import NewMessage, append_messages, create_thread

    actor = Actor(kind="import", id="benchmark", label="benchmark", channel="import")
    corpus = list(texts(passages))
    begun = time.perf_counter()
    for start in range(0, len(corpus), PER_THREAD):
        part = corpus[start : start + PER_THREAD]
        # Plans of a connection that saw the tables empty would stay bad for its whole life.
        connection.close()
        with workspace_scope(bench.workspace_id):
            agent = ensure_agent(actor=actor, name="benchmark")
            session, _ = create_session(actor=actor, agent=agent, name=f"Session {start}")
            thread = create_thread(actor=actor, session_id=session.id)
            messages = [NewMessage(role="user", content=text) for _, text in part]
            append_messages(actor=actor, thread_id=thread.id, messages=messages)
    filled = time.perf_counter() - begun
    embedder = Stored(get_embedder(), corpus)
    begun = time.perf_counter()
    report = embed_pending(bench.workspace_id, seconds=3600, embedder=embedder)  # type: ignore[arg-type]
    stored = time.perf_counter() - begun
    connection.close()
    return {
        "messages": len(corpus),
        "passages": report.embedded,
        "messages_per_s": round(len(corpus) / filled),
        "real_vectors": min(REAL_VECTORS, len(corpus)),
        "model_texts_per_s": round(embedder.rate),
        "vectors_stored_per_s": round(report.embedded / stored),
        **sizes(bench),
    }


def sizes(bench: Bench) -> dict[str, Any]:
    with psycopg.connect(bench.urls.owner, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE memory_passage")
        row = connection.execute(
            "SELECT pg_relation_size('memory_passage'), pg_relation_size('passage_words'), "
            "pg_relation_size('passage_vectors'), pg_total_relation_size('memory_passage')"
        ).fetchone()
    assert row is not None
    names = ("rows", "word_index", "vector_index", "all")
    return {"megabytes": {n: round(v / 2**20, 1) for n, v in zip(names, row, strict=True)}}


def over_http(bench: Bench, mode: str, asked: Sequence[str], times: int) -> dict[str, Any]:
    client = bench.client()
    place = 0

    def ask() -> None:
        nonlocal place
        query = asked[place % len(asked)]
        place += 1
        status, body = client.post("/api/v1/search", {"q": query, "mode": mode, "limit": LIMIT})
        if status != 200:
            raise RuntimeError(f"{status} {body.decode()[:500]}")

    # Both web processes load the model at their first search by meaning.
    return summary(timed(ask, times=times, warmup=20))


class PlainSql:
    """The least that finds the same kind of thing: ts_rank's and the vector index's 200 best,
    each normalised, summed, and the texts of the ten best."""

    SQL = """
        WITH words AS (
            SELECT id, ts_rank(tsv, %(words)s::tsquery) AS score FROM memory_passage
             WHERE tsv @@ %(words)s::tsquery ORDER BY score DESC LIMIT 200),
        meaning AS (
            SELECT id, 1 - (embedding::halfvec(384) <=> %(vector)s::halfvec(384)) AS score
              FROM memory_passage WHERE vector_dims(embedding) = 384
             ORDER BY embedding::halfvec(384) <=> %(vector)s::halfvec(384) LIMIT 200),
        summed AS (
            SELECT id, coalesce(w.score / max(w.score) OVER (), 0)
                     + coalesce(m.score / max(m.score) OVER (), 0) AS score
              FROM words w FULL JOIN meaning m USING (id) ORDER BY score DESC LIMIT 10)
        SELECT p.id, s.score, p.text FROM summed s JOIN memory_passage p USING (id)
    """

    def __init__(self, bench: Bench) -> None:
        url = bench.urls.superuser.replace("/postgres?", "/remembrancer?")
        self.connection = psycopg.connect(url, cursor_factory=psycopg.ClientCursor)
        self.connection.execute("SET hnsw.ef_search = 200")
        self.workspace_id = bench.workspace_id
        self.own = f"w{bench.workspace_id.hex}"

    def prepare(self, query: str) -> dict[str, str]:
        from memory.search.vectors import embed_query

        row = self.connection.execute(
            "SELECT (%s || ' & (' || string_agg(quote_literal(lexeme), ' | ') || ')') "
            "FROM unnest(to_tsvector('english', %s))",
            [f"'{self.own}'", query],
        ).fetchone()
        assert row is not None
        return {"words": row[0], "vector": embed_query(query, self.workspace_id).vector}

    def runner(self, asked: Sequence[str]) -> Callable[[], None]:
        prepared = [self.prepare(query) for query in asked]
        place = 0

        def run() -> None:
            nonlocal place
            self.connection.execute(self.SQL, prepared[place % len(prepared)]).fetchall()
            self.connection.commit()
            place += 1

        return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=TIMES)
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    with running() as bench:
        result["corpus"] = fill(bench, options.passages)
        asked = queries(options.times + 20, topics_of=options.passages)
        few = random.Random(1).sample(asked, 30)
        times = options.times
        result["hybrid_new_queries"] = over_http(bench, "hybrid", asked, times)
        result["hybrid"] = over_http(bench, "hybrid", few * 4, times)
        result["semantic"] = over_http(bench, "semantic", few * 4, times)
        result["lexical"] = over_http(bench, "lexical", asked, times)
        from memory.search.vectors import embed_query

        place = iter(f"{query} again" for query in asked * 2)
        own = bench.workspace_id
        spent = timed(lambda: embed_query(next(place), own), times=times)
        result["query_embedding"] = summary(spent)
        sql = PlainSql(bench)
        result["plain_sql"] = summary(timed(sql.runner(few), times=times))
    result["hybrid_over_plain_sql"] = round(
        result["hybrid"]["p50_ms"] / result["plain_sql"]["p50_ms"], 2
    )
    result["bar"] = {"hybrid_p50_ms": 40.0, "met": result["hybrid"]["p50_ms"] <= 40.0}
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
