"""The rows that hybrid search ranks, with all that ranking asks of them.

One statement finds the passages with the query's words, joins those that meaning found, takes the
most promising rows of both, reads what stands around them in their threads, and adds the messages
beside the best of them: an answer may have no word of its question (search_rows, migrations 0013
and 0031). Not for scoring (ranking.py).
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from config.lib.db.prepared import prepared_cursor
from memory.search.corpus import Corpus
from memory.search.dense import place_of
from memory.search.filters import Filter
from memory.search.lexical import Words, asked_of
from memory.search.ranking import FIGURES, Row, Rows

# Rows whose surroundings are looked at, unless more are to be given. With 100 LoCoMo is answered
# .004 better, for a fifth more of a search's time: common words are looked for more often.
LEAST_ROWS = 60
# Of these the messages beside them become candidates themselves. With 30 LoCoMo and BEAM are
# answered alike (.0013 worse, .0006 better), and there are a third more rows to rank.
MOST_SPREAD = 15
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
    near: Iterable[str] | int,
    *,
    meaning: Meaning,
    words: Words,
    figures: Corpus,
    narrowed: Filter,
    most: int,
    wanted: int,
) -> Rows:
    """Rows of the `most` best passages by words and of the passages `near` by meaning.

    At least `wanted` of them, where there are so many. `near` may be how many rows the index of
    vectors is to keep in view: then the `most` nearest are looked for there first, and where it has
    fewer, no rows are returned. Indexes passage_words, passage_vectors, memory_passage_pkey,
    passage_thread and passage_of_*_unique.
    """
    place = place_of(meaning.space_id)
    # Two thousand numbers.
    with prepared_cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT passage::text, source::text, passage_text, "  # noqa: S608
            f"{', '.join(FIGURES)} "
            "FROM search_rows(%s::text[], %s::float8[], %s::float8, %s, %s, %s, %s::int, %s, %s, "
            "%s, %s::jsonb, %s::int, %s::int, %s::uuid[], %s::int, %s::int, %s::int, %s, %s, %s, "
            "%s::int, %s::int, %s::int, %s::float8)",
            [
                *asked_of(words, figures, narrowed, most=most),
                None if isinstance(near, int) else "{" + ",".join(near) + "}",
                near if isinstance(near, int) else None,
                place.slot,
                place.dimensions,
                meaning.space_id,
                meaning.vector,
                None if meaning.keywords in ("", meaning.vector) else meaning.keywords,
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
