"""The rows that hybrid search ranks, with all that ranking asks of them.

One statement finds the passages with the query's words, joins those that meaning found, takes the
most promising rows of both, reads what stands around them in their threads, and adds the messages
beside the best of them: an answer may have no word of its question (search_rows, migrations 0013
and 0030). Not for scoring (ranking.py).
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from memory.search.corpus import Corpus
from memory.search.dense import place_of
from memory.search.filters import Filter
from memory.search.lexical import Words, asked_of
from memory.search.ranking import FIGURES, Row, Rows

# Rows whose surroundings are looked at, unless more are to be given. With 100 LoCoMo is answered
# .004 better, in 27 ms instead of 21 at 100,000 passages: common words are looked for more often.
LEAST_ROWS = 60
# Of these the messages beside them become candidates themselves.
MOST_SPREAD = 30
# A row of more words speaks for itself (ranking.HALF_WORDS).
MOST_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Meaning:
    """The query's vectors, of itself and of its keywords, in pgvector's text form, and the space
    they are compared in."""

    vector: str
    keywords: str
    space_id: uuid.UUID


def gather(
    near: Iterable[str],
    *,
    meaning: Meaning,
    words: Words,
    figures: Corpus,
    narrowed: Filter,
    most: int,
    wanted: int,
) -> Rows:
    """Rows of the `most` best passages by words and of the passages `near` by meaning.

    At least `wanted` of them, where there are so many. Indexes passage_words, memory_passage_pkey,
    passage_thread and passage_of_*_unique.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT passage::text, source::text, passage_text, "  # noqa: S608
            f"{', '.join(FIGURES)} "
            "FROM search_rows(%s::text[], %s::float8[], %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, "
            "%s, %s, %s::uuid[], %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                *asked_of(words, figures, narrowed, most=most),
                "{" + ",".join(near) + "}",
                place_of(meaning.space_id).slot,
                meaning.space_id,
                meaning.vector,
                meaning.keywords or meaning.vector,
                max(LEAST_ROWS, wanted),
                MOST_SPREAD,
                MOST_LENGTH,
                words.ideal,
            ],
        )
        found = cursor.fetchall()
    rows = [Row(*one[: -len(FIGURES)]) for one in found]
    numbers: Any = np.array([one[-len(FIGURES) :] for one in found], dtype=float)
    return Rows(rows, numbers.reshape(-1, len(FIGURES)))
