"""Tells embedders that they are in a forked child, before anything else there can use or free them.

A child has neither the parent's threads (a lock that one of them held stays locked, a pool of
them never answers) nor a right to its sockets. Not for starting processes.
"""

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    def leave_parent(self) -> None:
        """Replaces locks, and lets go of what only the parent may use."""


_alive: weakref.WeakSet[Forkable] = weakref.WeakSet()


def watch_forks(embedder: Forkable) -> None:
    """Calls `embedder.leave_parent()` in every child that is forked while `embedder` lives."""
    _alive.add(embedder)


def _in_child() -> None:
    for embedder in _alive:
        embedder.leave_parent()


os.register_at_fork(after_in_child=_in_child)
