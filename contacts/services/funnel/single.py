"""One row found, made, changed or removed."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.models import VersionedRow
from config.lib.errors import Conflict, NotFound, Stale
from config.lib.signals import changed, deleting
from config.lib.writing import admit
from contacts.services import tombstones
from contacts.services.funnel.changes import assign
from contacts.services.funnel.checks import check
from contacts.services.funnel.revisions import record, record_unlinked
from contacts.services.funnel.values import Part, R, V, last, name_of, snapshot


def get_row(model: type[R], row_id: uuid.UUID, *, lock: bool = False, what: str = "") -> R:
    """The row of this workspace, locked for the rest of the transaction if asked. Or NotFound."""
    rows = model.objects.select_for_update(no_key=True) if lock else model.objects
    try:
        return rows.get(pk=row_id)
    except model.DoesNotExist:
        raise NotFound(what or str(model._meta.verbose_name), row_id) from None


def once(find: Callable[[], R | None], make: Callable[[], R]) -> tuple[R, bool]:
    """The row that `find` gives, or the one that `make` does; (row, whether it is new).

    Of two that make the same row at once, the second finds the first one's: a unique key stops
    it, in a savepoint of its own.
    """
    found = find()
    if found is not None:
        return found, False
    try:
        with transaction.atomic():
            return make(), True
    except (IntegrityError, Conflict):
        found = find()
        if found is None:
            raise
        return found, False


def create(
    row: R,
    *,
    actor: Actor,
    action: str = "create",
    reason: str = "",
    parts: Sequence[Part] = (),
) -> R:
    """Insert a new row and record it. Raises Invalid naming the fields, Conflict on a duplicate
    and for what was erased."""
    check(row)
    admit()
    tombstones.guard([row], actor=actor, parts={row.pk: [part.after for part in parts]})
    row.save(force_insert=True)
    after = snapshot(row)
    for part in parts:
        part.write()
        if part.after:
            after[part.name] = part.after
    record(row, action, actor=actor, before={}, after=after, reason=reason)
    changed([row], actor)
    return row


def update(
    row: V,
    changes: Mapping[str, Any],
    *,
    actor: Actor,
    expected_version: int | None = None,
    action: str = "update",
    reason: str = "",
    parts: Sequence[Part] = (),
    note: Mapping[str, Any] | None = None,
) -> V:
    """Write `changes` and `parts` over a row, if nobody did so since it was read.

    `expected_version` is the caller's If-Match; without it the row's own version stands, so that
    two writers never both win. Returns the row at its new version; unchanged when nothing differs.
    The Revision keeps `note` beside what the row is now.
    """
    if expected_version is not None and expected_version != row.version:
        raise Stale(name_of(row), expected=expected_version, actual=row.version)
    differing = assign(row, changes, tombstones.striker(actor))
    parts = [part for part in parts if part.before != part.after]
    if not differing.attnames and not parts:
        return row
    admit()
    tombstones.guard_changes([(row, differing.now, [part.after for part in parts])])
    version, row.updated_at = row.version, clock.now()
    written = (
        type(row)
        .objects.filter(pk=row.pk, version=version)
        .update(
            **{name: getattr(row, name) for name in differing.attnames},
            version=version + 1,
            updated_at=row.updated_at,
        )
    )
    if written != 1:
        raise Conflict(
            f"This {name_of(row)} was changed while you were changing it; read it again.",
            code="concurrent_change",
        )
    row.version = version + 1
    for part in parts:
        part.write()
    record(
        row,
        action,
        actor=actor,
        before={**differing.was, **{part.name: part.before for part in parts}},
        after={**differing.now, **{part.name: part.after for part in parts}, **(note or {})},
        reason=reason,
    )
    changed([row], actor)
    return row


def delete(
    row: VersionedRow,
    *,
    actor: Actor,
    expected_version: int | None = None,
    reason: str = "",
    note: Mapping[str, Any] | None = None,
) -> None:
    """Remove a row and what cascades from it; the Revision keeps the row, and `note` beside it."""
    if expected_version is not None and expected_version != row.version:
        raise Stale(name_of(row), expected=expected_version, actual=row.version)
    before = last(row) | dict(note or {})
    deleting([row], actor)
    record(row, "delete", actor=actor, before=before, after={}, reason=reason)
    record_unlinked([row], actor=actor)
    row.delete()
