"""`manage.py runworkers` as an operator runs it: a process, with commands that are processes.

The command is mostly `sh`, which reads what to do from its standard input: the instructions.
"""

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from config.embedded.temporary import TemporaryUrls
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from sessions.models import Notification, Worker, WorkerOutput
from sessions.services import worker_runs, workers
from tests.factories import ALICE, make_agent
from tests.faults.serving import PATIENCE, PROJECT, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

# Holds a lock while it lives, says so, and does not stop when asked: of two at once the second
# says that.
STUBBORN = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = open("lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    word = "alone"
except BlockingIOError:
    word = "TWICE"
with open("log", "a") as log:
    log.write(f"{word} {os.getpid()} {os.environ['REMEMBRANCER_WORKER_ATTEMPT']}\\n")
while not os.path.exists("go"):
    time.sleep(0.05)
"""


class Runner:
    """One `manage.py runworkers` on the test's own database."""

    def __init__(self, database_url: str, *options: str) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed by the fixture)
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "runworkers", "--workspace", "greenhouse", *options],
            cwd=PROJECT,
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/"),
                "DATABASE_URL": database_url,
                "SECRET_KEY": "not a secret at all, but as long as one has to be " * 2,
                "REMEMBRANCER_EMBEDDING_PROVIDER": "none",
            },
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        return os.pread(self.log.fileno(), 1 << 20, 0).decode()

    def wait(self) -> int:
        return self.process.wait(PATIENCE)


@pytest.fixture
def run(workspace: Workspace, database_server: TemporaryUrls) -> Iterator[Callable[..., Runner]]:
    """Starts runners, and leaves none behind."""
    url = urlsplit(database_server.runtime)
    tests = url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    started: list[Runner] = []

    def start(*options: str) -> Runner:
        started.append(Runner(tests, *options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGCONT)
            each.process.terminate()
        each.wait()
        each.log.close()


@pytest.fixture
def spawn(workspace: Workspace) -> Callable[..., uuid.UUID]:
    def make(instructions: str, **fields: object) -> uuid.UUID:
        with workspace_scope(workspace.id):
            worker, _ = workers.spawn_worker(
                actor=ALICE, primitive="shell", instructions=instructions, **fields
            )
            return worker.pk

    return make


@pytest.fixture
def read(workspace: Workspace) -> Callable[[uuid.UUID], Worker]:
    def get(pk: uuid.UUID) -> Worker:
        with workspace_scope(workspace.id):
            return Worker.objects.get(pk=pk)

    return get


@pytest.fixture
def printed(workspace: Workspace) -> Callable[[uuid.UUID], list[tuple[str, str]]]:
    def get(pk: uuid.UUID) -> list[tuple[str, str]]:
        with workspace_scope(workspace.id):
            rows = WorkerOutput.objects.filter(worker_id=pk).order_by("seq")
            assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
            return [(row.stream, row.text) for row in rows]

    return get


def finish(runner: Runner) -> None:
    assert runner.wait() == 0, runner.output
    assert "Traceback" not in runner.output, runner.output


def is_free(lock: Path) -> bool:
    """Whether no command holds it: the stubborn one is gone."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def stubborn(folder: Path) -> str:
    """The command line of the stubborn command, which works in `folder`."""
    (folder / "stubborn.py").write_text(STUBBORN)
    return f"{sys.executable} {folder / 'stubborn.py'}"


# --- What becomes of a command ------------------------------------------------------------------


def test_commands_are_run_and_what_came_of_them_is_kept(
    run, spawn, read, printed, workspace, tmp_path
):
    asked = spawn("cat <<'END'\nPaint the shed.", name="asked")
    with workspace_scope(workspace.id):
        held = worker_runs.claim(actor=ALICE, agent=make_agent(), lease_seconds=5)
        worker_runs.ask(
            actor=ALICE, worker_id=asked, lease_id=held.lease_id, question="Which colour?"
        )
        workers.answer(actor=ALICE, worker_id=asked, text="green")
    says = spawn(
        "pwd; echo $REMEMBRANCER_WORKER_ID $REMEMBRANCER_WORKER_TRACE_ID; "
        "echo $REMEMBRANCER_WORKER_PARAMS; echo [$DATABASE_URL$SECRET_KEY]; printf '\\000ü' >&2",
        workspace_path=str(tmp_path), params={"depth": 2}, conversation_id="chief",
    )  # fmt: skip
    fails = spawn("echo too bad >&2; exit 3", conversation_id="chief")
    killed = spawn("kill -9 $$", max_attempts=1)
    lost = spawn("true", workspace_path=str(tmp_path / "nowhere"))
    leaves = spawn("sleep 600 & echo $! > pid; echo done", workspace_path=str(tmp_path))
    unasked = spawn("true", run_after=None)
    with workspace_scope(workspace.id):
        Worker.objects.filter(pk=unasked).update(primitive="other")
    finish(run("--command", "sh", "--once", "--concurrency", "3", "--primitive", "shell"))

    worker = read(says)
    assert (worker.status, worker.exit_code, worker.attempts) == ("complete", 0, 1)
    told = [str(tmp_path), f"{says} {worker.trace_id}", '{"depth":2}', "[]"]
    assert worker.report.splitlines() == told
    assert "".join(text for stream, text in printed(says) if stream == "stdout") == (
        "\n".join(told) + "\n"
    )
    assert [text for stream, text in printed(says) if stream == "stderr"] == ["\ufffdü"]
    assert worker.claimed_by_id is not None

    assert read(asked).report == (
        "Paint the shed.\n\n## Clarification\n\nAsked: Which colour?\n\nAnswered: green"
    )

    worker = read(fails)
    assert (worker.status, worker.exit_code) == ("pending", 3)
    assert worker.error == "exit code 3\ntoo bad"
    assert worker.run_after is not None

    assert read(killed).status == "failed"
    assert read(killed).error == "ended by SIGKILL"
    assert (read(lost).status, read(lost).attempts) == ("failed", 1)
    assert f"{tmp_path / 'nowhere'}' is not a folder on" in read(lost).error
    assert read(leaves).status == "complete"
    left = int((tmp_path / "pid").read_text())
    eventually(lambda: is_gone(left), "what a command left behind is ended with it")
    assert read(unasked).status == "pending"
    with workspace_scope(workspace.id):
        rows = Notification.objects.values_list("notification_type", "entity_id")
        assert list(rows) == [("worker_complete", str(says))]  # the other is tried again


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_command_is_ended_with_all_it_started(run, spawn, read, workspace, tmp_path):
    """By its timeout, by a cancellation, and when it has given its lease up."""
    sleeps = (
        "trap '' TERM; sleep 600 & echo $! $$ > pids.$REMEMBRANCER_WORKER_NAME; wait; sleep 600"
    )
    folder = {"workspace_path": str(tmp_path)}
    slow = spawn(sleeps, name="slow", timeout_seconds=1, max_attempts=1, **folder)
    unwanted = spawn(sleeps, name="unwanted", **folder)
    asking = spawn(sleeps, name="asking", **folder)
    runner = run("--command", "sh", "--once", "--concurrency", "3", "--lease", "5",
                 "--grace", "0.2")  # fmt: skip
    pids: list[int] = []
    for name in ("slow", "unwanted", "asking"):
        file = tmp_path / f"pids.{name}"
        eventually(lambda file=file: file.exists() and len(file.read_text().split()) == 2, name)
        pids += map(int, file.read_text().split())
    with workspace_scope(workspace.id):
        workers.cancel(actor=ALICE, worker_id=unwanted)
        held = Worker.objects.get(pk=asking)
        worker_runs.ask(actor=ALICE, worker_id=asking, lease_id=held.lease_id, question="Why?")
    finish(runner)
    assert all(is_gone(pid) for pid in pids)
    assert (read(slow).status, read(slow).error) == ("failed", "timed out after 1 s")
    assert read(unwanted).status == "cancelled"
    assert read(asking).status == "awaiting_clarification"


def test_several_runners_run_each_worker_once(run, spawn, read, tmp_path):
    script = "echo $REMEMBRANCER_WORKER_ID >> ran"
    all_of_them = [spawn(script, workspace_path=str(tmp_path)) for _ in range(12)]
    for runner in [run("--command", "sh", "--once", "--concurrency", "2") for _ in range(2)]:
        finish(runner)
    assert sorted(lines(tmp_path / "ran")) == sorted(map(str, all_of_them))
    assert {read(pk).status for pk in all_of_them} == {"complete"}


# --- What becomes of the runner -----------------------------------------------------------------


def test_a_runner_that_is_stopped_puts_its_workers_back(run, spawn, read, tmp_path):
    pk = spawn("", workspace_path=str(tmp_path))
    runner = run("--command", stubborn(tmp_path), "--grace", "0.2")
    eventually(lambda: lines(tmp_path / "log") != [], "the command runs")
    runner.process.terminate()
    finish(runner)
    assert is_free(tmp_path / "lock")
    worker = read(pk)
    assert (worker.status, worker.attempts, worker.run_after) == ("pending", 0, None)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_runner_that_is_gone_or_hangs_is_succeeded_and_nothing_runs_twice_at_once(
    run, spawn, read, tmp_path, how
):
    """Killed, it says nothing any more; stopped, as in a debugger, it may come back."""
    pk = spawn("", workspace_path=str(tmp_path))
    options = ("--command", stubborn(tmp_path), "--lease", "5", "--poll", "0.1")
    first = run(*options)
    eventually(lambda: len(lines(tmp_path / "log")) == 1, "the command runs")
    second = run(*options)
    first.process.send_signal(how)
    if how == signal.SIGKILL:
        first.wait()
    eventually(lambda: is_free(tmp_path / "lock"), "the command is ended by its guard")
    eventually(lambda: len(lines(tmp_path / "log")) == 2, "the next runner has it")
    until = read(pk).lease_until
    first.process.send_signal(signal.SIGCONT)
    assert [line.split()[::2] for line in lines(tmp_path / "log")] == [
        ["alone", "1"], ["alone", "2"],
    ]  # fmt: skip
    # Past several beats of either: the first one cannot take it back.
    eventually(lambda: read(pk).lease_until > until, "the next runner beats")
    (tmp_path / "go").touch()
    eventually(lambda: read(pk).status == "complete", "it is done")
    worker = read(pk)
    assert worker.attempts == 2
    assert len(lines(tmp_path / "log")) == 2
    second.process.terminate()
    finish(second)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--command", "no-such-program-here"), "there is no program 'no-such-program-here'"),
        (("--command", "sh 'unclosed"), "--command: No closing quotation"),
        (("--command", ""), "--command: must not be empty"),
        (("--command", "sh", "--lease", "1"), "--lease: must be from 5 to 3600"),
        (("--command", "sh", "--concurrency", "0"), "--concurrency: must be from 1 to 64"),
        (("--command", "sh", "--workspace", "nowhere"), "No workspace nowhere"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_reason(options, said):
    with pytest.raises(CommandError, match=re.escape(said)):
        call_command("runworkers", *options)
