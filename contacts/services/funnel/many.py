"""Many rows of one model made, changed or removed in few statements, a Revision for each."""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.bulk import insert_rows, insert_values, pipelined, update_values
from config.lib.errors import Conflict
from config.lib.signals import changed, deleting, needs_answers
from config.lib.writing import admit
from contacts.models import Revision
from contacts.services import tombstones
from contacts.services.funnel.changes import assign
from contacts.services.funnel.revisions import record_gone, record_many, record_unlinked, told
from contacts.services.funnel.values import Part, R, V, last


def create_many(
    rows: Sequence[R],
    *,
    actor: Actor,
    action: str = "create",
    reason: str = "",
    parts: Mapping[uuid.UUID, Sequence[Part]] | None = None,
    write_parts: Callable[[], None] | None = None,
) -> None:
    """`create` for many new rows of one model, which `check` has passed; a statement for each
    thousand. `parts` are by their row's id; `write_parts` writes those of all rows at once."""
    if not rows:
        return
    admit(len(rows))
    of_row = parts or {}
    held = {pk: [part.after for part in those] for pk, those in of_row.items()}
    tombstones.guard(rows, actor=actor, parts=held)
    waits = bool(of_row) or needs_answers(type(rows[0]))
    with _told_parts(rows, of_row), contextlib.nullcontext() if waits else pipelined():
        insert_rows(rows)
        if write_parts is not None:
            write_parts()
        else:
            for row in rows:
                for part in of_row.get(row.pk, ()):
                    part.write()
        # What follows from the rows takes the server longest, the Revisions take Python longest:
        # these are made while it works on that.
        changed(rows, actor)
        record_many(rows, action, actor=actor, reason=reason, parts=of_row)


@contextlib.contextmanager
def _told_parts(rows: Sequence[R], parts: Mapping[uuid.UUID, Sequence[Part]]) -> Iterator[None]:
    for row in rows:
        row.parts_made = {part.name: part.after for part in parts.get(row.pk, ())}
    try:
        yield
    finally:
        # From here on they may be changed.
        for row in rows:
            del row.parts_made


def put_back(rows: Sequence[R], *, actor: Actor, recorded: bool) -> None:
    """Insert rows of one model as another database of ours had them, which `check` has passed.
    Conflict for what was erased.

    Nothing is announced: what followed from them there comes along. `recorded` leaves a Revision
    for each; without, they bring their history themselves.
    """
    admit(len(rows))
    tombstones.guard(rows, actor=actor)
    with pipelined():
        insert_rows(rows)
        if recorded:
            record_many(rows, "import", actor=actor)


def update_many(
    rows: Sequence[V],
    changes: Mapping[uuid.UUID, Mapping[str, Any]],
    *,
    actor: Actor,
    action: str = "update",
    reason: str = "",
) -> None:
    """`update` for many rows of one model, `changes` by the row's id: all or none, in the caller's
    savepoint. A statement for each set of fields that differ."""
    alike: dict[tuple[str, ...], list[V]] = {}
    revisions = []
    guarded: list[tuple[V, Mapping[str, Any], Sequence[Any]]] = []
    strike = tombstones.striker(actor)
    for row in rows:
        differing = assign(row, changes[row.pk], strike)
        if not differing.attnames:
            continue
        guarded.append((row, differing.now, ()))
        row.updated_at = clock.now()
        alike.setdefault(differing.attnames, []).append(row)
        revisions.append(told(row, action, actor=actor, before=differing.was, after=differing.now))
    tombstones.guard_changes(guarded)
    if revisions:
        admit(len(revisions))
    for attnames, group in alike.items():
        values = [row.__dict__ for row in group]
        model = type(group[0])
        if update_values(model, [*attnames, "updated_at"], values, versioned=True) != len(group):
            raise Conflict(
                f"One of these {model._meta.verbose_name_plural} was changed meanwhile.",
                code="concurrent_change",
            )
        for row in group:
            row.version += 1
    insert_values(Revision, revisions)
    changed([row for group in alike.values() for row in group], actor)


def delete_many(
    rows: Sequence[R],
    *,
    actor: Actor,
    reason: str = "",
    notes: Mapping[uuid.UUID, Mapping[str, Any]] | None = None,
) -> None:
    """Remove locked rows of one model, a Revision for each, with what `notes` says beside it, and
    for each row that loses its key to one of them. What cascades from them is not looked at:
    children of the same model go first, by a call of their own."""
    if not rows:
        return
    deleting(rows, actor)
    held = notes or {}
    record_gone([(row, last(row) | dict(held.get(row.pk, {}))) for row in rows], actor, reason)
    record_unlinked(rows, actor=actor)
    type(rows[0]).objects.filter(pk__in=[row.pk for row in rows]).delete()
