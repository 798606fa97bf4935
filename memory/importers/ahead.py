"""Reads one batch ahead in a thread: the source is read and parsed while the database works."""

# A process of its own would not pay: the reader's work fits into the time that the writer waits for
# the database. But only into that: of two threads of Python one works at a time, so the reader
# gives way (`give_way`) while the writer has something to do. Else the two would take turns, and
# the database would have nothing to do but wait for both.

import contextlib
import contextvars
import queue
import sys
import threading
from collections.abc import Generator, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from config.lib.db.waits import around_waits

T = TypeVar("T")
# Of Python's threads, in seconds. By its default the writer waits 5 ms for the reader whenever a
# statement comes back, which with a dozen of them is as long as the database takes for a batch.
SWITCH = 0.00005
_USUAL = sys.getswitchinterval()
# Set while the writer waits.
_turn: ContextVar[threading.Event | None] = ContextVar("reader_turn", default=None)


def give_way() -> None:
    """Called by what reads, between two rows: it goes on when the writer waits for the database, or
    for it. Without a writer it goes on at once."""
    turn = _turn.get()
    if turn is not None and not turn.is_set():
        turn.wait()


def ahead(source: Iterator[T]) -> Generator[T, None, None]:
    """`source`, read one item ahead in a thread. It must not touch the database."""
    done = object()
    ready: queue.Queue[Any] = queue.Queue(maxsize=1)
    stop, turn = threading.Event(), threading.Event()

    def read() -> None:
        _turn.set(turn)
        try:
            for batch in source:
                ready.put(batch)
                if stop.is_set():
                    return
            ready.put(done)
        except BaseException as error:
            # Raised again where the batches are asked for.
            ready.put(error)

    reader = threading.Thread(
        target=contextvars.copy_context().run, args=(read,), name="import-reader", daemon=True
    )
    sys.setswitchinterval(SWITCH)
    turn.set()
    reader.start()
    try:
        with around_waits(turn.set, turn.clear):
            while (got := ready.get()) is not done:
                if isinstance(got, BaseException):
                    raise got
                turn.clear()
                yield got
                turn.set()
    finally:
        stop.set()
        turn.set()
        while reader.is_alive():
            with contextlib.suppress(queue.Empty):
                ready.get(timeout=0.05)
        sys.setswitchinterval(_USUAL)
