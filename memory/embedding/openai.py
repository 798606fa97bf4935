"""Vectors from any endpoint that speaks OpenAI's embeddings protocol (POST {base}/embeddings):
OpenAI itself, Ollama, vLLM, TEI and others.

Source: https://platform.openai.com/docs/api-reference/embeddings. Servers differ in what they
accept, so this asks for little and adapts (see `embed` and `_embed_batch`). Not for sending and
retrying (memory/endpoints/calls.py) or reading answers (protocol.py).
"""

# httpx and numpy are imported inside functions: see base.py.
from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from memory.embedding.base import EmbeddingError, checked_texts, unit_rows
from memory.embedding.forks import watch_forks
from memory.embedding.protocol import is_batch_too_large, read_vectors
from memory.endpoints.calls import Endpoint

if TYPE_CHECKING:
    import httpx

    from memory.embedding.base import Vectors

# The endpoint does not say how much its model reads; 512 is the least among those in wide use
# (bge, e5, gte, mxbai). A model that reads more loses nothing but larger passages.
DEFAULT_MAX_TOKENS = 512
# TEI's default limit; servers that take fewer are noticed and remembered.
DEFAULT_BATCH_TEXTS = 32
TIMEOUT_SECONDS = 30.0
# Some servers refuse empty inputs, and one would fail its whole batch. Its vector means nothing
# either way.
IN_PLACE_OF_EMPTY = "."

# Without the model's tokenizer: about 4 ASCII letters make a token in English; every other
# character counts as one. It errs towards too many, so that what is cut by it fits.
_TOKEN = re.compile(r"[A-Za-z0-9_]{1,4}|\S")


def approximate_tokens(text: str) -> int:
    return sum(1 for _ in _TOKEN.finditer(text))


def cut_to(text: str, max_tokens: int) -> str:
    """The beginning of `text` that has at most so many tokens, approximately."""
    past = next(islice(_TOKEN.finditer(text), max_tokens, None), None)
    return text if past is None else text[: past.start()]


class _BatchTooLargeError(EmbeddingError):
    """The server takes fewer texts at once."""


class OpenAIEmbedder:
    """`model` at the endpoint `url` (the base, such as http://localhost:11434/v1).

    `max_tokens` is what the model reads of one text, in the approximation of `count_tokens`;
    longer texts are cut to it before they are sent, since some servers refuse them. `setting` is
    the prefix of the variables that errors name.
    `client`, `sleep`, `clock`, `wall_clock` and `jitter` (0 to 1) are there to be replaced in
    tests; a `client` that was given is not closed. Raises EmbeddingError for an unusable `url`
    or `api_key`, without quoting the key.
    """

    provider = "openai"
    # A request's time hardly depends on what is in it.
    turn_characters = 100_000

    def __init__(
        self,
        *,
        url: str,
        model: str,
        dimensions: int,
        api_key: str = "",
        setting: str = "REMEMBRANCER_EMBEDDING",
        max_tokens: int = DEFAULT_MAX_TOKENS,
        batch_texts: int = DEFAULT_BATCH_TEXTS,
        timeout: float = TIMEOUT_SECONDS,
        client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.model = model
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self._endpoint = Endpoint(
            what="embedding",
            url=url,
            path="embeddings",
            key=api_key,
            setting=setting,
            error=EmbeddingError,
            timeout=timeout,
            client=client,
            sleep=sleep,
            clock=clock,
            wall_clock=wall_clock,
            jitter=jitter,
        )
        self._clock = clock
        self._batch_texts = batch_texts
        self._ask_for_dimensions = False
        watch_forks(self)

    def embed(self, texts: Sequence[str], *, budget: float | None = None) -> Vectors:
        """See `Embedder.embed`. All or nothing, so give lists whose loss is bearable.

        Raises EmbeddingError after at most 4 attempts for each batch, with `retryable` where
        waiting may help.
        """
        import numpy as np

        fitting = [self._fit(text) for text in checked_texts(texts)]
        deadline = None if budget is None else self._clock() + budget
        parts: list[Vectors] = [np.empty((0, self.dimensions), dtype=np.float32)]
        done = 0
        while done < len(fitting):
            batch = fitting[done : done + self._batch_texts]
            try:
                parts.append(self._embed_batch(batch, deadline))
            except _BatchTooLargeError:
                if len(batch) == 1:
                    raise
                self._batch_texts = len(batch) // 2
                continue
            done += len(batch)
        return np.concatenate(parts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """An approximation, rather too high: see `token_offsets`."""
        return [approximate_tokens(text) for text in checked_texts(texts)]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """An approximation, since the endpoint has no tokenizer to ask: pieces of words of up to
        4 ASCII letters or digits, and every other character that is not blank."""
        return [match.span() for match in _TOKEN.finditer(text)]

    def close(self) -> None:
        self._endpoint.close()

    def leave_parent(self) -> None:
        """See forks.py."""
        self._endpoint.leave_parent()

    def _fit(self, text: str) -> str:
        text = cut_to(text, self.max_tokens)
        return text if text.strip() else IN_PLACE_OF_EMPTY

    def _embed_batch(self, batch: list[str], deadline: float | None) -> Vectors:
        """One request, or two: `dimensions` is sent only once the model has answered with longer
        vectors than configured. Models that can shorten them do so then; the others never see
        a parameter that many servers refuse.
        """
        rows = self._request(batch, deadline)
        width = len(rows[0])
        if width > self.dimensions and not self._ask_for_dimensions:
            self._ask_for_dimensions = True
            try:
                rows = self._request(batch, deadline)
            except EmbeddingError as error:
                self._ask_for_dimensions = False
                if error.retryable:
                    raise
                raise self._wrong_width(width) from error
        if len(rows[0]) != self.dimensions:
            raise self._wrong_width(len(rows[0]))
        return unit_rows(
            rows, count=len(batch), dimensions=self.dimensions, source=self._endpoint.source
        )

    def _wrong_width(self, width: int) -> EmbeddingError:
        return EmbeddingError(
            f"{self._endpoint.source} gives vectors of {width} numbers, not {self.dimensions}; "
            f"set REMEMBRANCER_EMBEDDING_DIMENSIONS={width} (for `manage.py reembed`: "
            f"--dimensions {width}) or use another model"
        )

    def _request(self, batch: list[str], deadline: float | None) -> list[Any]:
        payload: dict[str, Any] = {"model": self.model, "input": batch}
        if self._ask_for_dimensions:
            payload["dimensions"] = self.dimensions
        try:
            body = self._endpoint.post(payload, deadline=deadline)
        except EmbeddingError as error:
            if error.answer is not None and is_batch_too_large(error.answer):
                raise _BatchTooLargeError(str(error)) from error
            raise
        return read_vectors(body, count=len(batch), source=self._endpoint.source)
