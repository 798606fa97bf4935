"""Putting hits into a better order: `get_reranker()` gives the configured reranker, or None.

Not for finding hits, or saying which are reranked (memory/search/rerank.py).
"""

# As of memory/embedding: what runs a model or calls a server is imported when it is asked for.
import os
import threading
from typing import Any

from django.conf import settings

from memory.reranking.base import Reranker, RerankError

__all__ = ["RerankError", "Reranker", "get_reranker", "reset_reranker"]

_lock = threading.Lock()
# By all that a reranker is made from; settings change only in tests.
_made: dict[tuple[Any, ...], Reranker] = {}


def get_reranker() -> Reranker | None:
    """The reranker that the settings name, one for the process; None for `none`.

    Cheap after the first call; a model is loaded by the first `score`. Raises RerankError for
    settings that none can be made from.
    """
    kind = settings.RERANKER
    if kind == "none":
        return None
    made_from: tuple[Any, ...] = (kind, settings.RERANKER_PATH)
    if kind == "http":
        made_from = (
            kind, settings.RERANKER_URL, settings.RERANKER_MODEL, settings.RERANKER_API_KEY,
        )  # fmt: skip
    with _lock:
        if made_from not in _made:
            _close_all()
            _made[made_from] = _make(*made_from)
        return _made[made_from]


def reset_reranker() -> None:
    """Closes and forgets the process's reranker, as tests need between settings."""
    with _lock:
        _close_all()


def _close_all() -> None:
    for made in _made.values():
        made.close()
    _made.clear()


def _make(kind: str, place: Any, model: str = "", key: str = "") -> Reranker:
    if kind == "local":
        from memory.reranking.local import LocalReranker

        return LocalReranker(place)
    from memory.reranking.endpoint import HttpReranker

    return HttpReranker(url=place, model=model, api_key=key)


def _renew_lock() -> None:
    """In a forked child, where the lock may be held by a thread that only the parent has. The
    reranker looks after itself (memory/embedding/forks.py)."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
