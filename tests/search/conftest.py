"""An embedder that needs no model, for tests of everything but meaning."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from memory.search import corpus, speakers, vectors
from tests.conftest import Making


class HashEmbedder:
    """Vectors by the words of a text: texts that share words are near. Not a model of anything.

    `before` is called with each batch, to do something while it is being embedded.
    """

    provider, model, dimensions, max_tokens = "test", "hash", 384, 254
    turn_characters = 10_000

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.before: Callable[[list[str]], None] = lambda batch: None

    def embed(self, texts: Sequence[str], *, budget: float | None = None) -> Any:
        self.batches.append(list(texts))
        self.before(list(texts))
        return np.array([self.one(text) for text in texts], dtype=np.float32)

    def one(self, text: str) -> Any:
        row = np.full(self.dimensions, 0.01)
        for word in text.lower().split():
            row[int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dimensions] += 1
        return row / np.linalg.norm(row)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return []

    def close(self) -> None:
        return None


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    """What processes keep between searches must not reach from one test into the next."""
    yield
    vectors.forget()
    corpus.forget()
    speakers.forget()


def put_in_place(monkeypatch: pytest.MonkeyPatch) -> HashEmbedder:
    made = HashEmbedder()
    monkeypatch.setattr("memory.search.vectors.get_embedder", lambda: made)
    monkeypatch.setattr("memory.services.embedding.get_embedder", lambda: made)
    return made


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> HashEmbedder:
    """The process's embedder, for queries and for passages."""
    return put_in_place(monkeypatch)


@pytest.fixture(scope="module")
def embedded_rows(module_rows: Making) -> Making:
    """As `module_rows`, with the embedder in place."""

    @contextmanager
    def making() -> Iterator[None]:
        with module_rows(), pytest.MonkeyPatch.context() as monkeypatch:
            put_in_place(monkeypatch)
            yield

    return making
