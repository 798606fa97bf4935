"""Imports asked for on the Import page: received, tried, run, taken back; each step begun by a
person and done by a job.

A job that died is found by its silence and begun again: a dry run from its start, an import where
it was (run.py). Not for the files (uploads.py), and not for what an import does.
"""

import contextlib
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Q

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, DomainError, Invalid
from config.lib.jobs import Job
from config.lib.scope import current_workspace_id, workspace_scope
from contacts.models import Membership
from contacts.models.workspace import Role
from contacts.services import funnel
from memory.importers import unpack, uploads
from memory.importers.problems import SourceError
from memory.importers.pulse import Pulse
from memory.importers.registry import SOURCES
from memory.importers.report import ImportReport
from memory.importers.run import KEPT_PROBLEMS, SILENT, Stopped, run_import
from memory.importers.source import Options
from memory.importers.storable import shown
from memory.importers.undo import UndoReport, undo_import
from memory.importers.values import parse_time
from memory.models import ImportRun
from memory.models.imports import ACTIVE, ImportState

log = structlog.get_logger()

TASK, QUEUE = "memory.work_import", "upkeep"
# A run whose pulse was not felt for as long has lost its job.
LOST = timedelta(seconds=45)
URLS = ("postgres://", "postgresql://")
_ENDED = (ImportState.DONE, ImportState.FAILED, ImportState.INTERRUPTED)
# What each state may follow.
_FOLLOWS = {
    ImportState.UNPACKING: (ImportState.RECEIVING,),
    ImportState.TRYING: (ImportState.PROPOSED, ImportState.TRIED),
    ImportState.RUNNING: (ImportState.TRIED, ImportState.FAILED, ImportState.INTERRUPTED),
    ImportState.PREVIEWING: _ENDED,
    ImportState.UNDOING: _ENDED,
}
# Where each is left when somebody stops it.
_STOPPED = {
    ImportState.RECEIVING: ImportState.INTERRUPTED,
    ImportState.UNPACKING: ImportState.INTERRUPTED,
    ImportState.TRYING: ImportState.PROPOSED,
    ImportState.RUNNING: ImportState.INTERRUPTED,
}


def folder_of(run: ImportRun) -> Path:
    assert run.workspace_id is not None
    return uploads.folder_of(run.workspace_id, run.pk)


# --- Asking -----------------------------------------------------------------------------------


def receive(*, actor: Actor, names: Sequence[str], sizes: Sequence[int]) -> ImportRun:
    """A run whose files are to come, piece by piece. Invalid where they cannot be taken."""
    files = uploads.announce(names, sizes)
    listed = [{"name": one.name, "size": one.size} for one in files]
    label = shown(Path(files[0].name)) + (f" and {len(files) - 1} more" if files[1:] else "")
    run = _new(actor, state=ImportState.RECEIVING, files=listed, path=label[:2000])
    uploads.make(folder_of(run))
    return run


def propose_address(*, actor: Actor, address: str, allowed: bool) -> ImportRun:
    """A run of what lies on the server's disk or in a database. Invalid where the settings do not
    let it; `allowed` is whether the person may name one at all."""
    address = check_address(address, allowed=allowed)
    is_url = address.startswith(URLS)
    place = "a PostgreSQL database" if is_url else shown(Path(address))
    run = _new(actor, state=ImportState.PROPOSED, path=place[:2000])
    uploads.write_address(folder_of(run), address)
    if not is_url:
        found = uploads.look_at(Path(address))
        funnel.touch(run, found=found.found, source=found.source)
    return run


def check_address(address: str, *, allowed: bool) -> str:
    """The address, of a path the whole one, with no links in it. Invalid, saying why not."""
    address = address.strip()
    if address.startswith(URLS):
        if not (allowed and settings.IMPORT_URLS):
            raise Invalid({"address": "URLs are taken from superusers, where "
                                      "REMEMBRANCER_IMPORT_URLS allows it"})  # fmt: skip
        return address
    folders = [one.resolve() for one in settings.IMPORT_FOLDERS]
    if not (allowed and folders):
        raise Invalid({"address": "paths are taken from superusers, below the folders that "
                                  "REMEMBRANCER_IMPORT_FOLDERS names"})  # fmt: skip
    try:
        path = Path(address).resolve()
    except (OSError, ValueError, RuntimeError):
        raise Invalid({"address": "is no path"}) from None
    # What is not allowed is not told from what is not there.
    if not any(path.is_relative_to(one) for one in folders) or not path.exists():
        named = ", ".join(str(one) for one in folders)
        raise Invalid({"address": f"is not there, or not below {named}"})
    return str(path)


def _new(actor: Actor, **fields: Any) -> ImportRun:
    run = ImportRun(
        by_page=True, actor_id=actor.id, actor_label=actor.label[:200], **fields
    )  # fmt: skip
    return funnel.create(run, actor=actor, action="propose")


def append(*, run: ImportRun, number: int, offset: int, body: uploads.Stream) -> int:
    """A piece of the run's file `number`; how much of it is here then."""
    if run.state != ImportState.RECEIVING or not 0 <= number < len(run.files):
        raise Conflict("This upload is complete.", code="wrong_state")
    return uploads.append(folder_of(run), uploads.Announced(**run.files[number]), offset, body)


def is_complete(run: ImportRun) -> bool:
    here = uploads.sizes(folder_of(run))
    return all(here.get(one["name"], 0 if not one["size"] else -1) == one["size"]
               for one in run.files)  # fmt: skip


def received(*, actor: Actor, run_id: uuid.UUID) -> ImportRun:
    """All of it is here: a job takes archives apart, and says what it looks like. Again is once."""
    run = funnel.get_row(ImportRun, run_id, lock=True)
    if run.state != ImportState.RECEIVING:
        return run
    return begin(actor=actor, run_id=run_id, state=ImportState.UNPACKING)


def ask(
    *, actor: Actor, run_id: uuid.UUID, source: str, read: str, agent: str = "", since: str = ""
) -> ImportRun:
    """What is to be read of it, as what; and a dry run of that. Invalid names the wrong field."""
    run = funnel.get_row(ImportRun, run_id, lock=True)
    if source not in SOURCES:
        raise Invalid({"source": "choose what it is"})
    if since and parse_time(since) is None:
        raise Invalid({"since": "is no date; write 2026-01-31"})
    if run.files:
        uploads.chosen(folder_of(run), read)
    options = {"read": read} if run.files else {}
    if agent.strip():
        options["agent"] = agent.strip()[:200]
    if since:
        options["since"] = since
    changes = {"source": source, "options": options}
    funnel.update(run, changes, actor=actor, action="ask")
    return begin(actor=actor, run_id=run_id, state=ImportState.TRYING)


def has_upload(run: ImportRun) -> bool:
    return run.by_page and uploads.is_there(folder_of(run))


def is_lost(run: ImportRun) -> bool:
    """Whether a command's run was killed: nothing says so until the next one of its source."""
    silent = (clock.now() - run.beat_at).total_seconds() > SILENT
    return run.state == ImportState.RUNNING and not run.by_page and silent


def may_become(run: ImportRun, state: ImportState) -> bool:
    held = ImportState.INTERRUPTED if is_lost(run) else run.state
    if held not in _FOLLOWS[state]:
        return False
    if state is ImportState.UNDOING:
        return "removed" in run.preview
    if state is ImportState.RUNNING:
        return has_upload(run) and bool(run.tried)
    return state is not ImportState.TRYING or has_upload(run)


def may_stop(run: ImportRun) -> bool:
    return run.by_page and run.state in _STOPPED


def may_discard(run: ImportRun) -> bool:
    return run.state not in (*ACTIVE, ImportState.RECEIVING) and has_upload(run)


def begin(*, actor: Actor, run_id: uuid.UUID, state: ImportState, reason: str = "") -> ImportRun:
    """Do the next step from now on, in the name of `actor`. Conflict from another state."""
    run = funnel.get_row(ImportRun, run_id, lock=True)
    if not may_become(run, state):
        raise Conflict(f"This import is {run.get_state_display().lower()}.", code="wrong_state")
    goes_on = state is ImportState.RUNNING and run.state != ImportState.TRIED
    changes = {"state": state, "actor_id": actor.id, "actor_label": actor.label[:200]}
    told: dict[str, Any] = {"job": "", "progress": "", "error": "", "beat_at": clock.now()}
    if state is ImportState.PREVIEWING:
        # Where it goes back to. The error is why it failed, and stays.
        told |= {"preview": {"state": run.state}, "error": run.error, "by_page": True}
        if is_lost(run):
            told["preview"] = {"state": ImportState.INTERRUPTED}
    elif state is ImportState.RUNNING:
        told |= {"preview": {}, "ended_at": None}
    if state in (ImportState.TRYING, ImportState.RUNNING) and not goes_on:
        told |= {"counts": {}, "problem_counts": {}, "problems": [], "redacted": 0, "checked": {},
                 "started_at": clock.now()}  # fmt: skip
    if state is ImportState.TRYING:
        told["tried"] = {}
    funnel.update(run, changes, actor=actor, action=state.value, reason=reason)
    funnel.touch(run, **told)
    job_of(run.pk).defer_on_commit()
    return run


def stop(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> ImportRun:
    """Leave it there: of an import what was brought stays, and is taken back or gone on with."""
    run = funnel.get_row(ImportRun, run_id, lock=True)
    if not may_stop(run):
        raise Conflict(f"This import is {run.get_state_display().lower()}.", code="wrong_state")
    if run.state in (ImportState.RECEIVING, ImportState.UNPACKING):
        uploads.remove(folder_of(run))
    state = _STOPPED[ImportState(run.state)]
    funnel.touch(run, job="", progress="", ended_at=clock.now())
    return funnel.update(run, {"state": state}, actor=actor, action="stop", reason=reason)


def discard(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> ImportRun:
    """Delete what was uploaded, and keep the report."""
    run = funnel.get_row(ImportRun, run_id, lock=True)
    if not may_discard(run):
        raise Conflict("There is no upload to delete.", code="wrong_state")
    uploads.remove(folder_of(run))
    return funnel.update(run, {"files": []}, actor=actor, action="discard", reason=reason)


# --- Doing ------------------------------------------------------------------------------------


def job_of(run_id: uuid.UUID) -> Job:
    workspace_id = current_workspace_id()
    return Job(
        task=TASK,
        queue=QUEUE,
        lock=f"import:{run_id}",
        arguments={"workspace_id": str(workspace_id), "run_id": str(run_id)},
    )


def lost_runs() -> list[uuid.UUID]:
    """Those whose job died. Index importrun_active."""
    rows = ImportRun.objects.filter(
        state__in=ACTIVE, by_page=True, beat_at__lt=clock.now() - LOST
    )  # fmt: skip
    return list(rows.values_list("pk", flat=True)[:100])


def forget_uploads() -> None:
    """Delete uploads that nobody has touched for a day. Outside any scope."""
    for workspace_id, run_id in list(uploads.old_ones()):
        with workspace_scope(workspace_id):
            busy = ImportRun.objects.filter(pk=run_id, state__in=ACTIVE).exists()
        if not busy:
            uploads.remove(uploads.folder_of(workspace_id, run_id))


def work(workspace_id: uuid.UUID, run_id: uuid.UUID, told_to_stop: Callable[[], bool]) -> None:
    """Do what the run was begun for. Outside any scope; of two at once the second does nothing."""
    run = _claim(workspace_id, run_id)
    if run is None:
        return
    worker = _Worker(workspace_id, run, told_to_stop)
    with Pulse(workspace_id, run_id, run.job) as worker.pulse:
        try:
            worker.go()
        except _Paused:
            # The server stops: whoever comes next goes on, and need not wait for our silence.
            worker.leave(job="", beat_at=clock.now() - LOST)
        except Stopped:
            log.info("import_stopped", run=str(run_id))
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
        if state is ImportState.TRYING:
            ends = ImportState.PROPOSED
        elif state is ImportState.PREVIEWING:
            ends = ImportState(self.run.preview["state"])
        elif state is ImportState.UNPACKING:
            uploads.remove(self.folder)
        self.end(ends, error=why)

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
                _end(run, before, preview=report.as_dict())
                funnel.touch(run, ended_at=ended)

    def _undo(self) -> None:
        self._taking_back(preview=False)
        self.leave(job="", progress="")
        uploads.remove(self.folder)


@contextlib.contextmanager
def _as_source_error() -> Any:
    try:
        yield
    except Invalid as error:
        raise SourceError("; ".join(error.errors.values())) from None
