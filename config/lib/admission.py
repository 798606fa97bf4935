"""How many requests a process works on at once, so that there is always a thread to refuse one.

More threads than that serve (config/gunicorn.py): where all of them worked, requests and the probes
of a load balancer alike would wait unseen in the web server's queue, for as long as the slowest
takes. Not for the connections to the database, whose pool has its own bound.
"""

import threading
import time

# Of these, WAITING may wait for a moment; the others refuse, and answer probes.
SPARE_THREADS = 8
WAITING = 6
# With the pool's own half a second it stays under one.
WAIT_SECONDS = 0.3


class Admission:
    """`most` at once; WAITING more wait up to WAIT_SECONDS for one of them to be done."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._changed = threading.Condition()
        self._inside = self._waiting = 0

    def enter(self) -> bool:
        """Whether the request may go on; then `leave` must be called."""
        with self._changed:
            if self._inside >= self.most and not self._wait():
                return False
            self._inside += 1
            return True

    def _wait(self) -> bool:
        if self._waiting >= WAITING:
            return False
        until = time.monotonic() + WAIT_SECONDS
        self._waiting += 1
        try:
            while self._inside >= self.most:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify()
