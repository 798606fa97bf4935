"""Waiting for a ping's answer: a request that stays until there is one, without a connection.

A look at the row is a transaction of its own; between looks the connection goes back to the pool.
At most half of the process's threads wait at once, so that the other half always answers; who
comes beyond that is answered at once, as without waiting, and asks again.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from config.lib.scope import workspace_scope
from config.lib.stopping import is_stopping
from sessions.models import Ping
from sessions.models.attention import PingState
from sessions.selectors_pings import get_ping

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


def wait_for_ping(
    *,
    workspace_id: uuid.UUID,
    ping_id: str,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Ping:
    """The ping, as soon as it is resolved or expired, or after `seconds`. Outside a scope.

    Raises NotFound, also where it is deleted meanwhile.
    """
    ping = _look(workspace_id, ping_id)
    if seconds <= 0 or _settled(ping):
        return ping
    with places.take() as got:
        if not got:
            return ping
        ends, pause = time.monotonic() + seconds, FIRST_PAUSE
        while not _settled(ping) and not is_stopping():
            left = ends - time.monotonic()
            if left <= 0:
                break
            # Django keeps a request's connection until its end; that would be the whole wait.
            connection.close()
            sleep(min(pause, left))
            pause = min(pause * GROWTH, LONGEST_PAUSE)
            ping = _look(workspace_id, str(ping.id))
    return ping


def _look(workspace_id: uuid.UUID, ping_id: str) -> Ping:
    with workspace_scope(workspace_id):
        return get_ping(ping_id)


def _settled(ping: Ping) -> bool:
    return ping.state in (PingState.RESOLVED, PingState.EXPIRED)
