"""What every write passes before it is made: is there room, and may this caller write more today?

The funnel calls `admit`; the edge of a request says by `tallied` whose rows are counted. Jobs,
imports and people have no tally: for them there is only the room. Not for what the limits are
(contacts/services/allowances.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from config.lib.room import require_room


class Tally:
    """The rows that one request writes. `budget`, set once the caller is known, is called with
    their number and raises where that is too many."""

    def __init__(self) -> None:
        self.rows = 0
        self.budget: Callable[[int], None] | None = None


_tally: ContextVar[Tally | None] = ContextVar("tally", default=None)


def admit(rows: int = 1) -> None:
    """`rows` are about to be written. Raises NoRoom or OverBudget."""
    require_room()
    tally = _tally.get()
    if tally is None:
        return
    if tally.budget is not None:
        tally.budget(tally.rows + rows)
    tally.rows += rows


@contextmanager
def tallied() -> Iterator[Tally]:
    """What is written until the block ends counts together, for this thread of work alone."""
    tally = Tally()
    token = _tally.set(tally)
    try:
        yield tally
    finally:
        _tally.reset(token)
