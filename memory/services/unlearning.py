"""Taking back what a session, a worker, a key or a run wrote, and what follows from it: one unit,
looked at first, done in one transaction, and undone as a whole.

Also the undoing of an import's taking back, which is begun elsewhere (memory/importers/undo.py).
What is taken back how: memory/unlearning/.
"""

import uuid
from contextlib import closing
from dataclasses import replace
from datetime import datetime

from django.db import transaction

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from contacts.services import funnel
from memory.models import ImportRun, Unlearning
from memory.models.imports import ImportState
from memory.models.unlearning import UnlearningKind, UnlearningState
from memory.unlearning.bringing import bring_back, revisions_of
from memory.unlearning.report import Report
from memory.unlearning.taking import Taking
from memory.unlearning.written import find_written

# What a request has time for; the shell has more.
MOST_ROWS = 1000


def propose_unlearning(
    *,
    actor: Actor,
    kind: UnlearningKind,
    target_id: uuid.UUID,
    since: datetime | None = None,
    reason: str = "",
    most: int | None = MOST_ROWS,
) -> Unlearning:
    """Look at what taking it back would do; nothing is done. In a scope. Conflict `too_much` above
    `most` rows; NotFound; Invalid for what has a door of its own."""
    if kind == UnlearningKind.IMPORT:
        said = "an import is taken back whole on its page, or by `manage.py import --undo`"
        raise Invalid({"kind": said})
    unit = Unlearning(
        kind=kind, target_id=target_id, since=since, reason=reason, actor_label=actor.label
    )
    funnel.create(unit, actor=actor, action="propose", reason=reason)
    with transaction.atomic():
        unit.preview = _take_back(unit, actor, most).as_dict()
        transaction.set_rollback(True)
    funnel.touch(unit, preview=unit.preview)
    return unit


def run_unlearning(
    *,
    actor: Actor,
    unlearning_id: uuid.UUID,
    expected_version: int | None = None,
    most: int | None = MOST_ROWS,
) -> Unlearning:
    """Take it back, in the caller's transaction. Conflict `wrong_state`, `too_much`."""
    unit = _unit(unlearning_id, UnlearningState.PROPOSED)
    report = _take_back(unit, actor, most)
    return end_unlearning(unit, actor, report, expected_version=expected_version)


def end_unlearning(
    unit: Unlearning, actor: Actor, report: Report, *, expected_version: int | None = None
) -> Unlearning:
    """It was taken back."""
    funnel.touch(unit, report=report.as_dict())
    changes = {"state": UnlearningState.DONE, "done_at": clock.now(), "actor_label": actor.label}
    return funnel.update(
        unit, changes, actor=actor, action="run", expected_version=expected_version
    )


def undo_unlearning(
    *,
    actor: Actor,
    unlearning_id: uuid.UUID,
    expected_version: int | None = None,
    most: int | None = MOST_ROWS,
) -> Unlearning:
    """Bring back all that it took, but for what was changed since, which is listed. Conflict
    `wrong_state`; `too_much` where an import had brought more than `most` rows."""
    unit = _unit(unlearning_id, UnlearningState.DONE)
    whole = unit.kind == UnlearningKind.IMPORT
    if whole and most is not None and (rows := revisions_of(unit).count()) > most:
        raise Conflict(
            f"It took {rows:,} rows and changes back; at most {most:,} are brought back by a "
            "request. Use `manage.py unlearn --undo`.",
            code="too_much",
        )
    report = Report()
    mine = replace(actor, request_id=f"undo-{unit.pk}")
    # What follows from an import's rows came with them, or was derived since: none of it is new.
    bring_back(unit, replace(mine, channel="import") if whole else mine, report)
    if whole:
        _is_there_again(unit)
    funnel.touch(unit, undone=report.as_dict())
    changes = {"state": UnlearningState.UNDONE, "undone_at": clock.now()}
    return funnel.update(
        unit, changes, actor=actor, action="undo", expected_version=expected_version
    )


def _is_there_again(unit: Unlearning) -> None:
    """The import, unless more of it was taken back by another unit."""
    others = Unlearning.objects.filter(
        kind=UnlearningKind.IMPORT, target_id=unit.target_id, state=UnlearningState.DONE
    )
    if others.exclude(pk=unit.pk).exists():
        return
    run = funnel.get_row(ImportRun, unit.target_id, lock=True)
    state = ImportState.FAILED if run.error else ImportState.INTERRUPTED
    state = ImportState.DONE if run.checked else state
    funnel.touch(run, state=state, undone={}, undone_at=None)


def _unit(unlearning_id: uuid.UUID, state: UnlearningState) -> Unlearning:
    unit = funnel.get_row(Unlearning, unlearning_id, lock=True)
    if unit.state != state:
        raise Conflict(f"This is {UnlearningState(unit.state).label.lower()}.", code="wrong_state")
    return unit


def _take_back(unit: Unlearning, actor: Actor, most: int | None) -> Report:
    report = Report()
    with closing(find_written(unit)) as written:
        if most is not None and (rows := written.rows()) > most:
            raise Conflict(
                f"It wrote {rows:,} rows and changes; at most {most:,} are taken back by a "
                "request. Use `manage.py unlearn`.",
                code="too_much",
            )
        Taking(written, replace(actor, request_id=str(unit.pk)), report).go()
    return report
