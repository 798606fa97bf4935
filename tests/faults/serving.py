"""`manage.py serve` as a subprocess, for tests of the whole program."""

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from tests.unit.ports import free_port

PROJECT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 60.0


def eventually(true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(0.05)


class Serve:
    """One `manage.py serve`."""

    def __init__(
        self,
        data_dir: Path,
        user: int | None = None,
        program: Sequence[str] = ("manage.py",),
        **environment: str,
    ) -> None:
        self.data_dir = data_dir
        self.port = int(environment.get("PORT") or free_port())
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed by the fixture)
        self.process = subprocess.Popen(
            [sys.executable, *program, "serve"],
            cwd=PROJECT,
            env={
                # Nothing of the test run's own settings.
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/"),
                "REMEMBRANCER_DATA_DIR": str(data_dir),
                "PORT": str(self.port),
                "REMEMBRANCER_EMBEDDING_PROVIDER": "none",
                "REMEMBRANCER_WEB_WORKERS": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
        )

    @property
    def output(self) -> str:
        # By position, without moving the offset that the child writes at.
        return os.pread(self.log.fileno(), 1 << 20, 0).decode()

    def wait_ready(self) -> "Serve":
        deadline = time.monotonic() + PATIENCE
        while "is ready:" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)
        return self

    def wait(self, seconds: float = PATIENCE) -> int:
        return self.process.wait(seconds)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def family(self) -> list[psutil.Process]:
        """Everything it started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, word: str) -> psutil.Process:
        """The direct child whose command line has this word."""
        found = [c for c in self.children() if any(word in part for part in c.cmdline())]
        assert len(found) == 1, (word, self.children())
        return found[0]

    def children(self) -> list[psutil.Process]:
        """Those that it started itself and that run."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]


def gone(processes: list[psutil.Process]) -> Callable[[], bool]:
    def check() -> bool:
        # Where nobody reaps orphans (a container without an init) they stay as zombies.
        return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)

    return check
