"""Search over HTTP through gunicorn, beside the same look-ups in plain SQL, as JSON.

`python -m benchmarks.search --passages 100000 --workspaces 1000 --clients 8`. Texts are synthetic
(_texts.py), and so are the vectors but for some, which the others cluster like (_vectors.py);
queries are embedded by the real model. The output is described in docs/benchmarks.md.

Measured apart: searches whose query's vector the process has kept (what the bars are about),
searches with new queries, the model alone, common words, several clients at once, and the recall
of the approximate search.
"""

import argparse
import json
import random
import sys
from typing import Any

from benchmarks._bars import bars
from benchmarks._clients import Asking, endless, many_and_one
from benchmarks._common import common_queries, common_words, rows_read
from benchmarks._fill import MOST_BY_SERVICES, Filled, fill
from benchmarks._plain import BOTH, WORDS, PlainSql
from benchmarks._recall import recall
from benchmarks._server import Bench, machine, running, summary, timed
from benchmarks._sizes import Memory, sizes
from benchmarks._texts import queries
from benchmarks._vectors import SAMPLE

TIMES = 200
# Distinct queries that come again; each web process must have seen them all.
FEW = 60
RECALL_QUERIES = 40
# Each counts the corpus and its words anew, which takes seconds at a million.
ROWS_READ_QUERIES = 10
# Of many workspaces most are small; those that are not, apart.
LARGEST = 10


def measure(bench: Bench, filled: Filled, options: argparse.Namespace) -> dict[str, Any]:
    """All but the sizes. The order matters little: whatever is asked is warmed up first."""
    homes, times = filled.homes, options.times
    # The queries' vectors are the model's, so those of what they ask for must be, too.
    sampled = len(filled.vectors.known)
    asked = queries(times + 20, texts_of=options.passages, first_texts=sampled)
    few = random.Random(1).sample(asked, min(FEW, len(asked)))
    result: dict[str, Any] = {}
    memory = Memory(bench)
    hybrid = Asking(bench, homes, "hybrid", few)
    result["hybrid"] = hybrid.run(times, warmup=len(few))
    if len(homes) > LARGEST:
        largest = Asking(bench, homes[:LARGEST], "hybrid", few)
        result["hybrid_largest"] = largest.run(times, warmup=len(few))
    if options.clients > 1:
        many = hybrid.run(times * 2, clients=options.clients, warmup=len(few))
        result["hybrid_at_once"] = many | many_and_one(result["hybrid"], many)
    memory.look()
    new = queries(times + 20, seed=12, texts_of=options.passages, first_texts=sampled)
    result["hybrid_new_queries"] = Asking(bench, homes, "hybrid", new).run(times)
    result["semantic"] = Asking(bench, homes, "semantic", few).run(times, warmup=len(few))
    result["lexical"] = Asking(bench, homes, "lexical", asked).run(times)
    result["query_embedding"] = embedding(filled, asked, times)
    sql = PlainSql(bench, homes)
    result["plain_sql"] = sql.run(BOTH, few, times)
    result["hybrid_over_plain_sql"] = _ratio(result["hybrid"], result["plain_sql"])
    result["common_words"] = common(bench, filled, times)
    memory.look()
    result["memory"] = memory.peaks
    result["recall"] = recall(bench, homes, asked[: options.recall_queries])
    return result


def common(bench: Bench, filled: Filled, times: int) -> dict[str, Any]:
    """Queries of the commonest words of the largest workspace, asked there."""
    home = filled.homes[0]
    words = common_words(bench, home)
    asked = common_queries(list(words))
    result: dict[str, Any] = {
        "rows_with_word": words,
        "rows_read_per_query": rows_read(home, asked[:ROWS_READ_QUERIES]),
    }
    for mode in ("hybrid", "lexical"):
        result[mode] = Asking(bench, [home], mode, asked).run(times, warmup=len(asked))
    # Seconds each, at a million.
    few = min(times, len(asked))
    result["plain_sql"] = PlainSql(bench, [home]).run(WORDS, asked, few, meaning=False)
    result["lexical_over_plain_sql"] = _ratio(result["lexical"], result["plain_sql"])
    return result


def embedding(filled: Filled, asked: list[str], times: int) -> dict[str, Any]:
    """The query's vector alone: made by the model, and kept by the process."""
    from memory.search.vectors import embed_query

    own, new = filled.homes[0].workspace_id, endless(asked)
    return {
        "made": summary(timed(lambda: embed_query(next(new), own), times=times)),
        "kept": summary(timed(lambda: embed_query(asked[0], own), times=times)),
    }


def _ratio(one: dict[str, Any], other: dict[str, Any]) -> float:
    return round(one["p50_ms"] / max(other["p50_ms"], 0.01), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000, help="texts; some are cut in two")
    parser.add_argument("--workspaces", type=int, default=1, help="of uneven sizes, as Zipf's law")
    parser.add_argument("--clients", type=int, default=1, help="at once, beside one alone")
    parser.add_argument("--times", type=int, default=TIMES, help="searches of each kind")
    parser.add_argument("--recall-queries", type=int, default=RECALL_QUERIES)
    parser.add_argument("--real-vectors", type=int, default=SAMPLE, help="made by the model")
    parser.add_argument(
        "--fill",
        choices=["services", "copy"],
        help=f"default: by the services up to {MOST_BY_SERVICES:,} texts",
    )
    options = parser.parse_args()
    bulk = options.passages > MOST_BY_SERVICES
    if options.fill:
        bulk = options.fill == "copy"
    result: dict[str, Any] = {"machine": machine()}
    with running() as bench:
        filled = fill(
            bench, options.passages, homes=options.workspaces, bulk=bulk, real=options.real_vectors
        )
        result["corpus"] = filled.told
        result["sizes"] = sizes(bench)
        result |= measure(bench, filled, options)
    result["bars"] = bars(
        result,
        passages=options.passages,
        workspaces=options.workspaces,
        clients=options.clients,
    )
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
