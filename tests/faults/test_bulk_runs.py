"""A bulk run in a process of its own, killed in the middle and gone on with by another."""

import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from django.db import connection

from config.embedded.temporary import TemporaryUrls
from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import BulkRun, Revision
from contacts.models.bulk import BulkState
from contacts.services.bulk import SLICE, begin, propose
from sessions.models import Task
from sessions.services.tasks import create_task
from tests.admin.conftest import person
from tests.factories import ALICE
from tests.faults.serving import PATIENCE, PROJECT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

TASKS = 6 * SLICE


def started(urls: TemporaryUrls, run: BulkRun) -> subprocess.Popen[str]:
    url = urlsplit(urls.runtime)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    job = f"work_bulk_run('{run.workspace_id}', '{run.pk}')"
    return subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-c",
         f"from contacts.tasks import work_bulk_run; {job}; {job}; {job}"],
        cwd=PROJECT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "DATABASE_URL": url,
            "SECRET_KEY": "not a secret at all, but as long as one has to be " * 2,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


def now(run: BulkRun) -> BulkRun:
    with workspace_scope(run.workspace_id):
        return BulkRun.objects.get(pk=run.pk)


def test_killed_in_the_middle_it_goes_on_and_does_each_row_once(workspace, database_server):
    user = person("otto", (workspace, "operator"))
    otto = Actor("user", str(user.pk), "otto", "admin")
    with workspace_scope(workspace.id):
        for n in range(TASKS):
            create_task(actor=ALICE, title=f"Row {n}")
        run = propose(
            actor=otto, model="agent_sessions.task", action="done", title="Done: tasks",
            query="status__in=todo", total=TASKS,
        )  # fmt: skip
        begin(actor=otto, run_id=run.pk, state=BulkState.RUNNING)
    first = started(database_server, run)
    while first.poll() is None and not now(run).done:
        continue
    first.send_signal(signal.SIGKILL)
    output, _ = first.communicate(timeout=PATIENCE)
    assert first.returncode == -signal.SIGKILL, output
    reached = now(run)
    assert reached.state == "running"
    assert 0 < reached.done < TASKS
    with workspace_scope(workspace.id):
        assert Task.objects.filter(status="done").count() == reached.done

    while now(run).state == "running":
        last = started(database_server, run)
        output, _ = last.communicate(timeout=PATIENCE)
        assert last.returncode == 0, output
    ended = now(run)
    assert (ended.state, ended.done, ended.failed) == ("done", TASKS, 0)
    with workspace_scope(workspace.id):
        assert Task.objects.filter(status="done").count() == TASKS
        made = Revision.objects.filter(request_id=str(run.pk), action="update")
        assert made.values("object_id").distinct().count() == made.count() == TASKS
