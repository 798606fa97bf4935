"""Turning texts into vectors: `get_embedder()` gives the configured provider, or None,
`embedder_for()` the one that a workspace's space is of.

Not for cutting texts into passages, storing vectors or searching them.
"""

# This module and base.py are imported by every process. The providers, and with them numpy,
# onnxruntime and httpx, are imported when the first embedder is asked for: a web worker that
# never searches by meaning must not load a model.
import os
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings

from memory.embedding.base import Embedder, EmbeddingError

__all__ = ["Embedder", "EmbeddingError", "embedder_for", "get_embedder", "reset_embedder"]

_lock = threading.Lock()
# By all that an embedder is made from. While one model takes another's place there are two.
_made: dict[tuple[Any, ...], Embedder] = {}
# Settings change only in tests; then the oldest are given back.
MOST_MADE = 4


def get_embedder() -> Embedder | None:
    """The embedder that the settings name, one for the process; None for the provider `none`.

    Cheap after the first call. A model is loaded by the first `embed`, not here. Raises
    EmbeddingError for settings that no embedder can be made from.
    """
    provider = settings.EMBEDDING_PROVIDER
    if provider == "none":
        return None
    if provider == "local":
        return _local(settings.EMBEDDING_DIMENSIONS)
    return _openai(
        settings.EMBEDDING_URL,
        settings.EMBEDDING_MODEL,
        settings.EMBEDDING_API_KEY,
        settings.EMBEDDING_DIMENSIONS,
    )


def embedder_for(
    configured: Embedder | None, *, provider: str, model: str, dimensions: int
) -> Embedder | None:
    """The embedder of a space's model; None where `configured` (of get_embedder) is.

    So a space is read and filled by its own model whatever the settings name for new ones. The
    settings know two endpoints: the second is for the model that it names, the first for every
    other. Raises EmbeddingError where there is no endpoint for the model.
    """
    wanted = (provider, model, dimensions)
    if configured is None:
        return None
    if (configured.provider, configured.model, configured.dimensions) == wanted:
        return configured
    if provider == "local":
        made = _local(dimensions)
        if made.model == model:
            return made
    elif provider == "openai":
        if model == settings.EMBEDDING_OTHER_MODEL:
            return _openai(
                settings.EMBEDDING_OTHER_URL, model, settings.EMBEDDING_OTHER_API_KEY, dimensions,
                setting="REMEMBRANCER_EMBEDDING_OTHER",
            )  # fmt: skip
        if settings.EMBEDDING_URL:
            return _openai(settings.EMBEDDING_URL, model, settings.EMBEDDING_API_KEY, dimensions)
    raise EmbeddingError(
        f"no setting says where the model {provider} {model} ({dimensions}) is: name it in "
        "REMEMBRANCER_EMBEDDING_OTHER_MODEL and _OTHER_URL, or change the index to another by "
        "`manage.py reembed`"
    )


def reset_embedder() -> None:
    """Closes and forgets the process's embedders, as tests need between settings."""
    with _lock:
        for made in _made.values():
            made.close()
        _made.clear()


def _local(dimensions: int) -> Embedder:
    from memory.embedding.local import LocalEmbedder

    if dimensions != LocalEmbedder.dimensions:
        raise EmbeddingError(
            f"REMEMBRANCER_EMBEDDING_DIMENSIONS: the local model has {LocalEmbedder.dimensions}, "
            f"not {dimensions}"
        )
    return _kept(("local", settings.MODEL_DIR), lambda: LocalEmbedder(settings.MODEL_DIR))


def _openai(
    url: str, model: str, key: str, dimensions: int, setting: str = "REMEMBRANCER_EMBEDDING"
) -> Embedder:
    from memory.embedding.openai import OpenAIEmbedder

    return _kept(
        ("openai", url, model, key, dimensions),
        lambda: OpenAIEmbedder(
            url=url, model=model, dimensions=dimensions, api_key=key, setting=setting
        ),
    )


def _kept(made_from: tuple[Any, ...], make: Callable[[], Embedder]) -> Embedder:
    with _lock:
        if made_from not in _made:
            _made[made_from] = make()
            while len(_made) > MOST_MADE:
                _made.pop(next(iter(_made))).close()
        return _made[made_from]


def _renew_lock() -> None:
    """In a forked child, where the lock may be held by a thread that only the parent has. The
    embedder looks after itself (forks.py)."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
