"""What the local embedder costs, as JSON: `python -m benchmarks.embedding`.

Needs no database and no settings. The corpus is made here, from a fixed seed, so that figures of
two machines or two versions compare. Not a test of quality: that is what the search benchmarks
are for.
"""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from memory.embedding.files import graph_file
from memory.embedding.local import LocalEmbedder

SEED = 20240601
SHORT = "What did we decide about the deployment schedule?"
VOCABULARY = """
agent memory session thread worker mission priority decision database migration schema index
query vector passage operator approves rejects the a of in after before because however quickly
never always nine forty-two Lisbon Tuesday deployment rollback customer invoice prefers reported
resolved unbelievable internationalisation snake_case_name camelCaseName
"""


def corpus(count: int, *, least_words: int, most_words: int) -> list[str]:
    """`count` texts; most are short and a few long, as notes and messages are."""
    rng, words = random.Random(SEED), VOCABULARY.split()
    texts = []
    for _ in range(count):
        length = round(least_words + (most_words - least_words) * rng.random() ** 3)
        texts.append(" ".join(rng.choices(words, k=length)))
    return texts


def seconds(action: Any) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def speed(embedder: LocalEmbedder, texts: list[str]) -> dict[str, float]:
    """Texts a second over one call, and how long the texts were."""
    tokens = embedder.count_tokens(texts)
    taken = seconds(lambda: embedder.embed(texts))
    return {
        "texts": len(texts),
        "mean_tokens": round(statistics.mean(tokens), 1),
        "longest_tokens": max(tokens),
        "texts_per_second": round(len(texts) / taken, 1),
    }


def most_difference(embedder: LocalEmbedder, texts: list[str]) -> float:
    """Largest 1 - cosine between a text embedded alone and in a list."""
    together = embedder.embed(texts).astype(np.float64)
    alone = np.concatenate([embedder.embed([text]) for text in texts]).astype(np.float64)
    return float(np.abs(1 - (together * alone).sum(axis=1)).max())


def peak_rss_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return round(peak / (1024 if sys.platform == "linux" else 1024 * 1024), 1)


def measure(folder: Path, texts: int) -> dict[str, Any]:
    # In a process of its own, so that its memory is not in the peak below.
    build = "import sys, pathlib; from memory.embedding.files import graph_file; "
    build += "graph_file(pathlib.Path(sys.argv[1]))"
    assemble = seconds(
        lambda: subprocess.run([sys.executable, "-c", build, str(folder)], check=True)
    )
    embedder = LocalEmbedder(folder)
    load = seconds(lambda: embedder.embed([SHORT]))
    single = [seconds(lambda: embedder.embed([SHORT])) for _ in range(200)]
    return {
        "model": embedder.model,
        "threads": embedder.threads,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "graph_mib": round(graph_file(folder).stat().st_size / 2**20, 1),
        "assemble_process_seconds": round(assemble, 3),
        "load_and_first_text_seconds": round(load, 3),
        "single_text_ms_median": round(statistics.median(single) * 1000, 2),
        "single_text_ms_p95": round(sorted(single)[int(len(single) * 0.95)] * 1000, 2),
        "mixed": speed(embedder, corpus(texts, least_words=4, most_words=300)),
        "ordinary": speed(embedder, corpus(texts // 2, least_words=42, most_words=43)),
        "single_versus_batched_cosine_difference": most_difference(
            embedder, corpus(100, least_words=1, most_words=300)
        ),
        "peak_rss_mib": peak_rss_mib(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=2000, help="size of the mixed corpus")
    parser.add_argument("--model-dir", type=Path, help="keep the assembled model here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="embedding-") as temporary:
        print(json.dumps(measure(options.model_dir or Path(temporary), options.texts), indent=2))


if __name__ == "__main__":
    main()
