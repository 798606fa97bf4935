"""A worker's command as a process group of its own, with its guard as the leader.

Not for what the command prints (output.py) or when it is ended (run.py).
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
# Between the guard's last moment and the lease's: two processes never see the same instant.
MARGIN = 0.1


class Child:
    """A started command. Read `stdout`, `stderr` and `status` until each is at its end.

    `status` brings `exit CODE` (negative: the signal that ended it), `late` (the lease was over
    first) or `start PROBLEM`; nothing where the guard itself was killed. Raises OSError where not
    even the guard can be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: str | None,
        environment: Mapping[str, str],
        text: str,
        lease_seconds: float,
        grace: float,
    ) -> None:
        # A file rather than a pipe: a command that never reads must not block who writes.
        with tempfile.TemporaryFile() as given, contextlib.ExitStack() as ours:
            given.write(text.encode(errors="replace"))
            given.seek(0)
            leash, self.leash = os.pipe()
            self.status, status = os.pipe()
            ours.callback(os.close, leash)
            ours.callback(os.close, status)
            os.set_blocking(self.leash, False)
            try:
                self.process = subprocess.Popen(  # noqa: S603  (this interpreter, our guard)
                    [
                        *(sys.executable, "-I", "-S", str(GUARD), str(leash), str(status)),
                        *(str(lease_seconds * (1 - MARGIN)), str(grace), *command),
                    ],
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=folder,
                    env=dict(environment),
                    pass_fds=(leash, status),
                    # Ctrl-C in the runner's terminal is the runner's business.
                    start_new_session=True,
                )
            except BaseException:
                os.close(self.leash)
                os.close(self.status)
                raise
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdout = self.process.stdout.fileno()
        self.stderr = self.process.stderr.fileno()

    def allow(self, seconds: float) -> None:
        """The lease runs so much longer from now."""
        # A guard that is gone needs no telling; one that does not read has lines enough.
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self.leash, f"{seconds * (1 - MARGIN):.3f}\n".encode())

    def signal(self, request: signal.Signals) -> None:
        """To the whole group. Its number is nobody else's before `close` reaps the leader."""
        # On macOS a group of zombies is forbidden rather than absent.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, request)

    def close(self) -> None:
        """End whatever is left of the group, and wait for its leader."""
        self.signal(signal.SIGKILL)
        self.process.wait()
        os.close(self.leash)
        os.close(self.status)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
