"""A query's vector, made before any transaction: it may take a model's run or a network call."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from memory.embedding import EmbeddingError, get_embedder

# The same question comes again (a person pages, agents of one team ask alike). 1.5 kB each.
MOST_KEPT = 1000
# A search is answered by words alone rather than late.
BUDGET_SECONDS = 2.0
# After a failure the endpoint is left alone for so long: not every search must wait for it.
PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class QueryVector:
    """`vector` in pgvector's text form, with the model it belongs to; or `problem`, why not.

    `keywords` is that of the query without fillers and speakers' names.
    """

    vector: str = ""
    provider: str = ""
    model: str = ""
    dimensions: int = 0
    problem: str = ""
    keywords: str = ""


NOT_ASKED = QueryVector()

_lock = threading.Lock()
_kept: OrderedDict[tuple[str, str, int, str, str], QueryVector] = OrderedDict()
_paused: dict[tuple[str, str], tuple[float, str]] = {}


def embed_query(text: str, *, keywords: str = "") -> QueryVector:
    """The vectors of a query and of its keywords, or the reason why there are none.

    Call it outside any scope.
    Loads the local model on its first call in a process (about half a second).
    """
    if not text.strip():
        return NOT_ASKED
    try:
        embedder = get_embedder()
    except EmbeddingError as error:
        return QueryVector(problem=str(error))
    if embedder is None:
        return QueryVector(problem="no embedding provider is configured")
    key = (embedder.provider, embedder.model, embedder.dimensions, text, keywords)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
        until, problem = _paused.get(key[:2], (0.0, ""))
    if time.monotonic() < until:
        return QueryVector(problem=problem)
    try:
        texts = [text, keywords] if keywords and keywords != text else [text]
        rows = embedder.embed(texts, budget=BUDGET_SECONDS)
    except EmbeddingError as error:
        with _lock:
            _paused[key[:2]] = (time.monotonic() + PAUSE_SECONDS, str(error))
        return QueryVector(problem=str(error))
    vectors = [as_text(row.tolist()) for row in rows]
    made = QueryVector(vectors[0], *key[:3], keywords=vectors[-1])
    with _lock:
        _kept[key] = made
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return made


def forget() -> None:
    """Empties the cache, as tests need between embedders."""
    with _lock:
        _kept.clear()
        _paused.clear()


def as_text(numbers: list[float]) -> str:
    """pgvector's text form. Seven digits are more than its half precision keeps."""
    return "[" + ",".join(f"{number:.7g}" for number in numbers) + "]"
