"""Reads one batch ahead in a thread: the source is read and parsed while the database works."""

# A process of its own would not pay: what takes time is the database and the writer that waits for
# it, one after the other, and the reader's work fits into the time that the writer waits.

import contextlib
import contextvars
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")
# Of Python's threads, in seconds. By its default the writer waits 5 ms for the reader whenever a
# statement comes back, which with a dozen of them is as long as the database takes for a batch.
SWITCH = 0.0001
_USUAL = sys.getswitchinterval()


def ahead(source: Iterator[T]) -> Iterator[T]:
    """`source`, read one item ahead in a thread. It must not touch the database."""
    done = object()
    ready: queue.Queue[Any] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def read() -> None:
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
    reader.start()
    try:
        while (got := ready.get()) is not done:
            if isinstance(got, BaseException):
                raise got
            yield got
    finally:
        stop.set()
        while reader.is_alive():
            with contextlib.suppress(queue.Empty):
                ready.get(timeout=0.05)
        sys.setswitchinterval(_USUAL)
