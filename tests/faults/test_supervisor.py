"""The whole program as a user runs it: started, stopped, killed, started again.

Each test runs `manage.py serve` for real, on a free port, with an embedded server of its own.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from config.embedded.accounts import server_account
from config.embedded.layout import Paths, connection_urls
from config.embedded.leftovers import running_in
from config.embedded.temporary import temporary_server
from tests.faults.serving import PROJECT, Serve, eventually, gone
from tests.unit.ports import free_port, listening

# The web server has the head and waits for the rest of the body: with the cookie, the check of the
# CSRF token must read it.
BEGUN_REQUEST = (
    b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Cookie: remembrancer_csrf=" + b"x" * 32 + b"\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\n\r\nuser"
)
REST_OF_REQUEST = b"=someone"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    # Not pytest's: its folders are closed, and as root the database runs as someone else.
    path = Path(tempfile.mkdtemp(prefix="remembrancer-faults-"))
    yield path
    shutil.rmtree(path)
    shutil.rmtree(Paths(path).sockets, ignore_errors=True)


@pytest.fixture(scope="module")
def kept(data_dir: Path) -> Iterator[list[Serve]]:
    """What a test left running on the module's data, for the next: a start takes seconds."""
    kept: list[Serve] = []
    yield kept
    for each in kept:
        assert each.stop() == 0
        each.log.close()
    assert not running_in(Paths(data_dir).cluster)


@pytest.fixture
def serve(data_dir: Path, kept: list[Serve]) -> Iterator[Callable[..., Serve]]:
    """Starts it, as often as wanted, and leaves nothing behind but what is kept."""
    started: list[Serve] = []

    def start(user: int | None = None, **environment: str) -> Serve:
        started.append(Serve(data_dir, user, **environment))
        return started[-1]

    yield start
    for each in started:
        if each not in kept:
            if each.process.poll() is None:
                each.process.kill()
                each.wait()
            each.log.close()
    if not kept:
        eventually(lambda: not running_in(Paths(data_dir).cluster), "PostgreSQL is gone")


@pytest.fixture
def nothing_runs(kept: list[Serve]) -> None:
    """What an earlier test left running has stopped, in order."""
    while kept:
        assert kept[-1].stop() == 0, kept[-1].output
        kept.pop().log.close()


@pytest.fixture
def running(serve: Callable[..., Serve], kept: list[Serve]) -> Iterator[Serve]:
    """One that is ready: what an earlier test left running, or a new one. If the test leaves it
    running too, it is kept for the next."""
    if not kept:
        kept.append(serve().wait_ready())
    (running,) = kept
    yield running
    if running.process.poll() is not None:
        if running in kept:
            kept.remove(running)
        running.log.close()


def test_the_first_start_prints_a_login_and_a_key_and_the_second_does_not(
    serve: Callable[..., Serve], nothing_runs: None, kept: list[Serve]
) -> None:
    first = serve().wait_ready()
    assert f"http://127.0.0.1:{first.port}/" in first.output
    assert re.search(r"User +admin\n +Password +\S{10,}\n", first.output)
    assert re.search(r"API key +rmb_\S+\n", first.output)
    assert first.get("/livez") == first.get("/readyz") == 200
    assert first.stop() == 0
    assert "Stopped" in first.output

    second = serve().wait_ready()
    assert "rmb_" not in second.output
    assert "Password" not in second.output
    kept.append(second)


def test_with_a_database_of_ones_own_no_other_is_started(serve: Callable[..., Serve]) -> None:
    with temporary_server() as urls:
        given = {"DATABASE_URL": urls.runtime, "SECRET_KEY": "x" * 50}

        no_owner = serve(**given)
        assert no_owner.wait() == 1
        assert re.search(r"DATABASE_OWNER_URL: \d+ migrations are not applied", no_owner.output)

        first = serve(**given, DATABASE_OWNER_URL=urls.owner).wait_ready()
        assert re.search(r"API key +rmb_\S+\n", first.output)
        assert not any("postgres" in word for child in first.children() for word in child.cmdline())
        assert first.stop() == 0

        second = serve(**given).wait_ready()
        assert second.get("/readyz") == 200
        assert second.stop() == 0

        as_owner = serve(**given | {"DATABASE_URL": urls.owner})
        assert as_owner.wait() == 1
        assert "DATABASE_URL: the role app_owner owns tables" in as_owner.output
    for refused in (no_owner, as_owner):
        assert "Traceback" not in refused.output


def test_a_database_that_may_lose_writes_is_refused(serve: Callable[..., Serve]) -> None:
    with temporary_server(fsync=False) as urls:
        refused = serve(
            DATABASE_URL=urls.runtime, DATABASE_OWNER_URL=urls.owner, SECRET_KEY="x" * 50
        )
        assert refused.wait() == 1
    assert re.search("PostgreSQL runs with (fsync|full_page_writes)=off", refused.output)
    assert "Traceback" not in refused.output


def test_sigterm_lets_a_request_finish_before_the_database_stops(
    running: Serve, data_dir: Path
) -> None:
    family = running.family()
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as client:
        client.sendall(BEGUN_REQUEST)
        time.sleep(0.3)
        running.process.terminate()
        # No new ones are taken, while the database still runs for the one that is there.
        eventually(lambda: running.get("/livez") == 0, "the port is closed")
        assert running.child("postgres")
        assert running.process.poll() is None
        client.sendall(REST_OF_REQUEST)
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 403"), answer[:200]  # a wrong CSRF token
    assert running.wait() == 0
    assert gone(family)()
    assert not (Paths(data_dir).cluster / "postmaster.pid").exists()


def test_ctrl_c_reaches_the_whole_group_and_still_stops_in_order(running: Serve) -> None:
    family = running.family()
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.wait() == 0
    assert gone(family)()
    assert "Traceback" not in running.output
    assert "ended" not in running.output


def test_a_second_signal_hurries(serve: Callable[..., Serve], nothing_runs: None) -> None:
    running = serve(REMEMBRANCER_SHUTDOWN_SECONDS="60").wait_ready()
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as client:
        client.sendall(BEGUN_REQUEST)
        time.sleep(0.3)
        running.process.send_signal(signal.SIGINT)
        time.sleep(1)
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGINT)
        assert running.wait(15) == 0


def test_a_signal_during_the_start_stops_it(
    serve: Callable[..., Serve], data_dir: Path, nothing_runs: None
) -> None:
    running = serve()
    eventually(lambda: "Starting" in running.output, "it started")
    time.sleep(0.2)
    running.process.terminate()
    assert running.wait() == 0
    assert not running_in(Paths(data_dir).cluster)


def test_a_killed_supervisor_leaves_nothing_running_and_nothing_lost(
    running: Serve, serve: Callable[..., Serve], data_dir: Path, kept: list[Serve]
) -> None:
    owner_url = connection_urls(data_dir)[1]
    with psycopg.connect(owner_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    family = running.family()
    assert len(family) > 5
    running.process.kill()
    running.wait()
    eventually(gone(family), "every child has noticed")

    again = serve().wait_ready()
    with psycopg.connect(owner_url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        connection.execute("DROP TABLE kept")
    kept.append(again)


def test_a_start_right_after_a_kill_takes_over(
    running: Serve, serve: Callable[..., Serve], kept: list[Serve]
) -> None:
    running.process.kill()
    # At once: web server, jobs and database of the first are still stopping.
    again = serve(PORT=str(free_port())).wait_ready()
    assert again.get("/readyz") == 200
    kept.append(again)


def test_a_database_that_outlived_its_supervisor_is_stopped_first(
    running: Serve, serve: Callable[..., Serve], kept: list[Serve]
) -> None:
    postmaster = running.child("postgres")
    # Stopped as in a debugger, it cannot follow when the supervisor goes.
    postmaster.suspend()
    running.process.kill()
    running.wait()
    time.sleep(1)
    again = serve()
    eventually(lambda: "of an earlier start still runs" in again.output, "it is found")
    postmaster.resume()
    again.wait_ready()
    assert gone([postmaster])()
    kept.append(again)


def test_a_second_supervisor_is_refused_in_one_line(
    running: Serve, serve: Callable[..., Serve]
) -> None:
    second = serve()
    assert second.wait() == 1
    assert f"in use by another Remembrancer (process {running.process.pid})" in second.output
    assert len(second.output.strip().splitlines()) == 2  # "Starting ..." and the refusal
    assert running.get("/readyz") == 200


def test_whatever_dies_comes_back(running: Serve) -> None:
    web = running.child("gunicorn")

    postmaster = running.child("postgres")
    postmaster.kill()
    eventually(lambda: "PostgreSQL is back" in running.output, "the database is back")
    eventually(lambda: running.get("/readyz") == 200, "it is ready again")
    assert web.is_running(), "the web server stayed up"

    eventually(
        lambda: any("runjobs" in child.cmdline() for child in running.children()),
        "the job worker has found it too",
    )
    jobs = running.child("runjobs")
    workers = web.children()
    web.kill()
    jobs.kill()
    eventually(lambda: gone([web, jobs, *workers])(), "what was killed is gone")
    eventually(lambda: running.get("/readyz") == 200, "the web server is back")
    eventually(
        lambda: any("runjobs" in child.cmdline() for child in running.children()),
        "the job worker is back",
    )
    assert running.stop() == 0


def test_a_port_in_use_is_refused_before_anything_starts(
    serve: Callable[..., Serve], data_dir: Path, nothing_runs: None
) -> None:
    with listening() as port:
        refused = serve(PORT=str(port))
        assert refused.wait() == 1
    assert f"PORT: {port} on 127.0.0.1 is in use by another program" in refused.output
    assert "Traceback" not in refused.output
    assert not running_in(Paths(data_dir).cluster)


def test_a_cluster_of_another_major_is_refused(
    serve: Callable[..., Serve], data_dir: Path, nothing_runs: None
) -> None:
    version = Paths(data_dir).cluster / "PG_VERSION"
    original = version.read_text()
    version.write_text("16\n")
    try:
        refused = serve()
        assert refused.wait() == 1
        assert "made by PostgreSQL 16, and this release runs PostgreSQL 18" in refused.output
        assert "Traceback" not in refused.output
    finally:
        version.write_text(original)


def test_a_stale_pid_file_with_a_number_used_again_is_no_obstacle(
    serve: Callable[..., Serve], data_dir: Path, nothing_runs: None
) -> None:
    account = server_account(data_dir)
    # Of the same user as the database: for that one PostgreSQL itself would refuse to start.
    with subprocess.Popen(["sleep", "600"], **account.popen_options()) as bystander:
        pid_file = Paths(data_dir).cluster / "postmaster.pid"
        pid_file.write_text(f"{bystander.pid}\n{Paths(data_dir).cluster}\n1\n5432\n\n\n")
        account.own(pid_file)
        running = serve().wait_ready()
        assert bystander.poll() is None
        assert running.stop() == 0
        bystander.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="everyone else runs the database as themselves")
def test_root_may_keep_the_data_below_a_closed_folder(serve: Callable[..., Serve]) -> None:
    closed = Path(tempfile.mkdtemp(prefix="remembrancer-closed-"))
    running = serve(REMEMBRANCER_DATA_DIR=str(closed / "var"))
    try:
        eventually(
            lambda: "is ready:" in running.output or running.process.poll() is not None, "an end"
        )
        if running.process.poll() is None:
            family = running.family()
            running.process.kill()
            running.wait()
            eventually(gone(family), "every child has noticed")
            assert not running_in(Paths(closed / "var").cluster)
        else:
            # A container, say, where the kernel gives no mount namespace: then it is refused.
            assert f"is below {closed}" in running.output
            assert "set REMEMBRANCER_DATA_DIR to a folder such as" in running.output
            assert "Traceback" not in running.output
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(Paths(closed / "var").sockets, ignore_errors=True)
        shutil.rmtree(closed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
def test_an_ordinary_user_runs_it(serve: Callable[..., Serve]) -> None:
    nobody = pwd.getpwnam("nobody")
    theirs = Path(tempfile.mkdtemp(prefix="remembrancer-nobody-"))
    os.chown(theirs, nobody.pw_uid, nobody.pw_gid)
    try:
        if not may_run_this(nobody.pw_uid):
            pytest.skip(f"user nobody may not run {sys.executable}")
        running = serve(user=nobody.pw_uid, REMEMBRANCER_DATA_DIR=str(theirs)).wait_ready()
        assert running.child("postgres").uids().real == nobody.pw_uid
        assert running.stop() == 0
        assert not Paths(theirs).sockets.exists()
    finally:
        shutil.rmtree(theirs)


def may_run_this(uid: int) -> bool:
    """Whether another user gets to this interpreter and this project."""
    try:
        done = subprocess.run(
            [sys.executable, "manage.py", "dbroles"],
            cwd=PROJECT,
            user=uid,
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0
