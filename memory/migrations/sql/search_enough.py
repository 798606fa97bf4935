"""SQL of migration 0029: a hybrid search that has enough rows with its rarer words, or with two of
the others, looks for no more with a common one. Frozen with it; a change is a new one.

Enough are as many as are ranked (`_rows`); until now it went on for as many as are scored
(`_most`, twice as many). At 100,000 passages one query in ten did, for 15 ms, to find what stands
below all that is ranked.
"""

from memory.migrations.sql.search_plans import _SIZED_TYPES, SIZES, _inner, _sized
from memory.migrations.sql.search_rows import _drop

_FROM, _TO = "more AS MATERIALIZED (", "named AS MATERIALIZED ("


def _enough(create: str) -> str:
    start, end = create.index(_FROM), create.index(_TO)
    common = create[start:end]
    if common.count(" < _most") != 3:
        raise RuntimeError("the scans for common words are not where they were")
    return create[:start] + common.replace(" < _most", " < _rows") + create[end:]


# (forwards, backwards), to be undone in reverse order.
STATEMENTS = [
    statement
    for size in SIZES
    for signature in [f"search_rows_{size}({_SIZED_TYPES})"]
    for statement in [
        (_drop(signature), [sql for sql, _ in _inner(_sized(size), signature)]),
        *_inner(_enough(_sized(size)), signature),
    ]
]
