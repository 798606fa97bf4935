"""Vectors for synthetic texts: the real model's for a few, clustered like those for the rest.

The model would take hours for a million texts. It embeds the first of them, which have a topic
each: that is the topic's centre. A topic beyond those has one drawn around the mean of its area,
with the sample's own covariance; nobody asks for it. A text's vector is its topic's centre and
noise of that covariance, as much of it as makes two texts of one topic as near to each other as
the model puts them. So the vectors are as uneven as real ones: few directions matter.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._texts import AREAS

SAMPLE = 2000
# Topics whose next text is embedded too, to see how near the model puts two of one topic.
PAIRS = 200
# So that the noise is neither none nor all, whatever a small sample says.
LEAST_COSINE, MOST_COSINE = 0.3, 0.95


class Vectors:
    """The vectors of a corpus of `topics` topics. The same sample makes the same vectors."""

    def __init__(
        self,
        real: Any,
        sample: Sequence[tuple[int, str]],
        again: Sequence[tuple[int, str]],
        topics: int,
    ) -> None:
        """`again` are other texts of the first topics."""
        begun = time.perf_counter()
        vectors = _embedded(real, sample)
        self.rate = len(sample) / (time.perf_counter() - begun)
        self.known = {text: vector for (_, text), vector in zip(sample, vectors, strict=True)}
        self.dimensions = vectors.shape[1]
        self.dice = np.random.default_rng(5)
        of_topic = np.array([topic for topic, _ in sample])
        means = _means(vectors, of_topic % len(AREAS))
        spread = vectors - means[of_topic % len(AREAS)]
        self._root = _root(spread)
        self._length = float(np.sqrt((spread**2).sum(axis=1).mean()))
        self.centres = _unit(means[np.arange(topics) % len(AREAS)] + self._draw(topics))
        for topic, vector in zip(of_topic[::-1], vectors[::-1], strict=True):
            self.centres[topic] = vector
        others = _embedded(real, again)
        firsts = self.centres[[topic for topic, _ in again]]
        self.real_cosine = float((firsts * others).sum(axis=1).mean())
        cosine = min(max(self.real_cosine, LEAST_COSINE), MOST_COSINE)
        self._noise = (1 / cosine - 1) ** 0.5 / max(self._length, 1e-6)

    def make(self, topics: Sequence[int], texts: Sequence[str]) -> Any:
        """One row for each text: the model's where the sample has it."""
        rows = _unit(self.centres[np.asarray(topics)] + self._noise * self._draw(len(topics)))
        for number, text in enumerate(texts):
            known = self.known.get(text)
            if known is not None:
                rows[number] = known
        # As halfvec keeps them, so that it is the same by text as by COPY.
        return rows.astype(np.float16).astype(np.float32)

    def made_cosine(self) -> float:
        """Mean cosine of two made vectors of one topic, to be held against `real_cosine`."""
        topics = self.dice.integers(len(self.centres), size=1000).tolist()
        one, other = self.make(topics, ()), self.make(topics, ())
        return float((one * other).sum(axis=1).mean())

    def _draw(self, count: int) -> Any:
        drawn = self.dice.standard_normal((count, self._root.shape[0]), dtype=np.float32)
        return drawn @ self._root


class Stored:
    """An embedder, under the real model's name, that gives texts the vectors made for them."""

    def __init__(self, real: Any, vectors: Vectors, topics: dict[str, int]) -> None:
        self.provider, self.model, self.dimensions = real.provider, real.model, real.dimensions
        self.max_tokens, self.turn_characters = real.max_tokens, real.turn_characters
        self.vectors, self.topics = vectors, topics

    def embed(self, asked: Sequence[str], *, budget: float | None = None) -> Any:
        # A chunk of a longer text, or a session's name, is of no topic in particular.
        size = len(self.vectors.centres)
        topics = [self.topics.get(text, hash(text) % size) for text in asked]
        return self.vectors.make(topics, asked)


def _embedded(real: Any, texts: Sequence[tuple[int, str]]) -> Any:
    return np.asarray(real.embed([text for _, text in texts]), dtype=np.float32)


def _unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _means(vectors: Any, areas: Any) -> Any:
    means = np.tile(vectors.mean(axis=0), (len(AREAS), 1))
    for area in np.unique(areas):
        means[area] = vectors[areas == area].mean(axis=0)
    return means


def _root(spread: Any) -> Any:
    """A matrix that gives independent numbers the covariance of `spread`."""
    covariance = np.cov(spread.T) if len(spread) > 1 else np.eye(spread.shape[1])
    values, directions = np.linalg.eigh(covariance)
    return (directions * np.sqrt(np.maximum(values, 0))).T.astype(np.float32)
