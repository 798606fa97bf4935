"""Reading what an embeddings endpoint answers: vectors, errors, Retry-After.

Pure functions over bytes and headers; not for sending anything (openai.py).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from memory.embedding.base import EmbeddingError

# What may pass by itself: timeouts, locks, too early, too many, and the server's own trouble.
RETRYABLE_STATUSES = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504, 529})
# OpenAI answers 429 for an empty account too, which no waiting fills.
PERMANENT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
# Enough to say what is wrong; servers that echo the input must not fill the log with it.
SHOWN_CHARACTERS = 200

HINTS = {
    **dict.fromkeys((301, 302, 307, 308), "check REMEMBRANCER_EMBEDDING_URL"),
    401: "check REMEMBRANCER_EMBEDDING_API_KEY",
    403: "check REMEMBRANCER_EMBEDDING_API_KEY",
    404: "check REMEMBRANCER_EMBEDDING_URL and REMEMBRANCER_EMBEDDING_MODEL",
}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def read_vectors(body: bytes, *, count: int, source: str) -> list[Any]:
    """The `embedding` values of an answer, put into the order of the input by their `index`.

    Raises EmbeddingError unless there is exactly one for each of the `count` texts. What the
    values hold is checked by `unit_rows`.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise EmbeddingError(f"{source} did not answer with JSON") from None
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise EmbeddingError(f"{source} did not answer with a list of embeddings in `data`")
    if len(data) != count:
        raise EmbeddingError(f"{source} gave {len(data)} vectors for {count} texts")
    by_index: list[Any] = [None] * count
    for item in data:
        index = item.get("index")
        # True and False are integers to Python.
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
            raise EmbeddingError(
                f"{source} gave a vector whose `index` is not from 0 to {count - 1}"
            )
        if by_index[index] is not None:
            raise EmbeddingError(f"{source} gave two vectors with `index` {index}")
        if not isinstance(item.get("embedding"), list):
            raise EmbeddingError(f"{source} gave an `embedding` that is not a list of numbers")
        by_index[index] = item["embedding"]
    return by_index


def failure(answer: Answer, *, source: str, key: str, now: float) -> EmbeddingError:
    """The error for an answer that is not 200. `now` is the time in seconds since the epoch."""
    code, message = _error_of(answer.body)
    parts = [f"{source} answered {answer.status}"]
    # A refused key is quoted back by some servers, whole or starred, so their words stay out.
    if message and answer.status not in (401, 403):
        parts.append(hide(message, key)[:SHOWN_CHARACTERS])
    if answer.status in HINTS:
        parts.append(HINTS[answer.status])
    return EmbeddingError(
        ": ".join(parts),
        retryable=answer.status in RETRYABLE_STATUSES and code not in PERMANENT_CODES,
        retry_after=retry_after(answer.headers.get("retry-after"), now=now),
    )


def is_batch_too_large(answer: Answer) -> bool:
    """Whether fewer texts in one request may pass.

    TEI takes 32 at once, DashScope 10; they say so with 413, or with 400 or 422 and words.
    """
    if answer.status == 413:
        return True
    return answer.status in (400, 422) and "batch" in (_error_of(answer.body)[1] or "").lower()


def retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3): a number, or a date."""
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None  # not a header anybody can follow; our own backoff stands


def hide(text: str, key: str) -> str:
    """`text` without the key."""
    return text.replace(key, "[key]") if key else text


def _error_of(body: bytes) -> tuple[str | None, str | None]:
    """(code, message) of an error body, in the shapes that servers use, or None for each."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(answer, dict):
        return None, None
    inner = answer.get("error")
    error = inner if isinstance(inner, dict) else answer  # vLLM and TEI have it at the top
    message = inner if isinstance(inner, str) else error.get("message") or error.get("detail")
    code = error.get("code") or error.get("type")
    return (
        code if isinstance(code, str) else None,
        # One line, so that a server cannot write lines of its own into the log.
        " ".join(message.split()) if isinstance(message, str) else None,
    )
