"""The one clock: times are computed in Python, which tests inject and Citus accepts.

Where a story of the past is told (`Told`), it stands at the moment that is told of, and new rows
have the ids that they would have had then.
"""

import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_VERSION, _VARIANT = 7 << 76, 2 << 62
_COUNTED = 1 << 12


class Told:
    """A clock that stands where it is put. Ids are UUIDv7 of its moment in the order they are
    made, their random part drawn from a seed: the same story has the same ids."""

    def __init__(self, *, moment: datetime, seed: int) -> None:
        self.moment = moment
        self._dice = random.Random(seed)  # noqa: S311  (a story's ids are no secrets)
        self._at, self._last = moment, 0

    def new_id(self) -> uuid.UUID:
        """RFC 9562, section 5.7, with a counter in rand_a (section 6.2, method 1)."""
        if self._at != self.moment or not self._last:
            self._at, self._last = self.moment, int(self.moment.timestamp() * 1000) * _COUNTED
        else:
            # A full millisecond runs over into the next one.
            self._last += 1
        milliseconds, counter = divmod(self._last, _COUNTED)
        drawn = self._dice.getrandbits(62)
        return uuid.UUID(int=milliseconds << 80 | _VERSION | counter << 64 | _VARIANT | drawn)


_told: ContextVar[Told | None] = ContextVar("told_clock", default=None)


def now() -> datetime:
    clock = _told.get()
    return datetime.now(UTC) if clock is None else clock.moment


def told() -> Told | None:
    """The clock that stands, while a story is told."""
    return _told.get()


@contextmanager
def telling(clock: Told) -> Iterator[Told]:
    """`clock` is the time until the block ends, for this thread of work alone."""
    token = _told.set(clock)
    try:
        yield clock
    finally:
        _told.reset(token)
