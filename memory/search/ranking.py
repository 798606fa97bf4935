"""How hybrid search orders rows: one sum of what the legs, the row and what stands around it say.

Each feature of a row is a number near 0 to 1; its weight is the same for every corpus and was
fitted (memory/evaluation/fitting.py) so that what answers a query stands first, as a softmax over
the rows (Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach, 2007). What
makes it fit short turns and long messages alike is that the features know the texts' lengths: the
best of many chunks is good by chance, and a short text says little without its neighbours. Not
for finding candidates (lexical.py, dense.py) or reading what stands around them (surroundings.py).
"""

import math
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from memory.search.dates import Period
from memory.search.language import ASKS_WHEN, FILLERS, STOP, TELLS_WHEN
from memory.search.speakers import speaker

# Words of a row at which its neighbours count half.
HALF_WORDS = 60.0
# What a query says of a time is meant so exactly, and a quarter of the time's length more.
NEAR = timedelta(days=3)
# Of a thread, so many of its best rows say how much it is about the query.
THREAD_ROWS = 3
_TOKEN = re.compile(r"\w+")

# Fitted on short turns of talk, on long messages of work with an assistant, and on agents' work.
WEIGHTS: dict[str, float] = {
    "words": 1.56,
    "meaning": 1.05,
    "opening_meaning": 1.16,
    "keyword_meaning": 1.37,
    "chunks": -3.98,
    "coverage": 1.68,
    "pairs": 1.74,
    "thread": 4.43,
    "speaker": 2.08,
    "time": 1.85,
    "question": -0.74,
    "short_question": -0.53,
    "answers": 1.24,
    "before_words": 2.72,
    "second_before_words": 2.78,
    "after_keywords": 0.3,
    "beside_keywords": 2.31,
    "around_words": 1.79,
    "short": -2.62,
    "length": 1.96,
    "alone": -0.04,
    "period": 2.45,
}

# The features by what they go by.
PARTS: dict[str, frozenset[str]] = {
    "words": frozenset({"words", "coverage"}),
    "meaning": frozenset({"meaning", "opening_meaning", "keyword_meaning"}),
    "meaning of keywords": frozenset({"keyword_meaning"}),
    "pairs of words": frozenset({"pairs"}),
    "lengths": frozenset({"chunks", "length", "short"}),
    "neighbours": frozenset(
        {
            "before_words", "second_before_words", "after_keywords", "beside_keywords",
            "around_words", "answers",
        }
    ),
    "thread": frozenset({"thread"}),
    "speakers": frozenset({"speaker"}),
    "times": frozenset({"period", "time"}),
    "questions": frozenset({"question", "short_question", "answers"}),
}  # fmt: skip


@dataclass(slots=True)
class Row:
    """A candidate: figures of its best passages, of its neighbours in the thread, and its text.

    `words` is BM25 as a share of what a passage could have that has all the query's words, the
    similarities are cosines; None where there is no vector. `before` and `after` are the thread's
    neighbours, nearest first, None where there is none.
    """

    words: float = 0.0
    meaning: float | None = None
    opening_meaning: float | None = None
    keyword_meaning: float | None = None
    coverage: float = 0.0
    chunks: int = 1
    length: int = 0
    text: str = ""
    thread: uuid.UUID | None = None
    occurred_at: datetime | None = None
    before: list["Neighbour"] = field(default_factory=list)
    after: list["Neighbour"] = field(default_factory=list)


@dataclass(slots=True)
class Neighbour:
    words: float = 0.0
    meaning: float = 0.0
    keyword_meaning: float = 0.0
    asks: bool = False


def features(
    query: str, rows: Sequence[Row], period: Period | None = None
) -> list[dict[str, float]]:
    """The features of each row, by the names of WEIGHTS. Rows without a vector are judged by
    their words instead. `period` is the time that the query speaks of."""
    top = _Tops(rows)
    threads = _threads(rows)
    speakers = _named_speakers(query, rows)
    pairs = _pairs(query)
    asks_when = ASKS_WHEN.match(query) is not None
    found = [_features(row, top, threads, speakers, pairs, asks_when) for row in rows]
    if period is not None:
        for row, one in zip(rows, found, strict=True):
            one["period"] = _closeness(row.occurred_at, period)
    return found


def _closeness(moment: datetime | None, period: Period) -> float:
    """1 within the period; 0.5 some days away, for one speaks of things before and after them."""
    if moment is None:
        return 0.0
    away = max(period.start - moment, moment - period.end, timedelta(0))
    half = NEAR + (period.end - period.start) / 4
    return 1 / (1 + (away / half) ** 2)


# The sum at which a row answers as likely as not, and how fast that grows: on agents' work.
EVEN, STEEPNESS = 7.6, 1.0


def probability(found: Mapping[str, float]) -> float:
    """How likely a row with these features answers the query, 0 to 1."""
    total = sum(weight * found[name] for name, weight in WEIGHTS.items())
    return 1 / (1 + math.exp(STEEPNESS * (EVEN - total)))


class _Tops:
    """The largest of each figure, which stands for 1."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.words = _largest(row.words for row in rows)
        self.meaning = _largest(row.meaning for row in rows)
        self.keywords = _largest(row.keyword_meaning for row in rows)


def _largest(values: Iterable[float | None]) -> float:
    return max((value for value in values if value), default=0.0)


def _share(value: float | None, top: float, instead: float = 0.0) -> float:
    if value is None:
        return instead
    return max(value, 0.0) / top if top > 0 else 0.0


def _features(
    row: Row,
    top: _Tops,
    threads: Mapping[uuid.UUID, float],
    speakers: frozenset[str],
    pairs: Sequence[str],
    asks_when: bool,
) -> dict[str, float]:
    # What stands in no thread was written to be read alone.
    short = 0.0 if row.thread is None else 1 / (1 + (row.length / HALF_WORDS) ** 2)
    words = _share(row.words, top.words)
    text = row.text
    asks = text.rstrip().endswith("?")
    before, second = _at(row.before, 0), _at(row.before, 1)
    after = _at(row.after, 0)
    beside = [_share(one.keyword_meaning, top.keywords) for one in (before, after)]
    said = " ".join(_TOKEN.findall(text.lower())) if pairs else ""
    return {
        "words": words,
        "meaning": _share(row.meaning, top.meaning, words),
        "opening_meaning": _share(row.opening_meaning, top.meaning, words),
        "keyword_meaning": _share(row.keyword_meaning, top.keywords, words),
        "chunks": math.log(max(row.chunks, 1)) / 3,
        "coverage": row.coverage,
        "pairs": sum(pair in said for pair in pairs) / len(pairs) if pairs else 0.0,
        "thread": _of_thread(row, threads) * short,
        "speaker": float(speaker(text) in speakers),
        "time": float(asks_when and TELLS_WHEN.search(text) is not None),
        "question": float(asks),
        "short_question": asks * short,
        "answers": before.asks * _share(before.meaning, top.meaning) * short,
        "before_words": before.words * short,
        "second_before_words": second.words * short,
        "after_keywords": beside[1] * short,
        "beside_keywords": max(beside) * short,
        "around_words": max(before.words, after.words, row.words) * short,
        "short": short,
        "length": math.log1p(row.length) / 5,
        "alone": float(row.thread is None),
        "period": 0.0,
    }


_NOBODY = Neighbour()


def _at(neighbours: Sequence[Neighbour], place: int) -> Neighbour:
    return neighbours[place] if place < len(neighbours) else _NOBODY


def _threads(rows: Sequence[Row]) -> dict[uuid.UUID, float]:
    """How much each thread is about the query: the mean of its best rows' words."""
    found: dict[uuid.UUID, list[float]] = {}
    for row in rows:
        if row.thread is not None:
            found.setdefault(row.thread, []).append(row.words)
    return {
        thread: sum(sorted(values, reverse=True)[:THREAD_ROWS]) / THREAD_ROWS
        for thread, values in found.items()
    }


def _of_thread(row: Row, threads: Mapping[uuid.UUID, float]) -> float:
    return 0.0 if row.thread is None else threads.get(row.thread, 0.0)


def _named_speakers(query: str, rows: Sequence[Row]) -> frozenset[str]:
    """The speakers whom the query names, unless it names all there are."""
    asked = f" {' '.join(_TOKEN.findall(query.casefold()))} "
    names = {name for row in rows if (name := speaker(row.text)) is not None}
    named = {name for name in names if f" {' '.join(_TOKEN.findall(name))} " in asked}
    return frozenset(named if named != names else ())


def _pairs(query: str) -> list[str]:
    """Neighbouring words of the query, those of two fillers left out."""
    tokens = _TOKEN.findall(query.lower())
    return [
        f"{first} {second}"
        for first, second in pairwise(tokens)
        if not (first in FILLERS and second in FILLERS)
    ]


def keywords(query: str, speakers: frozenset[str]) -> str:
    """The query without fillers, question words and the names of `speakers` (casefolded), for a
    second look by meaning; itself where nothing else is left."""
    names = {part for name in speakers for part in name.split()}
    kept = [
        word
        for word in query.split()
        if (bare := _POSSESSIVE.sub("", word.strip("?!.,;:\"'()").casefold())) not in STOP
        and bare not in names
    ]
    return " ".join(kept) or query


_POSSESSIVE = re.compile(r"['’]s$")
