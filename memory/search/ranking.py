"""How hybrid search orders rows: one sum of what the legs, the row and what stands around it say.

Each feature of a row is a number near 0 to 1; its weight is the same for every corpus and was
fitted (benchmarks/ranking.py) so that what answers a query stands first, as a softmax over
the rows (Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach, 2007). What
makes it fit short turns and long messages alike is that the features know the texts' lengths: the
best of many chunks is good by chance, and a short text says little without its neighbours. Not
for finding candidates (lexical.py, dense.py) or reading what stands around them (rows.py).
"""

import math
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np

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
_BETWEEN = re.compile(r"\W+")
_BLANKS = "".join(" " if _BETWEEN.match(one) else one for one in map(chr, range(128)))

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


@dataclass(frozen=True, slots=True)
class Row:
    """A candidate: the ids of its best passage, and of the row that is of, as in Scored; and the
    passage's text."""

    passage: str
    source: str
    text: str


# What is known of a row in numbers; nan where there is none. `bm25` and `cosine` are what the legs
# say of the best passage. Rows of one thread have one number for it; `occurred_at` is in seconds
# since 1970. `words` is BM25 as a share of what a passage has at most, with all the query's words,
# of the best of the row's passages, and `coverage` the same of the words alone; the three meanings
# are cosines. The others are of the messages before and after it.
FIGURES = (
    "bm25", "cosine", "thread", "occurred_at", "chunks", "length", "words", "coverage", "meaning",
    "opening_meaning", "keyword_meaning", "before_words", "before_meaning", "before_keywords",
    "before_asks", "second_before_words", "after_words", "after_keywords",
)  # fmt: skip
_COLUMN = {name: number for number, name in enumerate(FIGURES)}


@dataclass(frozen=True, slots=True)
class Rows:
    """Candidates, with a line of FIGURES each."""

    rows: Sequence[Row]
    figures: Any

    def column(self, name: str) -> Any:
        return self.figures[:, _COLUMN[name]]

    def known(self) -> "Rows":
        """The same with 0 for what there is none of."""
        return Rows(self.rows, np.nan_to_num(self.figures))


# In the order of the columns of a matrix of features.
NAMES = tuple(WEIGHTS)
_PLACE = {name: number for number, name in enumerate(NAMES)}
_WEIGHTS = np.array(list(WEIGHTS.values()))


def features(rows: Rows, period: Period | None = None) -> Any:
    """A line for each row with a column for each of NAMES: all that can be said without its text.

    Rows without a vector are judged by their words instead. `period` is the time that the query
    speaks of.
    """
    found = np.zeros((len(rows.rows), len(NAMES)))
    if not len(found):
        return found

    def put(name: str, values: Any) -> None:
        found[:, _PLACE[name]] = values

    tops = [_largest(rows.column(name)) for name in ("words", "meaning", "keyword_meaning")]
    top_words, top_meaning, top_keywords = tops
    length, own_words = rows.column("length"), rows.column("words")
    alone = np.isnan(rows.column("thread"))
    # What stands in no thread was written to be read alone.
    short = np.where(alone, 0.0, 1 / (1 + (length / HALF_WORDS) ** 2))
    words = _share(own_words, top_words)
    known = rows.known()
    before, after = known.column("before_words"), known.column("after_words")
    after_keywords = _share(known.column("after_keywords"), top_keywords)
    before_keywords = _share(known.column("before_keywords"), top_keywords)
    put("words", words)
    put("meaning", _share(rows.column("meaning"), top_meaning, words))
    put("opening_meaning", _share(rows.column("opening_meaning"), top_meaning, words))
    put("keyword_meaning", _share(rows.column("keyword_meaning"), top_keywords, words))
    put("chunks", np.log(np.maximum(rows.column("chunks"), 1)) / 3)
    put("coverage", rows.column("coverage"))
    put("thread", _of_threads(rows.column("thread"), own_words) * short)
    put(
        "answers",
        known.column("before_asks") * _share(known.column("before_meaning"), top_meaning) * short,
    )
    put("before_words", before * short)
    put("second_before_words", known.column("second_before_words") * short)
    put("after_keywords", after_keywords * short)
    put("beside_keywords", np.maximum(before_keywords, after_keywords) * short)
    put("around_words", np.maximum(np.maximum(before, after), own_words) * short)
    put("short", short)
    put("length", np.log1p(length) / 5)
    put("alone", alone)
    if period is not None:
        put("period", _closeness(rows.column("occurred_at"), period))
    return found


def add_texts(found: Any, query: str, texts: Sequence[str]) -> None:
    """To features `found` of as many rows, what their texts say."""
    if not texts:
        return
    said = [speaker(text) for text in texts]
    named = _named_speakers(query, {name for name in said if name is not None})
    pairs = _pairs(query)
    asks_when = ASKS_WHEN.match(query) is not None
    asks = np.array([text.rstrip().endswith("?") for text in texts])
    found[:, _PLACE["pairs"]] = [_share_of_pairs(text, pairs) for text in texts]
    found[:, _PLACE["speaker"]] = [name in named for name in said]
    if asks_when:
        found[:, _PLACE["time"]] = [TELLS_WHEN.search(text) is not None for text in texts]
    found[:, _PLACE["question"]] = asks
    found[:, _PLACE["short_question"]] = asks * found[:, _PLACE["short"]]


def totals(found: Any) -> Any:
    """Each row's sum of weighted features."""
    return found @ _WEIGHTS


# The sum at which a row answers as likely as not, and how fast that grows: on agents' work.
EVEN, STEEPNESS = 7.6, 1.0


def probability(total: float) -> float:
    """How likely a row with that sum answers the query, 0 to 1."""
    return 1 / (1 + math.exp(STEEPNESS * (EVEN - total)))


def _closeness(moments: Any, period: Period) -> Any:
    """1 within the period; 0.5 some days away, for one speaks of things before and after them."""
    start, end = period.start.timestamp(), period.end.timestamp()
    away = np.maximum(np.maximum(start - moments, moments - end), 0.0)
    half = NEAR.total_seconds() + (end - start) / 4
    return 1 / (1 + (away / half) ** 2)


def _largest(values: Any) -> float:
    """The largest of a figure, which stands for 1; nan is none."""
    # As np.nanmax, in a tenth of its time.
    return float(np.fmax.reduce(values, initial=0.0))


def _share(values: Any, top: float, instead: Any = 0.0) -> Any:
    shares = np.maximum(values, 0.0) / top if top > 0 else np.zeros(len(values))
    return np.where(np.isnan(values), instead, shares)


def _of_threads(threads: Any, words: Any) -> Any:
    """How much each row's thread is about the query: the mean of its best rows' words."""
    _, place = np.unique(threads, return_inverse=True)
    # Each thread's best rows first.
    order = np.lexsort((-words, place))
    sorted_places = place[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_places, sorted_places)
    best = order[rank < THREAD_ROWS]
    sums = np.bincount(place[best], weights=words[best], minlength=place.max() + 1)
    return np.where(np.isnan(threads), 0.0, sums[place] / THREAD_ROWS)


def _named_speakers(query: str, names: Set[str]) -> frozenset[str]:
    """Those of `names` that the query names, unless it names all there are."""
    asked = f" {' '.join(_TOKEN.findall(query.casefold()))} "
    named = {name for name in names if f" {' '.join(_TOKEN.findall(name))} " in asked}
    return frozenset(named if named != names else ())


def _share_of_pairs(text: str, pairs: Sequence[tuple[str, str]]) -> float:
    """Of `pairs`, how many stand in the text, one word after the other."""
    text = text.lower()
    possible = [pair for pair in pairs if pair[0] in text and pair[1] in text]
    if not possible:
        return 0.0
    said = _spaced(text)
    return sum(f"{first} {second}" in said for first, second in possible) / len(pairs)


def _spaced(text: str) -> str:
    """The text's words with one blank between them."""
    if text.isascii():
        # A fifth of the time, for sixty texts of each search.
        return " ".join(text.translate(_BLANKS).split())
    return _BETWEEN.sub(" ", text)


def _pairs(query: str) -> list[tuple[str, str]]:
    """Neighbouring words of the query, those of two fillers left out."""
    tokens = _TOKEN.findall(query.lower())
    return [
        (first, second)
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
