"""What each leg says of its passages: value, share of the best, rank. With one leg that is the
order; what both say together is weighed in ranking.py. Not for finding candidates (lexical.py,
dense.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Legs(NamedTuple):
    """What the two legs say of a passage; None where one has not found it."""

    bm25: float | None = None
    bm25_share: float | None = None
    bm25_rank: int | None = None
    cosine: float | None = None
    cosine_share: float | None = None
    cosine_rank: int | None = None


NEITHER = Legs()


@dataclass(slots=True)
class Scored:
    """A passage and how it came to its score."""

    # As text: a search sees some hundred ids and shows ten, and a UUID takes 2 us to make.
    passage: str
    score: float
    legs: Legs = NEITHER
    # Of ranked rows alone (ranking.py): the row, its number of passages, and what was seen of it,
    # in the order of NAMES.
    source: str | None = None
    chunks: int | None = None
    features: Sequence[float] | None = None
    # What its strength added, where that was asked for (decay.py).
    decay: float = 0.0


def by_words(bm25: Mapping[str, float]) -> list[Scored]:
    """Best first, each with its share of the best as score; of equals the newer id first."""
    values = np.array(list(bm25.values()), dtype=float)
    legs = leg_figures(values, np.full(len(values), np.nan))
    return in_order(map(Scored, bm25, (one.bm25_share or 0.0 for one in legs), legs))


def by_meaning(cosine: Mapping[str, float]) -> list[Scored]:
    """Best first, each with its cosine as score; of equals the newer id first."""
    values = np.array(list(cosine.values()), dtype=float)
    legs = leg_figures(np.full(len(values), np.nan), values)
    return in_order(map(Scored, cosine, (one.cosine or 0.0 for one in legs), legs))


def leg_figures(bm25: Any, cosine: Any) -> list[Legs]:
    """What the legs say of each passage, given in arrays; nan where one has not found it."""
    words = (bm25, _shares(bm25, 0.0), _ranks(bm25))
    # These are np.nanmin and np.nanmax, in a tenth of their time.
    lowest = float(np.fmin.reduce(cosine, initial=np.inf))
    meaning = (cosine, _shares(cosine, lowest), _ranks(cosine))
    columns = [
        [None if value != value else value for value in column.tolist()]
        for column in (*words, *meaning)
    ]
    return [Legs(*values) for values in zip(*columns, strict=True)]


def in_order(found: Iterable[Scored]) -> list[Scored]:
    return sorted(found, key=lambda one: (one.score, one.passage), reverse=True)


def _shares(values: Any, lowest: float) -> Any:
    """Each value's place between the lowest and the highest, 0 to 1."""
    highest = float(np.fmax.reduce(values, initial=-np.inf))
    if highest <= lowest:
        # All alike, so all are the best.
        return np.where(np.isnan(values), np.nan, 1.0 if highest > 0 else 0.0)
    return (values - lowest) / (highest - lowest)


def _ranks(values: Any) -> Any:
    ranks = np.full(len(values), None)
    found = np.flatnonzero(~np.isnan(values))
    ranks[found[np.argsort(-values[found], kind="stable")]] = range(1, len(found) + 1)
    return ranks
