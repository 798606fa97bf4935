"""Figures of retrieval, of one query and of many.

frac@k is the share of the gold documents among the first k, any@k and all@k whether one or each
of them is; MRR the inverse rank of the first; NDCG@10 with binary gain against the ideal order of
all that is gold (Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, 2002).
"""

import math
from collections.abc import Sequence
from statistics import fmean

DEPTHS = (5, 10, 20)
DEEPEST = max(DEPTHS)
NAMES = (*(f"{name}@{k}" for name in ("frac", "any", "all") for k in DEPTHS), "mrr", "ndcg@10")


def of_query(found: Sequence[str], gold: frozenset[str]) -> dict[str, float]:
    """`found` are ids, best first, each once; `gold` is not empty."""
    ranks = [rank for rank, one in enumerate(found, 1) if one in gold]
    figures: dict[str, float] = {}
    for k in DEPTHS:
        hits = sum(rank <= k for rank in ranks)
        figures[f"frac@{k}"] = hits / len(gold)
        figures[f"any@{k}"] = float(hits > 0)
        figures[f"all@{k}"] = float(hits == len(gold))
    figures["mrr"] = 1 / ranks[0] if ranks else 0.0
    gain = sum(1 / math.log2(rank + 1) for rank in ranks if rank <= 10)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(gold), 10) + 1))
    figures["ndcg@10"] = gain / ideal
    return figures


def mean(figures: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each figure over the queries, and how many they were; of none, zeros."""
    if not figures:
        return {"queries": 0.0, **dict.fromkeys(NAMES, 0.0)}
    means = {name: round(fmean(one[name] for one in figures), 4) for name in NAMES}
    return {"queries": float(len(figures)), **means}
