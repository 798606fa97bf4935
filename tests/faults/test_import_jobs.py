"""An import of the Import page in a process of its own, killed in the middle and gone on with by
another."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import F

from config.embedded.temporary import TemporaryUrls
from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import Revision
from memory.importers import asked, job
from memory.models import ImportRun, Memory
from memory.models.imports import ImportState
from memory.tasks_imports import sweep_imports
from tests.admin.conftest import person
from tests.faults.serving import PATIENCE, PROJECT
from tests.importers.stores import experience_store

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROWS = 3000


def started(urls: TemporaryUrls, run: ImportRun, data: Path) -> subprocess.Popen[str]:
    url = urlsplit(urls.runtime)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    ids = f"UUID('{run.workspace_id}'), UUID('{run.pk}')"
    return subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-c",
         "from uuid import UUID; from memory.importers import job; "
         f"job.work({ids}, lambda: False)"],
        cwd=PROJECT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "DATABASE_URL": url,
            "REMEMBRANCER_DATA_DIR": str(data),
            "SECRET_KEY": "not a secret at all, but as long as one has to be " * 2,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


def now(run: ImportRun) -> ImportRun:
    with workspace_scope(run.workspace_id):
        return ImportRun.objects.get(pk=run.pk)


def test_killed_in_the_middle_it_goes_on_and_brings_each_row_once(
    workspace: Any, database_server: TemporaryUrls, settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    user = person("otto", (workspace, "operator"))
    otto = Actor("user", str(user.pk), "otto", "admin")
    store = experience_store(tmp_path / "raw_store.db", [f"Row {n}." for n in range(ROWS)])
    content = store.read_bytes()
    with workspace_scope(workspace.id):
        run = asked.receive(actor=otto, names=["raw_store.db"], sizes=[len(content)])
        asked.append(run=run, number=0, offset=0, body=SimpleUploadedFile("raw_store.db", content))
        asked.received(actor=otto, run_id=run.pk)
    job.work(workspace.id, run.pk, lambda: False)
    with workspace_scope(workspace.id):
        asked.ask(actor=otto, run_id=run.pk, source="experience-store", read="raw_store.db")
    job.work(workspace.id, run.pk, lambda: False)
    with workspace_scope(workspace.id):
        assert Memory.objects.count() == 0
        asked.begin(actor=otto, run_id=run.pk, state=ImportState.RUNNING)

    first = started(database_server, run, tmp_path)
    while first.poll() is None and not now(run).counts:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    output, _ = first.communicate(timeout=PATIENCE)
    assert first.returncode == -signal.SIGKILL, output
    reached = now(run)
    assert reached.state == "running"
    with workspace_scope(workspace.id):
        before = Memory.objects.count()
    assert 0 < before == reached.counts["experience"]["created"] < ROWS

    # Its silence has not lasted yet: whoever comes now leaves it alone.
    job.work(workspace.id, run.pk, lambda: False)
    assert now(run).job == reached.job
    with workspace_scope(workspace.id):
        ImportRun.objects.update(beat_at=F("beat_at") - asked.LOST)
        assert asked.lost_runs() == [run.pk]
    sweep_imports(0)
    last = started(database_server, run, tmp_path)
    output, _ = last.communicate(timeout=PATIENCE)
    assert last.returncode == 0, output
    ended = now(run)
    assert (ended.state, ended.checked["ok"]) == ("done", True)
    counts = ended.counts["experience"]
    assert (counts["read"], counts["created"], counts["unchanged"]) == (ROWS, ROWS, 0)
    with workspace_scope(workspace.id):
        assert Memory.objects.count() == ROWS
        made = Revision.objects.filter(actor_id=str(run.pk), model=Memory._meta.label_lower)
        assert made.values("object_id").distinct().count() == made.count() == ROWS
