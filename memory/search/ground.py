"""What is known before a search begins, in one statement: the query's lexemes, what the workspace
holds, and which vectors the query's is compared with."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from config.lib.db.prepared import prepared_cursor
from config.lib.scope import current_workspace_id
from memory.search.corpus import (
    FIGURES,
    STANDING,
    STANDING_COLUMNS,
    Corpus,
    Standing,
    asked_standing,
    kept_corpus,
    note_corpus,
    read_standing,
)
from memory.search.parse import Parsed
from memory.search.vectors import NOT_ASKED, QueryVector
from memory.search.words import lexical_text

# A pasted trace has hundreds of words; the longest are the rarest and tell the most.
MOST_TERMS = 32


@dataclass(frozen=True, slots=True)
class Ground:
    """`lexemes` as the text index has them, longest first; `condition` is the tsquery of the
    query's phrases and exclusions, empty where it has none."""

    lexemes: Sequence[str]
    condition: str
    figures: Corpus
    standing: Standing


def look_around(parsed: Parsed, vector: QueryVector = NOT_ASKED) -> Ground:
    """The lexemes are those of PostgreSQL's own configuration. Indexes as corpus.py says."""
    asked = [*(("", p) for p in parsed.phrases), *(("!!", e) for e in parsed.excluded)]
    condition = " && ".join(f"({sign} phraseto_tsquery('english', %s))" for sign, _ in asked)
    parameters = [
        lexical_text(parsed.text),
        MOST_TERMS,
        *(text for _, text in asked),
        *asked_standing(vector.provider, vector.model, vector.dimensions),
    ]
    figures = kept_corpus()
    more, source = "", STANDING
    if figures is None:
        more, source = ", passages, average_length, everywhere", f"{STANDING}, {FIGURES}"
        parameters.append(current_workspace_id())
    began = time.monotonic()
    with prepared_cursor() as cursor:
        cursor.execute(
            "SELECT ARRAY(SELECT lexeme FROM unnest(to_tsvector('english', %s)) "  # noqa: S608
            "ORDER BY length(lexeme) DESC, lexeme LIMIT %s), "
            f"({condition or 'NULL::tsquery'})::text, {STANDING_COLUMNS}{more} FROM {source}",
            parameters,
        )
        lexemes, text, *rest = cursor.fetchone()
    stands = len(STANDING_COLUMNS.split(","))
    if figures is None:
        figures = note_corpus(*rest[stands:], spent=time.monotonic() - began)
    return Ground(lexemes, text or "", figures, read_standing(rest[:stands]))
