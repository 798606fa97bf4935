"""What each leg says of its passages: value, share of the best, rank. With one leg that is the
order; what both say together is weighed in ranking.py. Not for finding candidates (lexical.py,
dense.py).
"""

import uuid
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar


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

    passage: uuid.UUID
    score: float
    legs: Legs = NEITHER
    # Of ranked rows alone (ranking.py): the row, its number of passages, what was seen of it.
    source: uuid.UUID | None = None
    chunks: int | None = None
    features: dict[str, float] | None = None


def by_words(bm25: Mapping[uuid.UUID, float]) -> list[Scored]:
    """Best first, each with its share of the best as score; of equals the newer id first."""
    legs = leg_figures(bm25, {})
    return in_order(Scored(one, legs[one].bm25_share or 0.0, legs[one]) for one in legs)


def by_meaning(cosine: Mapping[uuid.UUID, float]) -> list[Scored]:
    """Best first, each with its cosine as score; of equals the newer id first."""
    legs = leg_figures({}, cosine)
    return in_order(Scored(one, legs[one].cosine or 0.0, legs[one]) for one in legs)


K = TypeVar("K", bound=Hashable)


def leg_figures(bm25: Mapping[K, float], cosine: Mapping[K, float]) -> dict[K, Legs]:
    """passage -> what the legs say of it, all that either has."""
    words = _shares(bm25, lowest=0.0)
    meaning = _shares(cosine, lowest=min(cosine.values(), default=0.0))
    word_ranks, meaning_ranks = _ranks(bm25), _ranks(cosine)
    return {
        key: Legs(
            bm25.get(key),
            words.get(key),
            word_ranks.get(key),
            cosine.get(key),
            meaning.get(key),
            meaning_ranks.get(key),
        )
        for key in bm25.keys() | cosine.keys()
    }


def in_order(found: Iterable[Scored]) -> list[Scored]:
    return sorted(found, key=lambda one: (one.score, one.passage.int), reverse=True)


def _shares(values: Mapping[K, float], *, lowest: float) -> dict[K, float]:
    """Each value's place between the lowest and the highest, 0 to 1."""
    highest = max(values.values(), default=0.0)
    if highest <= lowest:
        # All alike, so all are the best.
        return dict.fromkeys(values, 1.0) if highest > 0 else {}
    return {key: (value - lowest) / (highest - lowest) for key, value in values.items()}


def _ranks(values: Mapping[K, float]) -> dict[K, int]:
    ordered = sorted(values, key=values.__getitem__, reverse=True)
    return {key: rank for rank, key in enumerate(ordered, 1)}
