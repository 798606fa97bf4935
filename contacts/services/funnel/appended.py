"""Append-only rows, which are their own history: through the same checks, without a Revision."""

import contextlib
from collections.abc import Sequence

from config.lib.actor import Actor
from config.lib.db.bulk import insert_rows, pipelined
from config.lib.signals import changed, needs_answers
from config.lib.writing import admit
from contacts.services import tombstones
from contacts.services.funnel.checks import check
from contacts.services.funnel.values import R


def append(
    rows: Sequence[R], *, actor: Actor, checked: bool = False, prefixes: Sequence[str] = ()
) -> None:
    """Insert append-only rows of one model and announce them. They are their own history.

    `prefixes`, one for each row, go before the names of fields in an Invalid: `events[3].`.
    """
    if not checked:
        for index, row in enumerate(rows):
            check(row, prefix=prefixes[index] if prefixes else "")
    if rows:
        admit(len(rows))
        if actor.channel == "import":
            # Others append what is said now, and nothing of it has a name by which it was erased.
            tombstones.guard(rows, actor=actor)
        with contextlib.nullcontext() if needs_answers(type(rows[0])) else pipelined():
            insert_rows(rows)
            changed(rows, actor)


def append_once(row: R, *, actor: Actor) -> bool:
    """Insert an append-only row unless a unique key of it is taken; whether it went in.

    Of two writers at once the second waits for the first, and then finds the key taken.
    """
    check(row)
    admit()
    type(row).objects.bulk_create([row], ignore_conflicts=True)
    if not type(row).objects.filter(pk=row.pk).exists():
        return False
    changed([row], actor)
    return True
