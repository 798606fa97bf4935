"""What benchmarks measure against: a throwaway server, migrated, served by the real gunicorn.

`running()` gives a database that flushes to disk as a real one does, one workspace with one key,
and, where asked for, the web server and the job worker as processes of their own. The benchmark's
process itself becomes a Django process on the same database, so that it can fill tables through
the services. Not for tests: those have tests/conftest.py.
"""

import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from config.embedded.temporary import TemporaryUrls, temporary_server

PROJECT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 20.0
IDLE_SECONDS = 1.0


@dataclass(frozen=True)
class Bench:
    """The servers under measurement. `port` and `web_pid` are 0 without a web server."""

    urls: TemporaryUrls
    workspace_id: uuid.UUID
    token: str
    port: int
    web_pid: int = 0
    jobs_pid: int = 0

    def client(self) -> "Client":
        return Client(self.port, self.token)


def superuser(bench: Bench, *, autocommit: bool = False) -> psycopg.Connection:
    """The database as a role that row-level security does not hold."""
    url = bench.urls.superuser.replace("/postgres?", "/remembrancer?")
    return psycopg.connect(url, autocommit=autocommit, cursor_factory=psycopg.ClientCursor)


class Client:
    """One HTTP client with one kept connection, as an agent has."""

    def __init__(self, port: int, token: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.renew()
        self.be(token)

    def renew(self) -> None:
        """Connect again."""
        self.connection.close()
        self.connection.connect()
        # What is measured is the server, not Nagle's algorithm in the client.
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.used = time.monotonic()

    def be(self, token: str) -> None:
        """Ask with another key from now on."""
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, bytes]:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        # The server closes what was idle for two seconds.
        if time.monotonic() - self.used > IDLE_SECONDS:
            self.renew()
        self.connection.request("POST", path, encoded, self.headers | headers)
        answer = self.connection.getresponse()
        given = answer.read()
        self.used = time.monotonic()
        return answer.status, given

    def get(self, path: str) -> tuple[int, bytes]:
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


@contextlib.contextmanager
def running(
    *, web: bool = True, jobs: bool = False, environment: dict[str, str] | None = None
) -> Iterator[Bench]:
    """The servers, until the block ends. Sets this process's environment and sets Django up."""
    with temporary_server(fsync=True) as urls, contextlib.ExitStack() as stack:
        port = _free_port() if web else 0
        os.environ.update(
            {
                "DATABASE_URL": urls.runtime,
                "DATABASE_OWNER_URL": urls.owner,
                "SECRET_KEY": "benchmark-" * 6,
                "REMEMBRANCER_DATA_DIR": str(_data_dir()),
                "PORT": str(port or 1),
                "DJANGO_SETTINGS_MODULE": "config.settings.base",
                # Clients here ask as fast as they can. What a lease costs is in the figures: it is
                # as large as by default.
                "REMEMBRANCER_KEY_RATE": "10000",
                "REMEMBRANCER_KEY_BURST": "1000",
                **(environment or {}),
            }
        )
        _manage("migrate", "--verbosity", "0", "--skip-checks")
        import django

        django.setup()
        workspace_id, token = make_workspace("benchmark")
        web_pid = jobs_pid = 0
        if jobs:
            jobs_pid = stack.enter_context(_process(sys.executable, "manage.py", "runjobs"))
        if web:
            web_pid = stack.enter_context(
                _process(sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn")
            )
            _wait_for(port)
        yield Bench(urls, workspace_id, token, port, web_pid, jobs_pid)


def _data_dir() -> Path:
    """Kept between runs, because the assembled model (35 MB) is in it and nothing else."""
    given = os.environ.get("REMEMBRANCER_DATA_DIR")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(given) if given else cache / "remembrancer-benchmarks"


def _manage(*arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=PROJECT, check=True)


def make_workspace(slug: str) -> tuple[uuid.UUID, str]:
    """A new workspace, and a key of an agent in it."""
    from config.lib.actor import Actor
    from config.lib.scope import workspace_scope
    from contacts.services.agents import ensure_agent
    from contacts.services.keys import create_key
    from contacts.services.workspaces import create_workspace

    actor = Actor(kind="system", id="benchmark", label="benchmark", channel="shell")
    workspace = create_workspace(actor=actor, slug=slug)
    with workspace_scope(workspace.id):
        agent = ensure_agent(actor=actor, name="benchmark")
        _, token = create_key(actor=actor, agent=agent)
    return workspace.id, token


@contextlib.contextmanager
def _process(*command: str) -> Iterator[int]:
    process = subprocess.Popen(command, cwd=PROJECT)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port} after {START_SECONDS:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def timed(work: Callable[[], Any], *, times: int, warmup: int = 3) -> list[float]:
    """Milliseconds of each run of `work`, without the first `warmup` runs."""
    for _ in range(warmup):
        work()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


def summary(milliseconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the extremes, in ms."""
    ordered = sorted(milliseconds)
    return {
        "n": len(ordered),
        "p50_ms": round(statistics.median(ordered), 2),
        "p95_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 2),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
        "min_ms": round(ordered[0], 2),
        "max_ms": round(ordered[-1], 2),
    }


def machine() -> dict[str, Any]:
    """Figures mean nothing without the machine they come from."""
    return {
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": sys.version.split()[0],
    }
