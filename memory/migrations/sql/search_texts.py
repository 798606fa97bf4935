"""SQL of migration 0030: search_rows returns the text of each row's best passage too, which ranking
reads next: a statement of its own for it was a way to the server and back, and found each row once
more. Frozen with it; a change is a new one.
"""

from memory.migrations.sql.search_enough import _enough
from memory.migrations.sql.search_functions import _function
from memory.migrations.sql.search_plans import (
    _EACH_TIME,
    _NEW_ROWS,
    _SIZED_TYPES,
    CHOOSING,
    ROWS,
    SIZES,
    _inner,
    _renewed,
    _sized,
)
from memory.migrations.sql.search_rows import _drop

_RETURNED = "after_words double precision, after_keywords double precision"
# What is written instead, and how often it stands there.
_READ = (
    ("p.occurred_at,\n               coalesce(", "p.occurred_at, p.text,\n               coalesce(", 2),
    ("s.occurred_at, s.source,", "s.occurred_at, s.text, s.source,", 1),
    ("p.occurred_at,\n               p.of_message_id", "p.occurred_at, p.text, p.of_message_id", 1),
    ("most_keyword_meaning FROM best\n", "most_keyword_meaning, text FROM best\n", 1),
    ("most_keyword_meaning FROM (\n", "most_keyword_meaning, text FROM (\n", 1),
    ("a.keywords\n  FROM rows r", "a.keywords, r.text\n  FROM rows r", 1),
)


def _returning(create: str) -> str:
    return _replaced(create, _RETURNED, f"{_RETURNED}, passage_text text", 1)


def _with_texts(create: str) -> str:
    for before, after, times in _READ:
        create = _replaced(create, before, after, times)
    return _returning(create)


def _replaced(create: str, before: str, after: str, times: int) -> str:
    if create.count(before) != times:
        raise RuntimeError(f"{before!r} is not where it was")
    return create.replace(before, after)


_OWN = _renewed(ROWS).replace("CREATE FUNCTION search_rows(", f"CREATE FUNCTION {_EACH_TIME}(")
_OWN_SIGNATURE = _NEW_ROWS.replace("search_rows(", f"{_EACH_TIME}(")

# (forwards, backwards), to be undone in reverse order.
STATEMENTS = [
    *(
        statement
        for size in SIZES
        for signature in [f"search_rows_{size}({_SIZED_TYPES})"]
        for statement in [
            (_drop(signature), [sql for sql, _ in _inner(_enough(_sized(size)), signature)]),
            *_inner(_with_texts(_enough(_sized(size))), signature),
        ]
    ),
    (_drop(_OWN_SIGNATURE), [sql for sql, _ in _inner(_OWN, _OWN_SIGNATURE)]),
    *_inner(_with_texts(_OWN), _OWN_SIGNATURE),
    (_drop(_NEW_ROWS), [sql for sql, _ in _function(CHOOSING, _NEW_ROWS)]),
    *_function(_returning(CHOOSING), _NEW_ROWS),
]
