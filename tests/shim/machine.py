"""A machine where an agent runs: a home of its own, and the shim as agents start it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.factories import ROOT

SHIM = ROOT / "integrations" / "shim" / "remember.py"
OLDEST = (3, 9)


def _oldest_python() -> str:
    """The oldest Python that the shim is for, where there is one here; else the one of the tests.
    SHIM_PYTHON names another."""
    if named := os.environ.get("SHIM_PYTHON"):
        return named
    name = "python{}.{}".format(*OLDEST)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    # What stands in PATH may be pyenv's stand-in, which runs nothing.
    for place in (shutil.which(name), *sorted(pyenv.glob(f"{OLDEST[0]}.{OLDEST[1]}.*/bin/{name}"))):
        if place and version_of(str(place))[:2] == OLDEST:
            return str(place)
    return sys.executable


def version_of(python: str) -> tuple[int, ...]:
    """Of a Python, empty where it does not run."""
    told = [python, "-I", "-c", "import sys; print(*sys.version_info[:3])"]
    with contextlib.suppress(OSError):
        done = subprocess.run(told, capture_output=True, text=True, timeout=30)
        return tuple(map(int, done.stdout.split()))
    return ()


PYTHON = _oldest_python()


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What the condition says once it is true; fails after the deadline."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.02)


class Machine:
    """`home` is its user's folder; `environment` what its programs get."""

    def __init__(self, home: Path, port: int, key: str) -> None:
        self.home = home
        self.url, self.key = f"http://127.0.0.1:{port}", key
        self.environment = {
            "HOME": str(home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "REMEMBRANCER_SHIM_LINGER": "0.05",
        }
        self.configure()

    def configure(self, url: str | None = None, key: str | None = None) -> None:
        folder = self.home / ".config" / "remembrancer"
        folder.mkdir(parents=True, exist_ok=True)
        said = {"url": url or self.url, "key": key or self.key}
        (folder / "config.json").write_text(json.dumps(said))

    @property
    def state(self) -> Path:
        return self.home / ".local" / "state" / "remembrancer"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [PYTHON, "-I", "-S", str(SHIM), *arguments], stdin=pipe, stdout=pipe, stderr=pipe,
            env={**self.environment, **environment}, cwd=self.home,
        )  # fmt: skip

    def run(
        self, *arguments: str, given: bytes = b"", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        try:
            out, error = process.communicate(given, timeout=30)
        finally:
            process.kill()
        return subprocess.CompletedProcess(
            process.args, process.returncode, out.decode(), error.decode()
        )

    def hook(self, payload: Any, agent: str = "claude-code", **environment: str) -> Any:
        """As the agent calls it; what it printed, read as JSON, or None."""
        given = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        done = self.run("hook", agent, given=given, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout) if done.stdout else None

    def queue(self, ending: str = "") -> list[str]:
        found = self.state.glob(f"spool/*/queue/*{ending}")
        return sorted(path.name for path in found)

    def refused(self) -> list[Path]:
        return list(self.state.glob("spool/*/refused/*"))

    def deliverers(self) -> list[int]:
        """The processes that deliver now."""
        found = []
        for path in self.state.glob("spool/*/lock"):
            text = path.read_text()
            if text and is_alive(int(text)):
                found.append(int(text))
        return found

    def settle(self) -> None:
        """Everything is delivered, and nobody works any more."""
        # It may be in one of its longer pauses.
        wait_for(lambda: not self.queue() and not self.deliverers(), seconds=75)

    def log(self) -> str:
        path = self.state / "remember.log"
        return path.read_text() if path.exists() else ""

    def clean(self) -> None:
        for process in self.deliverers():
            os.kill(process, signal.SIGKILL)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


class Door:
    """A port in front of the server, which can be shut, and behind which it can fall silent."""

    def __init__(self, port: int) -> None:
        self.behind = port
        self.listener: socket.socket | None = None
        self.silent = threading.Event()
        self.delay = 0.0
        self.links: list[socket.socket] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def open(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(50)
        self.listener = listener
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.behind))
            self.links += [caller, server]
            for one, other in ((caller, server), (server, caller)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                time.sleep(self.delay)
                if not self.silent.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def shut(self) -> None:
        if self.listener is not None:
            # A thread is in accept(): closing alone would not take the port away from it.
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        for link in self.links:
            link.close()
        self.links.clear()
