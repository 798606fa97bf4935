"""The undoing of what was taken back: by the unit's own Revisions, the last one first, so that what
a row needs is there before it. What was changed meanwhile stays as it is.
"""

from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any

from django.db.models import Q

from config.lib.actor import Actor
from contacts.models import Revision
from contacts.services import undo
from contacts.services.restoring import relink, restore_many
from memory.models import Unlearning
from memory.models.unlearning import UnlearningKind
from memory.unlearning.links import LINK
from memory.unlearning.report import Report, named
from memory.unlearning.taking import reason_of, revert, set_back
from memory.unlearning.written import BATCH, Written, of_units


def revisions_of(unit: Unlearning) -> Any:
    """What it wrote, but for its own row."""
    rows = Revision.objects.filter(request_id=str(unit.pk), id__gt=unit.pk)
    return rows.exclude(object_id=unit.pk)


def bring_back(unit: Unlearning, actor: Actor, report: Report) -> None:
    """In the caller's transaction."""
    reason = reason_of(unit)
    rows = revisions_of(unit)
    whole = unit.kind == UnlearningKind.IMPORT
    written = Written(unit)
    # Imports that were taken back and brought back in turn are nobody.
    alike = Unlearning.objects.filter(kind=unit.kind) if whole else [unit]
    written.own = Q(request_id__in=of_units([one.target_id for one in alike]))
    for some in _alike(rows.exclude(action="unlink").order_by("-id")):
        if undo.is_deletion(some[0]) and (whole or some[0].model != LINK):
            _restore(some, actor, report, reason)
        elif whole:
            set_back(some, written, actor, report, reason)
        else:
            revert(some, actor, report, reason, own=True)
    # Only now is all there that they point at.
    lost = rows.filter(action="unlink").order_by("id").iterator(chunk_size=BATCH)
    while some := list(islice(lost, BATCH)):
        relink(some, actor=actor, reason=reason)
    written.close()


def _alike(rows: Any) -> Iterator[list[Revision]]:
    """Those that follow each other and are of one model and kind, some at a time."""
    found = rows.iterator(chunk_size=BATCH)
    for _, alike in groupby(found, lambda one: (one.model, undo.is_deletion(one))):
        while some := list(islice(alike, BATCH)):
            yield some


def _restore(revisions: list[Revision], actor: Actor, report: Report, reason: str) -> None:
    label = revisions[0].model
    known = [one for one in revisions if one.erased_at is None]
    why = {one.object_id: "what it was has been erased" for one in revisions if one not in known}
    if known:
        why |= restore_many(known, actor=actor, reason=reason)
    for row_id, text in why.items():
        report.keep(label, row_id, text)
    report.reverted[named(label)] += len(revisions) - len(why)
