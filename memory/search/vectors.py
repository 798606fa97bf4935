"""A query's vector, made before any transaction: it may take a model's run or a network call."""

import threading
import uuid
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass

from config.lib.scope import current_workspace_id, in_scope, workspace_scope
from memory.embedding import Embedder, EmbeddingError, embedder_for, get_embedder
from memory.endpoints.pause import Pause
from memory.search.corpus import Kept, Space, active_space

# The same question comes again (a person pages, agents of one team ask alike). 1.5 kB each.
MOST_KEPT = 1000
# A search is answered by words alone rather than late.
BUDGET_SECONDS = 2.0
# Which space is active; one that was left a moment ago can still be read (corpus.standing).
SPACE_KEPT_SECONDS = 5.0
MOST_SPACES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class QueryVector:
    """`vector` in pgvector's text form, with the model it belongs to; or `problem`, why not.

    `keywords` is that of the query without fillers and speakers' names. `space_id` names the space
    to compare in, where that is not the one which searches read.
    """

    vector: str = ""
    provider: str = ""
    model: str = ""
    dimensions: int = 0
    problem: str = ""
    keywords: str = ""
    space_id: uuid.UUID | None = None


NOT_ASKED = QueryVector()
# The model, the text, and that of its keywords.
_Key = tuple[str, str, int, str, str]

_spaces: Kept[Space] = Kept(MOST_SPACES_KEPT)
_lock = threading.Lock()
_kept: OrderedDict[_Key, QueryVector] = OrderedDict()
_pause = Pause()


def embed_query(
    text: str,
    workspace_id: uuid.UUID,
    *,
    keywords: str = "",
    embedder: Embedder | None = None,
    seconds: float | None = None,
) -> QueryVector:
    """The vectors of a query and of its keywords by `embedder`, else by the model of the
    workspace's active space (the configured one where there is none yet), or the reason why there
    is none.

    Call it outside any scope. Loads the local model on its first call in a process (about half a
    second).
    """
    known, embedder = _known(text, workspace_id, keywords, embedder)
    if known is not None or embedder is None:
        return known or NOT_ASKED
    key = _key(embedder, text, keywords)
    wait_ready = getattr(embedder, "wait_ready", None)
    if seconds is not None and wait_ready is not None and not wait_ready(seconds):
        return QueryVector(problem="the model is still being loaded")
    try:
        texts = [text, keywords] if keywords and keywords != text else [text]
        rows = embedder.embed(texts, budget=BUDGET_SECONDS if seconds is None else seconds)
    except EmbeddingError as error:
        # One who could not wait says nothing about the endpoint to those who can.
        if seconds is None:
            _pause.begin(key[:2], error)
        return QueryVector(problem=str(error))
    vectors = [as_text(row.tolist()) for row in rows]
    made = QueryVector(vectors[0], *key[:3], keywords=vectors[-1])
    with _lock:
        _kept[key] = made
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return made


def vectors_at_hand(text: str, *, keywords: str = "") -> QueryVector | None:
    """What `embed_query` would return if that takes no model and no network, else None. In the
    workspace's scope."""
    return _known(text, current_workspace_id(), keywords, None)[0]


def _known(
    text: str, workspace_id: uuid.UUID, keywords: str, embedder: Embedder | None
) -> tuple[QueryVector | None, Embedder | None]:
    """What is to be said without asking the model, if anything; and else the model to ask."""
    if not text.strip():
        return NOT_ASKED, None
    try:
        embedder = embedder or _embedder(workspace_id)
    except EmbeddingError as error:
        return QueryVector(problem=str(error)), None
    if embedder is None:
        return QueryVector(problem="no embedding provider is configured"), None
    key = _key(embedder, text, keywords)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key], embedder
    if problem := _pause.problem(key[:2]):
        return QueryVector(problem=problem), embedder
    return None, embedder


def _key(embedder: Embedder, text: str, keywords: str) -> _Key:
    return (embedder.provider, embedder.model, embedder.dimensions, text, keywords)


def _embedder(workspace_id: uuid.UUID) -> Embedder | None:
    configured = get_embedder()
    if configured is None:
        return None
    space = _spaces.get(workspace_id)
    if space is None:
        with nullcontext() if in_scope() else workspace_scope(workspace_id):
            space = note_active_space()
    if space is None:
        return configured
    return embedder_for(
        configured, provider=space.provider, model=space.model, dimensions=space.dimensions
    )


def note_active_space() -> Space | None:
    """The current workspace's, kept for the queries of the next seconds."""
    space = active_space()
    if space is not None:
        _spaces.keep(current_workspace_id(), space, SPACE_KEPT_SECONDS)
    return space


def forget() -> None:
    """Empties what is kept, as tests need between embedders."""
    _spaces.clear()
    with _lock:
        _kept.clear()
    _pause.forget()


def as_text(numbers: list[float]) -> str:
    """pgvector's text form. Seven digits are more than its half precision keeps."""
    return "[" + ",".join(f"{number:.7g}" for number in numbers) + "]"
