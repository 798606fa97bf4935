"""How strong a memory is by its use, its affect and its age: a weight in ranking, where asked for.

strength = (.3 min(1, log10(n + 1)) + .3 |valence| + .2 2^(-age / half-life)) / .8, from 0 to 1, of
n reads; the half-life is 30 days, or the workspace's own. These are the weights of the experience
store that memories are moved in from (its memory_decay_metrics), without its share of entropy,
which nothing here measures. Age counts from when it was recorded.

Nothing is deleted by it, and nothing hidden: `decay` (0 to 1, of the request, else the workspace's)
moves a memory's sum in ranking.py by at most REACH either way, so that the odds that it answers
change by e at most.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection

from config.lib import clock
from config.lib.scope import current_workspace_id
from contacts.preferences import Decay, preferences
from memory.search.corpus import Kept

REACH = 1.0
HALF_LIFE = timedelta(days=Decay().half_life_days)
# What a process may go on by after another one changed the setting, in seconds.
HELD_FOR = 5.0
_wanted: Kept[Decay] = Kept(1000)
_USE, _AFFECT, _AGE = 0.3, 0.3, 0.2


def strength(reads: int, valence: float, age: timedelta, half_life: timedelta = HALF_LIFE) -> float:
    """0 to 1."""
    use = min(1.0, math.log10(max(0, reads) + 1))
    fresh = 0.5 ** (max(age, timedelta()) / half_life)
    weighed = _USE * use + _AFFECT * min(1.0, abs(valence)) + _AGE * fresh
    return weighed / (_USE + _AFFECT + _AGE)


def wanted() -> Decay:
    """What the workspace says of it; a statement every HELD_FOR seconds."""
    key = current_workspace_id()
    found = _wanted.get(key)
    if found is None:
        found = preferences().decay
        _wanted.keep(key, found, HELD_FOR)
    return found


def forget_wanted() -> None:
    """It was changed: look again."""
    _wanted.clear()


def moves(passages: Sequence[str], asked: float | None, now: datetime | None = None) -> list[float]:
    """What is added to the sum of each row, by its passage; 0 for what is no memory. Where `asked`
    is None, as the workspace says. A statement where it is not 0. Index memory_passage_pkey."""
    if asked == 0 or not passages:
        return [0.0] * len(passages)
    held = wanted()
    decay = asked if asked is not None else held.weight * held.enabled
    if not decay:
        return [0.0] * len(passages)
    half_life = timedelta(days=held.half_life_days)
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
            passage: strength(reads, valence, now - recorded, half_life)
            for passage, reads, valence, recorded in cursor.fetchall()
        }
    return [
        decay * REACH * (2 * found[passage] - 1) if passage in found else 0.0
        for passage in passages
    ]
