"""Reading what a model's endpoint answers when it does not answer as asked: errors, Retry-After.

Pure functions over bytes and headers; not for sending anything (calls.py).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

# What may pass by itself: timeouts, locks, too early, too many, and the server's own trouble.
RETRYABLE_STATUSES = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504, 529})
# OpenAI answers 429 for an empty account too, which no waiting fills.
PERMANENT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
# Enough to say what is wrong; servers that echo the input must not fill the log with it.
SHOWN_CHARACTERS = 200

# What to look at, by status; the names follow the setting's prefix.
HINTS: dict[int, tuple[str, ...]] = {
    **dict.fromkeys((301, 302, 307, 308), ("_URL",)),
    401: ("_API_KEY",),
    403: ("_API_KEY",),
    404: ("_URL", "_MODEL"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class EndpointError(Exception):
    """No result, and why. The message is for an operator and never holds a key or a text.

    `retryable` says whether the same call may succeed later; `retry_after` is the number of
    seconds the server asked to wait, where it did. `answer` is what it answered, if it was not
    200; `timed_out` says that it did not answer in time.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        answer: Answer | None = None,
        timed_out: bool = False,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after
        self.answer = answer
        self.timed_out = timed_out


E = TypeVar("E", bound=EndpointError)


def failure(answer: Answer, *, kind: type[E], source: str, setting: str, key: str, now: float) -> E:
    """The error for an answer that is not 200. `setting` is the prefix of the variables that the
    endpoint is configured by, `now` the time in seconds since the epoch."""
    code, message = error_of(answer.body)
    parts = [f"{source} answered {answer.status}"]
    # A refused key is quoted back by some servers, whole or starred, so their words stay out.
    if message and answer.status not in (401, 403):
        parts.append(hide(message, key)[:SHOWN_CHARACTERS])
    if answer.status in HINTS:
        parts.append("check " + " and ".join(setting + end for end in HINTS[answer.status]))
    return kind(
        ": ".join(parts),
        retryable=answer.status in RETRYABLE_STATUSES and code not in PERMANENT_CODES,
        retry_after=retry_after(answer.headers.get("retry-after"), now=now),
        answer=answer,
    )


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


def error_of(body: bytes) -> tuple[str | None, str | None]:
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
