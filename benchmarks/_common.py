"""The corpus's commonest words, as queries: how many rows have them, and how many are read."""

import random
from collections.abc import Sequence

from benchmarks._fill import Home
from benchmarks._server import Bench, superuser
from benchmarks._texts import COMMON

SAMPLED_ROWS = 5000
WORDS, QUERIES = 12, 40


def common_words(bench: Bench, home: Home) -> dict[str, int]:
    """word -> rows of the workspace that have it, the commonest first."""
    with superuser(bench) as connection:
        words: dict[str, str] = dict(
            connection.execute(
                "SELECT lexeme, min(word) FROM unnest(%s::text[]) AS w (word), "
                "unnest(to_tsvector('english', word)) AS t (lexeme, positions, weights) GROUP BY 1",
                [list(COMMON)],
            ).fetchall()
        )
        sampled: dict[str, int] = dict(
            connection.execute(
                "SELECT word, ndoc FROM ts_stat(format('SELECT tsv FROM memory_passage "
                "WHERE workspace_id = %%L LIMIT %%s', %s::uuid, %s::int))",
                [home.workspace_id, SAMPLED_ROWS],
            ).fetchall()
        )
        most = sorted(words, key=lambda lexeme: -sampled.get(lexeme, 0))[:WORDS]
        own = f"w{home.workspace_id.hex}"
        return {
            words[lexeme]: connection.execute(
                "SELECT count(*) FROM memory_passage WHERE tsv @@ %s::tsquery",
                [f"'{own}' & '{lexeme}'"],
            ).fetchone()[0]  # type: ignore[index]
            for lexeme in most
        }


def common_queries(words: Sequence[str]) -> list[str]:
    """One to four of the words each."""
    dice = random.Random(13)
    return [" ".join(dice.sample(list(words), dice.randint(1, 4))) for _ in range(QUERIES)]


def rows_read(home: Home, asked: Sequence[str]) -> dict[str, int]:
    """Passages that a search by words reads for such a query, by PostgreSQL's own counters: where
    the process keeps no figures of the corpus and of words yet, and where it does."""
    from django.db import connection

    from memory.search import corpus
    from memory.search.ask import ask
    from memory.search.schemas import SearchMode, SearchQuery

    def counter() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
            # Counters are written when a transaction ends, and read by the next statement.
            cursor.execute(
                "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) "
                "FROM pg_stat_user_tables WHERE relname = 'memory_passage'"
            )
            return int(cursor.fetchone()[0])

    told = {}
    for name in ("nothing_kept", "kept"):
        before = counter()
        for query in asked:
            if name == "nothing_kept":
                corpus.forget()
            wanted = SearchQuery.model_validate({"q": query, "mode": SearchMode.LEXICAL})
            ask(home.workspace_id, wanted)
        told[name] = round((counter() - before) / len(asked))
    return told
