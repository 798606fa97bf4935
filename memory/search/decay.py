"""How strong a memory is by its use, its affect and its age: a weight in ranking, where asked for.

strength = (.3 min(1, log10(n + 1)) + .3 |valence| + .2 2^(-age / 30 days)) / .8, from 0 to 1, of n
reads. These are the weights of the experience store that memories are moved in from (its
memory_decay_metrics), without its share of entropy, which nothing here measures. Age counts from
when it was recorded.

Nothing is deleted by it, and nothing hidden: `decay` (0 to 1, of the request) moves a memory's sum
in ranking.py by at most REACH either way, so that the odds that it answers change by e at most.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection

from config.lib import clock
from config.lib.scope import current_workspace_id

REACH = 1.0
HALF_LIFE = timedelta(days=30)
_USE, _AFFECT, _AGE = 0.3, 0.3, 0.2


def strength(reads: int, valence: float, age: timedelta) -> float:
    """0 to 1."""
    use = min(1.0, math.log10(max(0, reads) + 1))
    fresh = 0.5 ** (max(age, timedelta()) / HALF_LIFE)
    weighed = _USE * use + _AFFECT * min(1.0, abs(valence)) + _AGE * fresh
    return weighed / (_USE + _AFFECT + _AGE)


def moves(passages: Sequence[str], decay: float, now: datetime | None = None) -> list[float]:
    """What is added to the sum of each row, by its passage; 0 for what is no memory. A statement
    where `decay` is not 0. Index memory_passage_pkey."""
    if not decay or not passages:
        return [0.0] * len(passages)
    now = now or clock.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id::text, m.access_count, "
            "CASE WHEN jsonb_typeof(m.affect -> 'valence') = 'number' "
            "THEN (m.affect ->> 'valence')::float8 ELSE 0 END, m.recorded_at "
            "FROM memory_passage p JOIN memory_memory m "
            "ON m.workspace_id = p.workspace_id AND m.id = p.of_memory_id "
            "WHERE p.workspace_id = %s AND p.id = ANY(%s::uuid[])",
            [current_workspace_id(), "{" + ",".join(passages) + "}"],
        )
        found = {
            passage: strength(reads, valence, now - recorded)
            for passage, reads, valence, recorded in cursor.fetchall()
        }
    return [
        decay * REACH * (2 * found[passage] - 1) if passage in found else 0.0
        for passage in passages
    ]
