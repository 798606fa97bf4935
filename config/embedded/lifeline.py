"""How a process learns that the one which started it is gone, however it went.

A `kill -9` runs no handler, so children watch instead: the parent holds the writing end of a
pipe and never writes, and the reading end sees end-of-file when the parent is no more. On Linux
the kernel can send a signal as well, which serves programs that cannot watch (PostgreSQL).
Not for orderly stops (those are signals from the supervisor).
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

VARIABLE = "REMEMBRANCER_LIFELINE_FD"
# The embedded database goes when the supervisor goes, so there is nothing left to finish with;
# with a database of one's own, what runs gets the usual time and a little more.
EMBEDDED_GRACE_SECONDS = 3.0
GRACE_MARGIN_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


def grace_seconds(*, embedded: bool, shutdown_seconds: float) -> float:
    """How long a process may go on after its supervisor was killed."""
    return EMBEDDED_GRACE_SECONDS if embedded else shutdown_seconds + GRACE_MARGIN_SECONDS


def watch_lifeline(grace: float) -> None:
    """Starts a thread that stops this process when its supervisor is gone.

    First SIGTERM, so that what runs is finished; SIGKILL after `grace` seconds. Does nothing in
    a process that was started without a lifeline.
    """
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return
    descriptor = int(number)
    os.set_inheritable(descriptor, False)

    def watch() -> None:
        # Nothing is ever written: read returns only at end-of-file.
        os.read(descriptor, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def die_with_parent(
    request: signal.Signals, parent: int | None = None
) -> Callable[[], None] | None:
    """For Popen's preexec_fn: the kernel sends `request` when the starting thread ends.

    Linux only; None elsewhere, where the next start deals with what is left. Set after the
    change of user, which would clear it: Popen calls preexec_fn last. `parent` is who must be
    alive; this process, unless told otherwise.
    """
    if sys.platform != "linux":
        return None
    # Looked up before the fork: nothing may be loaded between fork and exec.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    expected = os.getpid() if parent is None else parent

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(request), 0, 0, 0)
        if os.getppid() != expected:  # it died before the line above
            os._exit(1)

    return arm
