"""A request that stays until what it asks for is there, for a bounded time, without a connection.

A look at the rows is a transaction of its own; between looks the connection goes back to the pool.
At most half of the process's threads wait at once, so that the other half always answers; who
comes beyond that is answered at once, as without waiting, and asks again.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.conf import settings
from django.db import connection

from config.lib.scope import workspace_scope
from config.lib.stopping import is_stopping

T = TypeVar("T")

MAX_WAIT_SECONDS = 25
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.25, 1.0, 1.3


class Places:
    """How many may wait at once. `taken` is how many do."""

    def __init__(self, limit: int) -> None:
        self.limit, self.taken = limit, 0
        self._lock = threading.Lock()

    @contextmanager
    def take(self) -> Iterator[bool]:
        """Whether there was one left; it is given back at the end of the block."""
        with self._lock:
            got = self.taken < self.limit
            self.taken += got
        try:
            yield got
        finally:
            if got:
                with self._lock:
                    self.taken -= 1


places = Places(settings.WEB_THREADS // 2)


def wait_until(
    *,
    workspace_id: uuid.UUID,
    look: Callable[[T | None], T],
    settled: Callable[[T], bool],
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What `look` gives, as soon as that is settled, or after `seconds`. Outside a scope.

    Each look has a scope of its own and is given what the one before gave; what it raises ends
    the wait.
    """

    def look_again(before: T | None) -> T:
        with workspace_scope(workspace_id):
            return look(before)

    found = look_again(None)
    if seconds <= 0 or settled(found):
        return found
    with places.take() as got:
        if not got:
            return found
        ends, pause = time.monotonic() + seconds, FIRST_PAUSE
        while not settled(found) and not is_stopping():
            left = ends - time.monotonic()
            if left <= 0:
                break
            # Django keeps a request's connection until its end; that would be the whole wait.
            connection.close()
            sleep(min(pause, left))
            pause = min(pause * GROWTH, LONGEST_PAUSE)
            found = look_again(found)
    return found
