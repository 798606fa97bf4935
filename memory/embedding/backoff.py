"""How long a provider is left alone after failures. Not for retrying inside one call
(memory/endpoints/calls.py does that, for some seconds)."""

import threading
import time

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 60.0
# What a provider may ask for; one that says "in thirty years" is asked again all the same.
LONGEST_ASKED_SECONDS = 3600.0


class Backoff:
    """1, 2, 4 ... 60 s, or as long as the provider asks, up to an hour.

    One for the process and by provider, not by workspace: a thousand workspaces must not each find
    out for themselves. procrastinate's own retry is not used: it turns the failed job back to
    waiting, which its queueing lock refuses when the next write has already put another one there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def left(self, provider: str) -> float:
        with self._lock:
            return max(0.0, self._until.get(provider, 0.0) - time.monotonic())

    def failed(self, provider: str, retry_after: float | None) -> float:
        """Notes a failure; the seconds to wait."""
        with self._lock:
            failures = self._failures.get(provider, 0)
            wait = min(FIRST_WAIT_SECONDS * 2.0**failures, LONGEST_WAIT_SECONDS)
            self._failures[provider] = min(failures + 1, 10)
            wait = max(wait, min(retry_after or 0.0, LONGEST_ASKED_SECONDS))
            self._until[provider] = time.monotonic() + wait
            return wait

    def passed(self, provider: str) -> None:
        with self._lock:
            self._failures.pop(provider, None)
            self._until.pop(provider, None)
