"""Whether this web process has been told to stop, for requests that wait for something.

config/gunicorn.py tells how to know; elsewhere nothing is ever stopping.
"""

from collections.abc import Callable

_told: Callable[[], bool] = lambda: False  # noqa: E731  (replaced once)


def watch(told: Callable[[], bool]) -> None:
    """From now on `told()` says whether the process is stopping."""
    global _told
    _told = told


def is_stopping() -> bool:
    return _told()
