"""What every embedding provider offers, its error, and the checks all of them share.

Not for choosing a provider (see `get_embedder`), nor for cutting texts into passages: a chunker
does that with `token_offsets`.
"""

# numpy is imported inside functions: this module is imported by every web worker, and one that
# never searches by meaning must not pay for it.
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from memory.endpoints.answers import EndpointError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class EmbeddingError(EndpointError):
    """No vectors, and why: from an endpoint, or from a model of our own."""


class Embedder(Protocol):
    """Turns texts into vectors. Safe to use from several threads.

    `max_tokens` counts tokens of the text alone, as `count_tokens` and `token_offsets` do; what
    a model adds around a text (such as [CLS] and [SEP]) is already taken off. `turn_characters`
    is about what it embeds in a quarter of a second: background work asks for no more at once,
    since a text that somebody waits for may have to wait until that is done.
    """

    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def turn_characters(self) -> int: ...

    def embed(self, texts: Sequence[str], *, budget: float | None = None) -> Vectors:
        """One L2-normalised row for each text, in order: float32, shape (len(texts), dimensions).

        What lies beyond `max_tokens` of a text is not represented. `budget` is the number of
        seconds the caller can wait, for providers behind a network: past it no further attempt
        is made. All or nothing: raises EmbeddingError rather than return rows that are missing,
        of another length, zero or not finite.
        """
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens in each text, without special tokens and without truncation."""
        ...

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of each token in characters of `text`, in order, without special tokens."""
        ...

    def close(self) -> None:
        """Gives back sockets and memory; a later call opens them again."""
        ...


def checked_texts(texts: Sequence[str]) -> list[str]:
    """A list of encodable strings. Raises TypeError for a lone string or other types.

    Lone surrogates, which JSON can carry and UTF-8 cannot, become "?": one character for one, so
    that offsets still fit the caller's text.
    """
    if isinstance(texts, str):
        raise TypeError("texts: give a list of strings, not one string")
    checked = []
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}]: must be a string, not {type(text).__name__}")
        checked.append(encodable(text))
    return checked


def encodable(text: str) -> str:
    """`text` with lone surrogates as "?"; the same object where there are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def unit_rows(vectors: Any, *, count: int, dimensions: int, source: str) -> Vectors:
    """`vectors` as float32 rows of length 1, shape (count, dimensions).

    Raises EmbeddingError, naming `source`, for another shape, for anything that is not a number,
    and for rows that are zero or not finite: such a row would be stored, and then be near to
    nothing or to everything, without a sign of what went wrong.
    """
    import numpy as np

    if count == 0:
        return np.empty((0, dimensions), dtype=np.float32)
    try:
        # Booleans and strings of digits would convert silently, were the type asked for here.
        rows = np.asarray(vectors)
    except ValueError:
        raise EmbeddingError(f"{source} gave vectors of unequal lengths") from None
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise EmbeddingError(f"{source} gave something that is not a list of vectors of numbers")
    if rows.shape != (count, dimensions):
        raise EmbeddingError(
            f"{source} gave {rows.shape[0]} vectors of {rows.shape[1]} numbers, "
            f"not {count} of {dimensions}"
        )
    # In double precision, so that squaring does not lose small or large numbers. What overflows
    # even so is reported below instead of as a warning.
    with np.errstate(all="ignore"):
        wide = rows.astype(np.float64)
        lengths = np.sqrt((wide * wide).sum(axis=1))
        bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
        if bad.size:
            kind = "zero" if lengths[bad[0]] == 0 else "not finite"
            raise EmbeddingError(f"{source} gave a vector that is {kind} (text {int(bad[0])})")
        unit: Vectors = (wide / lengths[:, None]).astype(np.float32)
    return unit
