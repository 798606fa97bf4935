"""An import taken back: exactly what its run brought, where nobody changed it since.

What that takes is unlearning's (memory/unlearning/): this is its door for runs of any size, with a
preview of what would stay, step by step, gone on with where a process was killed. What was taken
back is one unit, which `manage.py unlearn --undo` and its page bring back.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, NotFound
from config.lib.scope import set_local
from contacts.services import funnel
from memory.importers.run import SILENT, Steps, one_line
from memory.importers.scratch import scratch_folder
from memory.models import ImportRun, Unlearning
from memory.models.imports import ImportState
from memory.models.unlearning import UnlearningKind, UnlearningState
from memory.services.unlearning import end_unlearning
from memory.unlearning.report import Report, named
from memory.unlearning.taking import Taking
from memory.unlearning.written import find_written

_NOT_BEGUN = (
    ImportState.RECEIVING,
    ImportState.UNPACKING,
    ImportState.PROPOSED,
    ImportState.TRYING,
    ImportState.TRIED,
)


@dataclass(slots=True)
class UndoReport(Report):
    """What a run's taking back did, or would do; `unit_id` is what it is brought back by."""

    run_id: str = ""
    unit_id: str = ""
    preview: bool = False

    def told(self) -> dict[str, Any]:
        """With the names of what stays, for the run and for whoever asked."""
        return {
            "run_id": self.run_id,
            "unlearning_id": self.unit_id,
            "preview": self.preview,
            "removed": dict(sorted(self.removed.items())),
            "reverted": dict(sorted(self.reverted.items())),
            "staying": dict(sorted(self.staying.items())),
            "kept": [
                {
                    "model": named(one.model),
                    "id": str(one.row_id),
                    "name": one.name,
                    "why": one.why,
                }
                for one in self.kept
            ],
        }


# Called after each step; what it raises stops the rest, which can be done later.
Progress = Callable[[UndoReport], None]


def find_run(text: str) -> ImportRun:
    """A run by its id or the beginning or end of it; in a scope. NotFound, Conflict."""
    wanted = text.replace("-", "").lower()
    found = [
        run
        for run in ImportRun.objects.only("id").order_by("-id")
        if run.id.hex.startswith(wanted) or run.id.hex.endswith(wanted)
    ]
    if not wanted or not found:
        raise NotFound("import run", text)
    if len(found) > 1:
        raise Conflict(f"{len(found)} import runs have the id {text}; give more of it.")
    return ImportRun.objects.get(pk=found[0].pk)


def undo_import(
    *,
    workspace_id: uuid.UUID,
    run_id: uuid.UUID,
    actor: Actor,
    preview: bool = False,
    progress: Progress = lambda report: None,
) -> UndoReport:
    """Take a run back, or say what that would do. Outside any scope; can run again. Raises
    SourceError where a disk is full."""
    steps = Steps(workspace_id, dry_run=preview)
    report = UndoReport(run_id=str(run_id), preview=preview)

    @contextlib.contextmanager
    def step() -> Iterator[None]:
        with steps.step():
            # What goes with five hundred sessions may be a million rows.
            set_local("statement_timeout", "0")
            yield

    with one_line(), scratch_folder() as folder, steps.all():
        with step():
            # A preview is one long transaction, in which nobody else should have to wait.
            run = funnel.get_row(ImportRun, run_id, lock=not preview)
            _check(run)
            unit = _begin(run, actor)
            if not preview:
                report.unit_id = str(unit.pk)
                funnel.touch(run, state=ImportState.UNDOING)
            written = find_written(unit, folder / "written.db")
        with contextlib.closing(written):
            Taking(
                written,
                replace(actor, request_id=str(unit.pk)),
                report,
                step,
                lambda: progress(report),
            ).go()
        if not preview:
            with step():
                end_unlearning(unit, actor, report)
                funnel.touch(
                    run, state=ImportState.UNDONE, undone=report.told(), undone_at=clock.now()
                )
    return report


def _check(run: ImportRun) -> None:
    heard = (clock.now() - run.beat_at).total_seconds()
    if run.state == ImportState.RUNNING and heard < SILENT:
        raise Conflict("This import is still running; stop it first.", code="running")
    if run.state in _NOT_BEGUN:
        raise Conflict("This import has brought nothing yet.", code="wrong_state")


def _begin(run: ImportRun, actor: Actor) -> Unlearning:
    """The unit, or the one that a killed process had begun: what that took back is of it."""
    begun = Unlearning.objects.filter(
        kind=UnlearningKind.IMPORT, target_id=run.pk, state=UnlearningState.RUNNING
    )
    if (found := begun.first()) is not None:
        return found
    unit = Unlearning(
        kind=UnlearningKind.IMPORT,
        target_id=run.pk,
        state=UnlearningState.RUNNING,
        reason=f"the import of {run} was taken back"[:500],
        actor_label=actor.label,
    )
    return funnel.create(unit, actor=actor, action="begin", reason=unit.reason)
