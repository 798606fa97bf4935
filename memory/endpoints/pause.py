"""Leaving a server alone after it failed, where somebody waits: not every search must wait for it.

Not for work that is repeated until it passes (embedding/backoff.py).
"""

import threading
import time
from collections.abc import Hashable

from memory.endpoints.answers import EndpointError

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 10.0, 300.0


class Pause:
    """By server, one for the process: 10 s after a failure, or up to 5 minutes where the
    server asks for more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[Hashable, tuple[float, str]] = {}

    def problem(self, server: Hashable) -> str:
        """Why the server is left alone now; empty where it is not."""
        with self._lock:
            until, problem = self._until.get(server, (0.0, ""))
        return problem if time.monotonic() < until else ""

    def begin(self, server: Hashable, error: EndpointError) -> None:
        wait = min(max(PAUSE_SECONDS, error.retry_after or 0.0), LONGEST_PAUSE_SECONDS)
        with self._lock:
            self._until[server] = (time.monotonic() + wait, str(error))

    def forget(self) -> None:
        """As tests need."""
        with self._lock:
            self._until.clear()
