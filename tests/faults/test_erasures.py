"""An erasure in a process of its own, killed at each of its steps: all of it is there still, and
the next one does all of it."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

from config.embedded.temporary import TemporaryUrls
from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Erasure, Tombstone
from contacts.models.erasure import ErasureKind, ErasureState
from contacts.services import seals
from memory import tasks_erasures
from memory.models import Memory
from memory.services import erasures
from tests.factories import ALICE
from tests.faults.serving import PROJECT, eventually
from tests.unit.test_erasing import SECRET, check_whole, dumped, owner_url, say

__all__ = ["dumped", "owner_url"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

# Before it writes, when its tombstones stand, when those who were writing are done, when all words
# are struck, when all rows are removed, and before its end.
STEPS = (
    "work.tombstones.bury", "work._outlast_writers", "work._strike", "work._remove", "work._empty",
    "work.remains",
)  # fmt: skip
# It says that it is there, and goes no further.
STOPS = """
import pathlib, time
from uuid import UUID
from memory.erasing import work
from memory.services import erasures
def stop(*given, **named):
    pathlib.Path({flag!r}).touch()
    time.sleep(600)
{step} = stop
erasures.work_erasure(UUID({workspace!r}), UUID({erasure!r}))
"""


def killed_at(step: str, erasure: Erasure, urls: TemporaryUrls, owner: str, folder: Path) -> None:
    flag = folder / f"{step}.reached"
    code = STOPS.format(
        flag=str(flag), step=step, workspace=str(erasure.workspace_id), erasure=str(erasure.pk)
    )
    runtime = urlsplit(urls.runtime)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    log = folder / f"{step}.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "-c", code],
            cwd=PROJECT,
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/"),
                "DATABASE_URL": runtime,
                "DATABASE_OWNER_URL": owner,
                "REMEMBRANCER_DATA_DIR": str(folder),
                "REMEMBRANCER_EMBEDDING_PROVIDER": "none",
                "SECRET_KEY": settings.SECRET_KEY,
            },
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: flag.exists() or process.poll() is not None, step)
        assert process.poll() is None, log.read_text()
    finally:
        process.kill()
        process.wait()


def test_killed_at_any_step_it_did_nothing_and_is_done_by_the_next(
    workspace: Any, database_server: TemporaryUrls, owner_url: str, dumped: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(seals, "SETTLED", timedelta(seconds=-1))
    say(workspace, SECRET)
    seals.seal_settled(workspace.id)
    with workspace_scope(workspace.id):
        row = erasures.propose_erasure(
            actor=ALICE, kind=ErasureKind.TERM, term="zorblatt", job=False
        )
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        erasures.begin_erasure(actor=ALICE, erasure_id=row.pk, confirm="zorblatt", job=False)
        memories = Memory.objects.count()

    def told() -> list[str]:
        """The whole database but for how far the erasure is, and its tombstones."""
        return sorted(line for line in dumped().splitlines() if str(row.pk) not in line)

    before = told()
    for step in STEPS:
        killed_at(step, row, database_server, owner_url, tmp_path)
        # The server ends the transaction of whoever is gone.
        eventually(lambda: told() == before, f"as it was before {step}")
        with workspace_scope(workspace.id):
            assert Erasure.objects.get(pk=row.pk).state == ErasureState.RUNNING
            assert Memory.objects.count() == memories
            # What is erased is kept away from then on, whatever becomes of the rest.
            assert Tombstone.objects.exists() == (step != STEPS[0])
    check_whole(workspace)

    asked: list[str] = []
    monkeypatch.setattr("config.lib.jobs.Job.defer", lambda job: asked.append(job.task))
    with workspace_scope(workspace.id):
        Erasure.objects.update(beat_at=clock.now() - 2 * erasures.LOST)
    tasks_erasures.sweep_erasures(0)
    assert erasures.TASK in asked
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        done = Erasure.objects.get(pk=row.pk)
        assert (done.state, done.wanted) == (ErasureState.DONE, "")
        assert done.report["removed"] == done.preview["removed"]
        assert Tombstone.objects.count() == done.report["tombstones"] > 0
    assert "zorblatt" not in dumped()
    check_whole(workspace)
