"""The job of a run of the Import page: the step that it was begun for, done to its end.

Of a process that was killed another one takes it over: a dry run from its start, an import where it
was (run.py). Not for who may ask for what (asked.py).
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Q

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import DomainError, Invalid, NoRoom
from config.lib.room import require_room
from config.lib.scope import workspace_scope
from contacts.models import Membership
from contacts.models.workspace import Role
from contacts.services import funnel
from memory.importers import unpack, uploads
from memory.importers.asked import LOST, check_address, folder_of
from memory.importers.problems import SourceError
from memory.importers.pulse import Pulse
from memory.importers.registry import SOURCES
from memory.importers.report import ImportReport
from memory.importers.run import KEPT_PROBLEMS, Stopped, run_import
from memory.importers.source import Options
from memory.importers.undo import UndoReport, undo_import
from memory.importers.values import parse_time
from memory.models import ImportRun
from memory.models.imports import ACTIVE, ImportState

log = structlog.get_logger()

GROWING = (ImportState.UNPACKING, ImportState.TRYING, ImportState.RUNNING)
WAITS = "Waits for room on the disk of the database"


def work(workspace_id: uuid.UUID, run_id: uuid.UUID, told_to_stop: Callable[[], bool]) -> None:
    """Do what the run was begun for. Outside any scope; of two at once the second does nothing."""
    run = _claim(workspace_id, run_id)
    if run is None:
        return
    worker = _Worker(workspace_id, run, told_to_stop)
    with Pulse(workspace_id, run_id, run.job) as worker.pulse:
        try:
            if run.state in GROWING:
                require_room()
            worker.go()
        except _Paused:
            # The server stops: whoever comes next goes on, and need not wait for our silence.
            worker.leave(job="", beat_at=clock.now() - LOST)
        except NoRoom:
            # Nor now: the sweep asks again every minute.
            worker.leave(job="", beat_at=clock.now() - LOST, progress=WAITS)
        except Stopped:
            log.info("import_stopped", run=str(run_id))
            if run.state == ImportState.UNPACKING:
                # What came out of an archive after it was stopped.
                uploads.remove(worker.folder)
        except (SourceError, DomainError) as error:
            worker.fail(getattr(error, "detail", None) or str(error))
        except Exception:
            log.exception("import_failed", run=str(run_id))
            worker.fail("An unexpected error; it is in the server's log.")


def _claim(workspace_id: uuid.UUID, run_id: uuid.UUID) -> ImportRun | None:
    job = uuid.uuid4().hex
    now = clock.now()
    with workspace_scope(workspace_id):
        free = ImportRun.objects.filter(Q(job="") | Q(beat_at__lt=now - LOST))
        mine = free.filter(pk=run_id, state__in=ACTIVE, by_page=True)
        if not mine.update(job=job, beat_at=now):
            return None
        run = ImportRun.objects.get(pk=run_id)
        found = Membership.objects.filter(user_id=int(run.actor_id), user__is_active=True).first()
        if found is None or not Role(found.role).includes(Role.OPERATOR):
            said = f"{run.actor_label} may not import into this workspace any more."
            _end(run, ImportState.FAILED, error=said)
            return None
    return run


def _end(run: ImportRun, state: ImportState, **telemetry: Any) -> None:
    """In a scope. Nobody's change: the Revision of whoever began it says what was to be."""
    funnel.touch(run, state=state, job="", progress="", ended_at=clock.now(), **telemetry)


class _Paused(Stopped):
    """The process is to end; the work goes on in another."""


class _Worker:
    pulse: Pulse

    def __init__(
        self, workspace_id: uuid.UUID, run: ImportRun, told_to_stop: Callable[[], bool]
    ) -> None:
        self.workspace_id = workspace_id
        self.run = run
        self.told_to_stop = told_to_stop
        self.folder = folder_of(run)

    def go(self) -> None:
        steps = {
            ImportState.UNPACKING: self._unpack,
            ImportState.TRYING: self._try,
            ImportState.RUNNING: self._import,
            ImportState.PREVIEWING: self._preview,
            ImportState.UNDOING: self._undo,
        }
        steps[ImportState(self.run.state)]()

    def leave(self, **telemetry: Any) -> None:
        with workspace_scope(self.workspace_id):
            funnel.touch(self.run, **telemetry)

    def end(self, state: ImportState, **telemetry: Any) -> None:
        """Unless somebody else has said meanwhile what it is."""
        with workspace_scope(self.workspace_id):
            run = ImportRun.objects.select_for_update(no_key=True).get(pk=self.run.pk)
            if run.job == self.run.job:
                _end(run, state, **telemetry)

    def fail(self, why: str) -> None:
        why = why.replace(f"{uploads.files_of(self.folder)}/", "")[:20_000]
        state = ImportState(self.run.state)
        ends = ImportState.FAILED
        told: dict[str, Any] = {}
        if state is ImportState.TRYING:
            # As far as it came, it was rolled back.
            ends, told = ImportState.PROPOSED, {"counts": {}, "redacted": 0}
        elif state is ImportState.PREVIEWING:
            ends = ImportState(self.run.preview["state"])
        elif state is ImportState.UNPACKING:
            uploads.remove(self.folder)
        self.end(ends, error=why, **told)

    def _proceed(self) -> None:
        if self.told_to_stop():
            raise _Paused
        self.pulse.check()

    # --- Each step ------------------------------------------------------------------------

    def _unpack(self) -> None:
        place = uploads.files_of(self.folder)
        packed = [one for one in sorted(place.iterdir()) if unpack.is_archive(one)]
        left = 0
        most = settings.IMPORT_BYTES * unpack.TIMES
        for path in packed:
            target = self.folder / f"unpacked-{path.name}"[:100]
            # Of one that was killed in it.
            uploads.remove(target)
            size, out = unpack.unpack(path, target, most, self._proceed)
            most, left = most - size, left + out
            path.unlink()
            target.rename(path)
        found = uploads.look(self.folder)
        note = f"{left:,} links or devices in it were left out." if left else ""
        self.end(
            ImportState.PROPOSED, found=found.found, source=found.source,
            options={"read": found.read}, error=note,
        )  # fmt: skip

    def _read(self, *, dry_run: bool) -> ImportReport:
        run = self.run
        address = uploads.read_address(self.folder)
        if address is not None:
            with _as_source_error():
                address = check_address(address, allowed=True)
        elif not uploads.is_there(self.folder):
            raise SourceError("the upload was deleted, which happens after a day; upload it again")
        else:
            with _as_source_error():
                address = str(uploads.chosen(self.folder, run.options.get("read", "")))
        if run.source not in SOURCES:
            raise SourceError(f"{run.source} is no importer of this version")

        def progress(report: ImportReport, line: str) -> None:
            noted: dict[str, Any] = {"progress": line[:200]}
            if dry_run:
                # Of an import they are written with each batch.
                noted |= {"counts": report.counts(), "redacted": report.redacted}
            self.pulse.note(**noted)
            self._proceed()

        since = run.options.get("since")
        return run_import(
            workspace_id=self.workspace_id,
            source=SOURCES[run.source],
            where=address,
            options=Options(agent=run.options.get("agent", "")),
            dry_run=dry_run,
            since=parse_time(since) if since else None,
            started_by=run.actor_label,
            progress=progress,
            continued=None if dry_run else run.pk,
        )

    def _try(self) -> None:
        report = self._read(dry_run=True)
        kept = report.as_dict() | {
            "counts": report.counts(),
            "problems": [one.as_dict() for one in report.problems.kept[:KEPT_PROBLEMS]],
        }
        del kept["tables"], kept["path"], kept["run_id"]
        self.end(ImportState.TRIED, tried=kept, counts={}, redacted=0)

    def _import(self) -> None:
        self._read(dry_run=False)
        # The run has written its own end.
        self.leave(job="", progress="")
        uploads.remove(self.folder)

    def _taking_back(self, *, preview: bool) -> UndoReport:
        run = self.run
        actor = Actor("user", run.actor_id, run.actor_label, "job", str(run.pk))

        def progress(report: UndoReport) -> None:
            rows = report.removed.total() + report.reverted.total()
            self.pulse.note(progress=f"{rows:,} rows, {report.staying.total():,} staying")
            self._proceed()

        return undo_import(
            workspace_id=self.workspace_id,
            run_id=run.pk,
            actor=actor,
            preview=preview,
            progress=progress,
        )

    def _preview(self) -> None:
        report = self._taking_back(preview=True)
        before = ImportState(self.run.preview["state"])
        with workspace_scope(self.workspace_id):
            run = funnel.get_row(ImportRun, self.run.pk, lock=True)
            ended = run.ended_at
            if run.job == self.run.job:
                _end(run, before, preview=report.told())
                funnel.touch(run, ended_at=ended)

    def _undo(self) -> None:
        self._taking_back(preview=False)
        self.leave(job="", progress="")
        uploads.remove(self.folder)


@contextlib.contextmanager
def _as_source_error() -> Iterator[None]:
    try:
        yield
    except Invalid as error:
        raise SourceError("; ".join(error.errors.values())) from None
