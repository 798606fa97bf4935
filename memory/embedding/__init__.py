"""Turning texts into vectors: `get_embedder()` gives the configured provider, or None.

Not for cutting texts into passages, storing vectors or searching them.
"""

# This module and base.py are imported by every process. The providers, and with them numpy,
# onnxruntime and httpx, are imported when the first embedder is asked for: a web worker that
# never searches by meaning must not load a model.
import os
import threading
from typing import Any

from django.conf import settings

from memory.embedding.base import Embedder, EmbeddingError

__all__ = ["Embedder", "EmbeddingError", "get_embedder", "reset_embedder"]

_lock = threading.Lock()
_made: tuple[tuple[Any, ...], Embedder | None] | None = None


def get_embedder() -> Embedder | None:
    """The embedder that the settings name, one for the process; None for the provider `none`.

    Cheap after the first call. A model is loaded by the first `embed`, not here. Raises
    EmbeddingError for settings that no embedder can be made from.
    """
    global _made
    wanted = (
        settings.EMBEDDING_PROVIDER,
        settings.EMBEDDING_MODEL,
        settings.EMBEDDING_URL,
        settings.EMBEDDING_API_KEY,
        settings.EMBEDDING_DIMENSIONS,
        settings.MODEL_DIR,
    )
    with _lock:
        if _made is not None and _made[0] == wanted:
            return _made[1]
        _close()
        made = _make()
        _made = (wanted, made)
        return made


def reset_embedder() -> None:
    """Closes and forgets the process's embedder, as tests need between settings."""
    with _lock:
        _close()


def _make() -> Embedder | None:
    if settings.EMBEDDING_PROVIDER == "none":
        return None
    if settings.EMBEDDING_PROVIDER == "openai":
        from memory.embedding.openai import OpenAIEmbedder

        return OpenAIEmbedder(
            url=settings.EMBEDDING_URL,
            model=settings.EMBEDDING_MODEL,
            dimensions=settings.EMBEDDING_DIMENSIONS,
            api_key=settings.EMBEDDING_API_KEY,
        )
    from memory.embedding.local import LocalEmbedder

    dimensions = settings.EMBEDDING_DIMENSIONS
    if dimensions != LocalEmbedder.dimensions:
        raise EmbeddingError(
            f"REMEMBRANCER_EMBEDDING_DIMENSIONS: the local model has {LocalEmbedder.dimensions}, "
            f"not {dimensions}"
        )
    return LocalEmbedder(settings.MODEL_DIR)


def _close() -> None:
    global _made
    if _made is not None and _made[1] is not None:
        _made[1].close()
    _made = None


def _renew_lock() -> None:
    """In a forked child, where the lock may be held by a thread that only the parent has. The
    embedder looks after itself (forks.py)."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
