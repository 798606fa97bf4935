"""What every reranker offers, its error, and the check that all of them share."""

from collections.abc import Sequence
from math import isfinite
from typing import Any, Protocol

from memory.endpoints.answers import EndpointError


class RerankError(EndpointError):
    """No scores, and why: from an endpoint, or from a model of our own."""


class Reranker(Protocol):
    """Reads a query and a text together and says how well the text answers it. Safe to use from
    several threads. `name` tells one model at one place from another."""

    @property
    def name(self) -> str: ...

    def score(
        self, query: str, texts: Sequence[str], *, budget: float | None = None
    ) -> list[float]:
        """One finite number for each text, in order; higher is better, and comparable for one
        query only.

        What does not fit into the model is not read. `budget` is the number of seconds the caller
        can wait. All or nothing: raises RerankError rather than return too few.
        """
        ...

    def close(self) -> None:
        """Gives back sockets and memory; a later call opens them again."""
        ...


def checked_scores(scores: Sequence[Any], *, count: int, source: str) -> list[float]:
    """`scores` as they are, if they are `count` finite numbers. Raises RerankError, naming
    `source`: what is not a number sorts anywhere."""
    if len(scores) != count:
        raise RerankError(f"{source} gave {len(scores)} scores for {count} texts")
    checked = []
    for position, score in enumerate(scores):
        # True and False are integers to Python; and there are integers that no float holds.
        if isinstance(score, bool) or not isinstance(score, (int, float)):
            raise RerankError(f"{source} gave a score that is not a number (text {position})")
        try:
            number = float(score)
        except OverflowError:
            number = float("inf")
        if not isfinite(number):
            raise RerankError(f"{source} gave a score that is not finite (text {position})")
        checked.append(number)
    return checked
