"""The leg that finds by words: BM25 over the text index.

Okapi BM25 with k1 = 1.2, b = 0.75 (Robertson and Zaragoza, The Probabilistic Relevance
Framework, 2009) and idf = ln(1 + (N - n + 0.5) / (n + 0.5)), all figures of the workspace. The
look-ups run in SECURITY DEFINER functions, see migration 0003.
"""

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from config.lib.scope import current_workspace_id
from memory.search.corpus import Corpus, frequencies
from memory.search.filters import Filter
from memory.search.parse import Parsed
from memory.search.words import lexical_text

K1 = 1.2
# A pasted trace has hundreds of words; the longest are the rarest and tell the most.
MOST_TERMS = 32
# Rows that are scored: those with the rarest of the query's words, until there are this many.
ENOUGH_CANDIDATES = 3000
# No query looks at more rows, however common its words.
MOST_SCANNED = 20_000


@dataclass(frozen=True, slots=True)
class Words:
    """A query as the text index has it.

    `terms` are its lexemes that occur, rarest first, with their weights; those before
    `first_terms` choose the candidates. `searchable` says whether it had any lexeme at all, and
    `condition` is the tsquery of its phrases and exclusions.
    """

    searchable: bool
    condition: str
    terms: list[str]
    weights: list[float]
    first_terms: int
    # What words that occur nowhere would weigh, together.
    unknown: float = 0.0

    @property
    def ideal(self) -> float:
        """What a passage could have at most that had all the query's words, of endless length."""
        return sum(self.weights) + self.unknown

    @property
    def quoted(self) -> list[str]:
        """The terms as tsqueries of one word each."""
        return ["'" + term.replace("\\", "\\\\").replace("'", "''") + "'" for term in self.terms]

    def coverage(self, held: Sequence[int]) -> float:
        """How much of the query's weight the terms of these numbers (from 1) have."""
        had = sum(self.weights[number - 1] for number in held)
        return had / self.ideal if self.ideal else 0.0


def analyse(parsed: Parsed, corpus: Corpus) -> Words:
    """Two statements: the lexemes by PostgreSQL's own configuration, and their frequencies."""
    terms, condition = _lexemes(parsed)
    searchable = bool(terms)
    # The word that marks the workspace in every passage is nobody's to search for.
    terms = [term for term in terms if term != f"w{current_workspace_id().hex}"]
    counted = frequencies(terms, corpus)
    total = max([corpus.passages, *counted.values()])
    unknown = sum(not counted.get(term) for term in terms) * (K1 + 1) * idf(0, total)
    terms = sorted((term for term in terms if counted.get(term)), key=lambda t: (counted[t], t))
    first = rows = 0
    for term in terms:
        rows += counted[term]
        if first and rows > ENOUGH_CANDIDATES:
            break
        first += 1
    weights = [(K1 + 1) * idf(counted[term], total) for term in terms]
    return Words(searchable, condition, terms, weights, first, unknown)


def idf(frequency: int, total: int) -> float:
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))


def find(
    words: Words, corpus: Corpus, narrowed: Filter, *, others: Sequence[uuid.UUID], most: int
) -> tuple[dict[uuid.UUID, float], dict[uuid.UUID, float]]:
    """(passage -> BM25 of the `most` best, the same of those of `others` that have a word).

    `others` are passages that meaning found; they have passed the filter already.
    """
    if not words.terms:
        return {}, {}
    scores = _look_up(
        words,
        corpus,
        condition=words.condition,
        filters=narrowed.as_json(),
        others=others,
        scanned=MOST_SCANNED,
        most=most,
    )
    best = sorted(scores.items(), key=lambda row: row[1], reverse=True)
    return dict(best[:most]), dict(best[most:])


def score(words: Words, corpus: Corpus, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, float]:
    """passage -> BM25 of those of `ids` that have one of the words. No others are looked for."""
    if not words.terms or not ids:
        return {}
    return _look_up(words, corpus, condition="", filters="{}", others=ids, scanned=0, most=0)


def _look_up(
    words: Words,
    corpus: Corpus,
    *,
    condition: str,
    filters: str,
    others: Sequence[uuid.UUID],
    scanned: int,
    most: int,
) -> dict[uuid.UUID, float]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT passage, score FROM search_words(%s::text[], %s::float8[], %s, %s, %s, "
            "%s::jsonb, %s::uuid[], %s, %s)",
            [
                words.terms,
                words.weights,
                words.first_terms,
                condition,
                max(corpus.average_length, 1.0),
                filters,
                list(others),
                scanned,
                most,
            ],
        )
        # One of `others` may be among the best as well, and then comes twice.
        return {passage: score for passage, score in cursor.fetchall() if score > 0}


def _lexemes(parsed: Parsed) -> tuple[list[str], str]:
    """(lexemes, longest first; the condition of phrases and exclusions as a tsquery's text)."""
    asked = [*(("", p) for p in parsed.phrases), *(("!!", e) for e in parsed.excluded)]
    condition = " && ".join(f"({sign} phraseto_tsquery('english', %s))" for sign, _ in asked)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ARRAY(SELECT lexeme FROM unnest(to_tsvector('english', %s)) "  # noqa: S608
            "ORDER BY length(lexeme) DESC, lexeme LIMIT %s), "
            f"({condition or 'NULL::tsquery'})::text",
            [lexical_text(parsed.text), MOST_TERMS, *(text for _, text in asked)],
        )
        terms, text = cursor.fetchone()
    return list(terms), text or ""
