"""Vectors from any endpoint that speaks OpenAI's embeddings protocol (POST {base}/embeddings):
OpenAI itself, Ollama, vLLM, TEI and others.

Source: https://platform.openai.com/docs/api-reference/embeddings. Servers differ in what they
accept, so this asks for little and adapts (see `embed` and `_embed_batch`). Not for retrying over
minutes: what does not pass within some seconds is raised, for a job queue to repeat later. Not
for reading answers (protocol.py).
"""

# httpx and numpy are imported inside functions: see base.py.
from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from memory.embedding.base import EmbeddingError, checked_texts, unit_rows
from memory.embedding.forks import watch_forks
from memory.embedding.protocol import Answer, failure, hide, is_batch_too_large, read_vectors

if TYPE_CHECKING:
    import httpx

    from memory.embedding.base import Vectors

# The endpoint does not say how much its model reads; 512 is the least among those in wide use
# (bge, e5, gte, mxbai). A model that reads more loses nothing but larger passages.
DEFAULT_MAX_TOKENS = 512
# TEI's default limit; servers that take fewer are noticed and remembered.
DEFAULT_BATCH_TEXTS = 32
ATTEMPTS = 4
TIMEOUT_SECONDS = 30.0
CONNECT_TIMEOUT_SECONDS = 5.0
BACKOFF_SECONDS = 0.5  # before the second attempt; doubles from there
# Longer waits belong to the job queue: one that sleeps here holds up a worker and its shutdown.
LONGEST_WAIT_SECONDS = 10.0
# 32 vectors of 4,000 numbers are 3 MB of JSON; what is larger by far is not an answer.
MOST_ANSWER_BYTES = 64 * 1024 * 1024
# Some servers refuse empty inputs, and one would fail its whole batch. Its vector means nothing
# either way.
IN_PLACE_OF_EMPTY = "."

# Without the model's tokenizer: about 4 ASCII letters make a token in English; every other
# character counts as one. It errs towards too many, so that what is cut by it fits.
_TOKEN = re.compile(r"[A-Za-z0-9_]{1,4}|\S")


class _BatchTooLargeError(EmbeddingError):
    """The server takes fewer texts at once."""


class OpenAIEmbedder:
    """`model` at the endpoint `url` (the base, such as http://localhost:11434/v1).

    `max_tokens` is what the model reads of one text, in the approximation of `count_tokens`;
    longer texts are cut to it before they are sent, since some servers refuse them.
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
        self._endpoint = _endpoint(url)
        self._key = _usable_key(api_key)
        self._source = f"The embedding endpoint {self._endpoint}"
        self._batch_texts = batch_texts
        self._timeout = timeout
        self._client = client
        self._owns_client = client is None
        self._sleep, self._clock, self._wall_clock, self._jitter = sleep, clock, wall_clock, jitter
        self._lock = threading.Lock()
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
        return [sum(1 for _ in _TOKEN.finditer(text)) for text in checked_texts(texts)]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """An approximation, since the endpoint has no tokenizer to ask: pieces of words of up to
        4 ASCII letters or digits, and every other character that is not blank."""
        return [match.span() for match in _TOKEN.finditer(text)]

    def close(self) -> None:
        with self._lock:
            if self._owns_client and self._client is not None:
                self._client.close()
                self._client = None

    def leave_parent(self) -> None:
        """In a forked child: connections of its own, since answers cannot be told apart."""
        self._lock = threading.Lock()
        if self._owns_client:
            self._client = None

    def _fit(self, text: str) -> str:
        past = next(islice(_TOKEN.finditer(text), self.max_tokens, None), None)
        if past is not None:
            text = text[: past.start()]
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
        return unit_rows(rows, count=len(batch), dimensions=self.dimensions, source=self._source)

    def _wrong_width(self, width: int) -> EmbeddingError:
        return EmbeddingError(
            f"{self._source} gives vectors of {width} numbers, not {self.dimensions}; "
            f"set REMEMBRANCER_EMBEDDING_DIMENSIONS={width} or use another model"
        )

    def _request(self, batch: list[str], deadline: float | None) -> list[Any]:
        payload: dict[str, Any] = {"model": self.model, "input": batch}
        if self._ask_for_dimensions:
            payload["dimensions"] = self.dimensions
        attempt = 1
        while True:
            try:
                return self._attempt(payload, len(batch), deadline)
            except EmbeddingError as error:
                wait = self._wait_before_next(attempt, error, deadline)
                if wait is None:
                    raise
            self._sleep(wait)
            attempt += 1

    def _attempt(self, payload: dict[str, Any], count: int, deadline: float | None) -> list[Any]:
        answer = self._post(payload, deadline)
        if answer.status == 200:
            return read_vectors(answer.body, count=count, source=self._source)
        error = failure(answer, source=self._source, key=self._key, now=self._wall_clock())
        if is_batch_too_large(answer):
            raise _BatchTooLargeError(str(error))
        raise error

    def _wait_before_next(
        self, attempt: int, error: EmbeddingError, deadline: float | None
    ) -> float | None:
        """Seconds to sleep before another attempt, or None where there should be none.

        Exponential with jitter, so that workers that failed together do not come back together;
        never less than the server asked for.
        """
        if not error.retryable or attempt >= ATTEMPTS:
            return None
        backoff = BACKOFF_SECONDS * 2.0 ** (attempt - 1) * (0.5 + self._jitter() / 2)
        wait = backoff if error.retry_after is None else error.retry_after + backoff / 2
        if wait > LONGEST_WAIT_SECONDS:
            return None
        if deadline is not None and self._clock() + wait >= deadline:
            return None
        return wait

    def _post(self, payload: dict[str, Any], deadline: float | None) -> Answer:
        """One attempt. Raises EmbeddingError where no whole answer came."""
        import httpx

        left = self._timeout
        if deadline is not None:
            left = min(left, deadline - self._clock())
            if left <= 0:
                raise EmbeddingError(f"{self._source} was too slow", retryable=True)
        # httpx times each read; a server that trickles would pass that for ever.
        ends = self._clock() + left
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = httpx.Timeout(left, connect=min(left, CONNECT_TIMEOUT_SECONDS))
        try:
            with self._opened().stream(
                "POST", self._endpoint, json=payload, headers=headers, timeout=timeout
            ) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MOST_ANSWER_BYTES:
                        raise EmbeddingError(f"{self._source} answered with more than 64 MiB")
                    if self._clock() > ends:
                        raise EmbeddingError(f"{self._source} was too slow", retryable=True)
                return Answer(response.status_code, response.headers, bytes(body))
        except httpx.TimeoutException as error:
            raise EmbeddingError(
                f"{self._source} did not answer within {left:.1f} s", retryable=True
            ) from error
        except httpx.RequestError as error:
            # Broken connections may mend; an answer that cannot be decoded will not.
            raise EmbeddingError(
                f"{self._source} cannot be reached: {hide(str(error), self._key)}",
                retryable=isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError)),
            ) from error

    def _opened(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._client is None:
                self._client = httpx.Client()
            return self._client


def _endpoint(url: str) -> str:
    """{base}/embeddings. Raises EmbeddingError for what could carry a secret into logs."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EmbeddingError("REMEMBRANCER_EMBEDDING_URL: must be an http:// or https:// URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise EmbeddingError(
            "REMEMBRANCER_EMBEDDING_URL: must have no user, password, query or fragment; "
            "the key goes into REMEMBRANCER_EMBEDDING_API_KEY"
        )
    return url.rstrip("/") + "/embeddings"


def _usable_key(key: str) -> str:
    """Raises EmbeddingError for a key that no header can hold: the error that httpx would raise
    for it quotes the key."""
    key = key.strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise EmbeddingError(
            "REMEMBRANCER_EMBEDDING_API_KEY: must be printable ASCII without blanks (not shown)"
        )
    return key
