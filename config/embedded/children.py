"""The web server and the job worker as child processes: start, watch, restart, drain.

Each child gets a session of its own, so that Ctrl-C in the terminal reaches the supervisor
alone, and the reading end of the lifeline. Not for PostgreSQL (server.py), which is stopped
differently.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from config.embedded.lifeline import VARIABLE

log = logging.getLogger("remembrancer.serve")

PROJECT = Path(__file__).resolve().parent.parent.parent
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# A child that ran this long was well: its next failure begins a new count.
SETTLED_SECONDS = 30.0


class Lifeline:
    """A pipe whose writing end only the supervisor has (see lifeline.py)."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()

    def close(self) -> None:
        os.close(self.reading)
        os.close(self._writing)


class Child:
    """One program that should be running until told otherwise."""

    def __init__(self, name: str, arguments: list[str], lifeline: Lifeline) -> None:
        self.name = name
        self.command = [sys.executable, *arguments]
        self.lifeline = lifeline
        self.process: subprocess.Popen[bytes] | None = None
        self.failures = 0
        self._started = 0.0
        self._due = 0.0

    def start(self) -> None:
        environment = {
            **os.environ,
            VARIABLE: str(self.lifeline.reading),
            # A print from a child must not sit in a buffer when the child is killed.
            "PYTHONUNBUFFERED": "1",
        }
        # Children work under row-level security: the owner's login stays with the supervisor.
        environment.pop("REMEMBRANCER_DATABASE_LOGIN", None)
        self.process = subprocess.Popen(  # noqa: S603  (this interpreter, our programs)
            self.command,
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[self.lifeline.reading],
            start_new_session=True,
        )
        self._started = time.monotonic()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def keep_running(self) -> None:
        """Restarts it if it ended, after a pause that doubles with each failure in a row."""
        now = time.monotonic()
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return
            if now - self._started >= SETTLED_SECONDS:
                self.failures = 0
            self.failures += 1
            pause = min(FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), LONGEST_PAUSE_SECONDS)
            log.error(
                "%s ended (%s); starting it again in %.1f s", self.name, describe_end(status), pause
            )
            self.kill_group()
            self.process = None
            self._due = now + pause
        if now >= self._due:
            self.start()

    def ask(self, request: signal.Signals) -> None:
        """Sends a signal to the child itself; its own children are its business."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(request)

    def kill_group(self) -> None:
        """Ends whatever is left of it, its own children too."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            log.debug("%s left nothing running", self.name)
        self.process.wait()


def describe_end(status: int) -> str:
    """A return code of Popen in words."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"


def drain(children: list[Child], seconds: float, hurried: Callable[[], bool]) -> None:
    """Asks all of them to finish what they do, and waits; ends what does not."""
    for child in children:
        child.ask(signal.SIGTERM)
    deadline = time.monotonic() + seconds
    # A list, so that each is asked and reaped, not only the first that still runs.
    while any([child.running for child in children]):  # noqa: C419
        if hurried() or time.monotonic() >= deadline:
            break
        time.sleep(0.02)
    for child in children:
        if child.running:
            log.warning("%s did not finish in time; ending it", child.name)
        child.kill_group()
