"""What benchmarks are filled with: sizes, texts and vectors that are what they claim to be."""

from itertools import islice

import numpy as np
import pytest

from benchmarks._bars import bars
from benchmarks._fill import shares
from benchmarks._texts import queries, texts, topics_in
from benchmarks._vectors import Vectors


class Model:
    """Texts of equal words are near each other, like a real model's."""

    def embed(self, asked: list[str]) -> np.ndarray:
        rows = []
        for text in asked:
            row = np.zeros(64)
            for word in text.split():
                row[sum(word.encode()) % 64] += 1
            rows.append(row / np.linalg.norm(row))
        return np.array(rows)


@pytest.mark.parametrize(("total", "homes"), [(1, 1), (10, 10), (1000, 7), (100_000, 1000)])
def test_every_workspace_has_its_share(total: int, homes: int) -> None:
    sizes = shares(total, homes)
    assert (sum(sizes), len(sizes), min(sizes) > 0) == (total, homes, True)
    assert sizes == sorted(sizes, reverse=True)


def test_sizes_follow_zipfs_law() -> None:
    sizes = shares(100_000, 1000)
    assert sizes[9] == pytest.approx(sizes[0] / 10, rel=0.02)
    assert sizes[99] == pytest.approx(sizes[0] / 100, rel=0.02)


def test_the_first_texts_have_a_topic_each_and_the_stream_is_the_same_again() -> None:
    count = 2000
    first = list(texts(count))
    assert [topic for topic, _ in first[: topics_in(count)]] == list(range(topics_in(count)))
    assert list(islice(texts(count), 50)) == first[:50]
    other = next(texts(count, seed=8))
    assert other[0] == 0
    assert other[1] != first[0][1]


def test_queries_ask_in_the_words_of_one_of_the_first_texts() -> None:
    first = [{word.rstrip(".") for word in text.split()} for _, text in islice(texts(5000), 3)]
    asked = [set(query.split()) for query in queries(20, texts_of=5000, first_texts=3)]
    assert all(any(words <= text for text in first) for words in asked)
    assert len({frozenset(words) for words in asked}) > 15


def test_made_vectors_are_as_near_to_their_topic_as_the_models() -> None:
    count = 3000
    sample = list(islice(texts(count), 600))
    again = list(islice(texts(count, seed=8), 60))
    vectors = Vectors(Model(), sample, again, topics_in(count))
    assert vectors.made_cosine() == pytest.approx(vectors.real_cosine, abs=0.1)
    one, other = vectors.make([3, 4], ["unheard of", sample[7][1]])
    assert np.linalg.norm(one) == pytest.approx(1, abs=0.01)
    assert other == pytest.approx(Model().embed([sample[7][1]])[0], abs=0.001)


def test_a_run_has_the_bars_of_its_size() -> None:
    timing = {"p50_ms": 20.0, "p95_ms": 50.0}
    result = {
        "hybrid": timing,
        "hybrid_at_once": {"p50_ms": 74.0, "p95_ms": 181.0},
        "common_words": {"hybrid": timing, "lexical": timing},
        "recall": {"recall_at_10": 0.98},
    }
    one = bars(result, passages=100_000, workspaces=1, clients=8)
    assert {bar["bar"] for bar in one if not bar["met"]} == {"hybrid p95_ms, 8 clients"}
    many = bars(result, passages=100_000, workspaces=1000, clients=1)
    assert [bar["most"] for bar in many if bar["bar"].startswith("hybrid")] == [25.0]
    assert not many[0]["met"]
    large = bars(result, passages=1_000_000, workspaces=1, clients=1)
    assert [bar["most"] for bar in large if bar["bar"].startswith("hybrid")] == [150.0]
