"""One score from two legs: the mean of their min-max normalised values.

Measured on LoCoMo this sum beats either leg and reciprocal-rank fusion, which throws the size of
the differences away. Not for finding candidates (lexical.py, dense.py).
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from memory.search.schemas import SearchMode

# Fixed in this version, and equal: which leg knows more differs from corpus to corpus.
LEXICAL_WEIGHT, SEMANTIC_WEIGHT = 0.5, 0.5


@dataclass(slots=True)
class Scored:
    """A passage and how it came to its score."""

    passage: uuid.UUID
    score: float
    bm25: float | None = None
    bm25_share: float | None = None
    bm25_rank: int | None = None
    cosine: float | None = None
    cosine_share: float | None = None
    cosine_rank: int | None = None
    # Of ranked rows alone (ranking.py).
    source: uuid.UUID | None = None
    features: dict[str, float] | None = None


def fuse(
    bm25: Mapping[uuid.UUID, float], cosine: Mapping[uuid.UUID, float], *, mode: SearchMode
) -> list[Scored]:
    """All candidates of either leg, best first; of equals the newer id first.

    `mode` is what ran. Hybrid without a single matching word ranks by meaning alone.
    """
    words = _shares(bm25, lowest=0.0)
    meaning = _shares(cosine, lowest=min(cosine.values(), default=0.0))
    word_ranks, meaning_ranks = _ranks(bm25), _ranks(cosine)
    scored = []
    for passage in bm25.keys() | cosine.keys():
        one = Scored(
            passage,
            0.0,
            bm25.get(passage),
            words.get(passage),
            word_ranks.get(passage),
            cosine.get(passage),
            meaning.get(passage),
            meaning_ranks.get(passage),
        )
        one.score = _score(one, mode=mode, has_words=bool(words))
        scored.append(one)
    scored.sort(key=lambda one: (one.score, one.passage.int), reverse=True)
    return scored


def _score(one: Scored, *, mode: SearchMode, has_words: bool) -> float:
    if mode is SearchMode.LEXICAL:
        return one.bm25_share or 0.0
    if mode is SearchMode.SEMANTIC:
        return one.cosine or 0.0
    if not has_words:
        return one.cosine_share or 0.0
    share = one.bm25_share or 0.0
    # What was written a moment ago has no vector yet. Its words then speak for both, so that it
    # does not stand behind everything that has one.
    meaning = share if one.cosine_share is None else one.cosine_share
    return LEXICAL_WEIGHT * share + SEMANTIC_WEIGHT * meaning


def _shares(values: Mapping[uuid.UUID, float], *, lowest: float) -> dict[uuid.UUID, float]:
    """Each value's place between the lowest and the highest, 0 to 1."""
    highest = max(values.values(), default=0.0)
    if highest <= lowest:
        # All alike, so all are the best.
        return dict.fromkeys(values, 1.0) if highest > 0 else {}
    return {key: (value - lowest) / (highest - lowest) for key, value in values.items()}


def _ranks(values: Mapping[uuid.UUID, float]) -> dict[uuid.UUID, int]:
    ordered: Iterable[uuid.UUID] = sorted(values, key=lambda key: values[key], reverse=True)
    return {key: rank for rank, key in enumerate(ordered, 1)}
