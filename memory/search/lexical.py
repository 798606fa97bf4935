"""The leg that finds by words: BM25 over the text index.

Okapi BM25 with k1 = 1.2, b = 0.75 (Robertson and Zaragoza, The Probabilistic Relevance
Framework, 2009) and idf = ln(1 + (N - n + 0.5) / (n + 0.5)), all figures of the workspace. The
look-ups run in SECURITY DEFINER functions, see migrations 0003 and 0013.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from django.db import connection

from config.lib.scope import current_workspace_id
from memory.search.corpus import Corpus, frequencies
from memory.search.filters import Filter
from memory.search.ground import Ground

K1 = 1.2
# Rows that are scored, 3 us each: those with the rarest of the query's words, if they are no more;
# where these are too few, so many with two of the others, so many of the newest with one of them,
# and so many older ones. No query looks at more, however common its words. At 100,000 passages
# twice as many cost 2 ms and change one in 300 of the first ten.
ENOUGH_CANDIDATES = 500
# Of the common words the rarest are looked for in pairs.
MOST_PAIRED = 8
# What reading one of the newest passages costs, in entries of a word in the text index (at 100,000
# passages 1.8 us and 2.4 us).
ROW_COST = 1


@dataclass(frozen=True, slots=True)
class Words:
    """A query as the text index has it.

    `terms` are its lexemes that occur, rarest first, with their weights. `wanted` is the tsquery of
    the rare ones, `pairs` of two others together, and `more` of the others alone, first among the
    `newest` so many passages, which are read `row_by_row` where they are fewer than the words'
    places in the index. `searchable` says whether there was any lexeme at all, and `condition` is
    the tsquery of the query's phrases and exclusions. All are empty where there is nothing to say.
    """

    searchable: bool
    condition: str
    terms: list[str]
    weights: list[float]
    wanted: str = ""
    pairs: str = ""
    more: str = ""
    newest: int | None = None
    row_by_row: bool = False
    # What words that occur nowhere would weigh, together.
    unknown: float = 0.0

    @property
    def ideal(self) -> float:
        """What a passage could have at most that had all the query's words, of endless length."""
        return sum(self.weights) + self.unknown


def analyse(ground: Ground) -> Words:
    """One statement, or none where the process knows how common the words are."""
    # The word that marks the workspace in every passage is nobody's to search for.
    terms = [term for term in ground.lexemes if term != f"w{current_workspace_id().hex}"]
    counted = frequencies(terms, ground.figures)
    total = max([ground.figures.passages, *counted.values()])
    unknown = sum(not counted.get(term) for term in terms) * (K1 + 1) * idf(0, total)
    terms = sorted((term for term in terms if counted.get(term)), key=lambda t: (counted[t], t))
    weights = [(K1 + 1) * idf(counted[term], total) for term in terms]
    rare = _rare(terms, counted)
    wanted, left_out = terms[:rare], terms[rare:]
    rows = min(sum(counted[term] for term in left_out), total)
    # As many of the newest as should have enough rows with one of the words.
    newest = total * ENOUGH_CANDIDATES // rows if rows > ENOUGH_CANDIDATES else None
    return Words(
        bool(ground.lexemes),
        ground.condition,
        terms,
        weights,
        " | ".join(map(_quoted, wanted)),
        _pairs(left_out, counted, total),
        " | ".join(map(_quoted, left_out)),
        newest,
        newest is not None and newest * ROW_COST < rows,
        unknown,
    )


def _rare(terms: Sequence[str], counted: Mapping[str, int]) -> int:
    """How many of the terms, from the rarest on, few rows have."""
    rows = 0
    for number, term in enumerate(terms):
        rows += counted[term]
        if rows > ENOUGH_CANDIDATES:
            return number
    return len(terms)


def _pairs(common: Sequence[str], counted: Mapping[str, int], total: int) -> str:
    """The tsquery of rows with two of the common terms: these are few, and their scores stand above
    those with one."""
    pairs = sorted(
        (counted[one] * counted[other] // total, one, other)
        for one, other in combinations(common[:MOST_PAIRED], 2)
    )
    chosen, rows = [], 0
    for expected, one, other in pairs:
        rows += expected
        if rows > ENOUGH_CANDIDATES:
            break
        chosen.append(f"{_quoted(one)} & {_quoted(other)}")
    return " | ".join(chosen)


def _quoted(term: str) -> str:
    """A term as a tsquery."""
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"


def idf(frequency: int, total: int) -> float:
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))


def find(words: Words, corpus: Corpus, narrowed: Filter, *, most: int) -> dict[str, float]:
    """passage, as text -> BM25 of the `most` best. Index passage_words."""
    if not words.terms:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT passage::text, score FROM search_words(%s::text[], %s::float8[], %s, %s, %s, "
            "%s, %s, %s, %s, %s, %s::jsonb, %s, %s)",
            asked_of(words, corpus, narrowed, most=most),
        )
        return dict(cursor.fetchall())


def asked_of(words: Words, corpus: Corpus, narrowed: Filter, *, most: int) -> list[Any]:
    """The arguments that search_words and search_rows begin with."""
    return [
        words.terms,
        words.weights,
        max(corpus.average_length, 1.0),
        words.wanted,
        words.pairs,
        words.more,
        words.newest,
        words.row_by_row,
        corpus.is_main,
        words.condition,
        narrowed.as_json(),
        ENOUGH_CANDIDATES,
        most,
    ]
