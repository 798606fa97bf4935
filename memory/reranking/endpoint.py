"""Scores from any endpoint with POST {base}/rerank, as Cohere, Jina, vLLM and TEI have it.

Sources: https://docs.cohere.com/reference/rerank, https://huggingface.github.io/text-embeddings-inference.
They differ in a name: `documents`, or TEI's `texts`. Not for sending and retrying
(memory/endpoints/calls.py).
"""

# httpx is imported inside functions, of calls.py.
from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from memory.embedding.base import checked_texts, encodable
from memory.embedding.forks import watch_forks
from memory.embedding.openai import (
    DEFAULT_MAX_TOKENS,
    IN_PLACE_OF_EMPTY,
    TIMEOUT_SECONDS,
    approximate_tokens,
    cut_to,
)
from memory.embedding.protocol import is_batch_too_large
from memory.endpoints.calls import Endpoint
from memory.reranking.base import RerankError, checked_scores

if TYPE_CHECKING:
    import httpx

    from memory.endpoints.answers import Answer

# Of what the model reads; the rest is the text's.
MOST_QUERY_TOKENS = DEFAULT_MAX_TOKENS // 2


class HttpReranker:
    """`model` at the endpoint `url` (the base, such as https://api.jina.ai/v1); an empty `model`
    is not named, as servers of one model want it.

    Texts are cut to what the smaller models read, since some servers refuse longer ones. `client`,
    `sleep`, `clock`, `wall_clock` and `jitter` (0 to 1) are there to be replaced in tests. Raises
    RerankError for an unusable `url` or `api_key`, without quoting the key.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str = "",
        api_key: str = "",
        timeout: float = TIMEOUT_SECONDS,
        client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.model = model
        self._endpoint = Endpoint(
            what="rerank",
            url=url,
            path="rerank",
            key=api_key,
            setting="REMEMBRANCER_RERANKER",
            error=RerankError,
            timeout=timeout,
            client=client,
            sleep=sleep,
            clock=clock,
            wall_clock=wall_clock,
            jitter=jitter,
        )
        self.name = f"{self._endpoint.source} {model}".strip()
        # Servers that take fewer texts, or call them otherwise, are noticed and remembered.
        self._most_texts: int | None = None
        self._says_texts = False
        watch_forks(self)

    def score(
        self, query: str, texts: Sequence[str], *, budget: float | None = None
    ) -> list[float]:
        """See `Reranker.score`. At most 4 attempts for each batch."""
        deadline = None if budget is None else self._endpoint.clock() + budget
        asked = cut_to(encodable(query), MOST_QUERY_TOKENS)
        room = DEFAULT_MAX_TOKENS - approximate_tokens(asked)
        fitting = [_fit(text, room) for text in checked_texts(texts)]
        scores: list[float] = []
        while len(scores) < len(fitting):
            most = self._most_texts or len(fitting)
            batch = fitting[len(scores) : len(scores) + most]
            try:
                scores += self._score_batch(asked, batch, deadline)
            except RerankError as error:
                if error.answer is None or not is_batch_too_large(error.answer) or len(batch) == 1:
                    raise
                self._most_texts = len(batch) // 2
        return scores

    def close(self) -> None:
        self._endpoint.close()

    def leave_parent(self) -> None:
        """See memory/embedding/forks.py."""
        self._endpoint.leave_parent()

    def _score_batch(self, query: str, batch: list[str], deadline: float | None) -> list[float]:
        says_texts = self._says_texts
        try:
            body = self._endpoint.post(self._payload(query, batch, says_texts), deadline=deadline)
        except RerankError as error:
            if says_texts or error.answer is None or not _wants_texts(error.answer):
                raise
            body = self._endpoint.post(self._payload(query, batch, True), deadline=deadline)
            self._says_texts = True
        return read_scores(body, count=len(batch), source=self._endpoint.source)

    def _payload(self, query: str, batch: list[str], says_texts: bool) -> dict[str, Any]:
        if says_texts:
            return {"query": query, "texts": batch, "truncate": True}
        payload: dict[str, Any] = {"query": query, "documents": batch, "top_n": len(batch)}
        return {"model": self.model, **payload} if self.model else payload


def read_scores(body: bytes, *, count: int, source: str) -> list[float]:
    """The scores of an answer, put into the order of the input by their `index`.

    Raises RerankError unless there is exactly one finite number for each of the `count` texts.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise RerankError(f"{source} did not answer with JSON") from None
    results = answer.get("results") if isinstance(answer, dict) else answer
    if not isinstance(results, list) or not all(isinstance(item, dict) for item in results):
        raise RerankError(f"{source} did not answer with a list of results")
    if len(results) != count:
        raise RerankError(f"{source} gave {len(results)} scores for {count} texts")
    by_index: dict[int, Any] = {}
    for item in results:
        index = item.get("index")
        # True and False are integers to Python.
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
            raise RerankError(f"{source} gave a score whose `index` is not from 0 to {count - 1}")
        if index in by_index:
            raise RerankError(f"{source} gave two scores with `index` {index}")
        by_index[index] = item.get("relevance_score", item.get("score"))
    return checked_scores([by_index[i] for i in range(count)], count=count, source=source)


def _fit(text: str, tokens: int) -> str:
    return cut_to(text, tokens) if text.strip() else IN_PLACE_OF_EMPTY


def _wants_texts(answer: Answer) -> bool:
    """Whether a server misses `texts`. TEI says so in words that are no JSON."""
    return answer.status in (400, 422) and b"texts" in answer.body
