"""Imports asked for on the Import page: received, tried, run, taken back; each step begun by a
person and done by a job.

A job that died is found by its silence and begun again. Not for what the job does (job.py), nor for
the files (uploads.py).
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from config.lib.jobs import Job
from config.lib.scope import current_workspace_id, workspace_scope
from contacts.services import funnel
from memory.importers import uploads
from memory.importers.registry import SOURCES, WITHOUT_SINCE
from memory.importers.run import SILENT
from memory.importers.storable import shown
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


# Why such a run is not taken back.
WITH_HISTORY = (
    "This run brought a whole workspace with its own history (--keep-ids), which says nothing of "
    "the run: it is not taken back."
)


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
    if since and source in WITHOUT_SINCE:
        raise Invalid({"since": WITHOUT_SINCE[source]})
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


def is_recorded(run: ImportRun) -> bool:
    """Whether the history says what it brought: a workspace that came as it was has its own."""
    return "keep_ids" not in run.options


def may_become(run: ImportRun, state: ImportState) -> bool:
    held = ImportState.INTERRUPTED if is_lost(run) else run.state
    if held not in _FOLLOWS[state]:
        return False
    if state is ImportState.PREVIEWING and not is_recorded(run):
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
    told: dict[str, Any] = {"job": "", "progress": "", "ended_at": clock.now()}
    if run.state == ImportState.TRYING:
        told |= {"counts": {}, "redacted": 0}
    funnel.touch(run, **told)
    return funnel.update(run, {"state": state}, actor=actor, action="stop", reason=reason)


def discard(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> ImportRun:
    """Delete what was uploaded, and keep the report."""
    run = funnel.get_row(ImportRun, run_id, lock=True)
    if not may_discard(run):
        raise Conflict("There is no upload to delete.", code="wrong_state")
    uploads.remove(folder_of(run))
    return funnel.update(run, {"files": []}, actor=actor, action="discard", reason=reason)


# --- The job -----------------------------------------------------------------------------------


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
