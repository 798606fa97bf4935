"""The parent of a worker's command: ends it when the runner is gone or the lease runs out.

The runner may be killed (its end of the leash closes), stopped, cut off from the database or
asleep with its machine (nothing comes over the leash any more); each time the lease runs out, and
somebody else may then claim the worker. So the lease is kept here, beside the command: both are
one process group, and nothing of it is alive after the lease.

Run as a program of its own, with the standard library alone, so that it starts in no time:
guard.py LEASH STATUS SECONDS GRACE COMMAND ...
LEASH is a descriptor from which lines of seconds are read, each how long the lease still runs.
STATUS is one to which `exit CODE`, `late` (the lease was over first) or `start PROBLEM` is
written. Sleeping counts: the clock goes on while the machine is suspended, where it has such one.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from types import FrameType

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def clock() -> float:
    return time.clock_gettime(_CLOCK)


def main(leash: int, status: int, seconds: float, grace: float, command: list[str]) -> None:
    ends = clock() + seconds
    for descriptor in (leash, status):
        os.set_inheritable(descriptor, False)
    # The group is told to stop, and this process is of it: it stays to see the command go.
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(one, _nothing)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        child = subprocess.Popen(command)  # noqa: S603  (what the operator asked for)
    except OSError as error:
        _say(status, f"start {error}")
        return
    # Only the command holds the pipes: their end is the end of its output.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    late = _watch(child, leash, woken, ends, grace)
    if late:
        _say(status, "late")
    elif child.returncode is not None:
        _say(status, f"exit {child.returncode}")
    # Whatever the command has left behind, and this process.
    os.killpg(0, signal.SIGKILL)


def _watch(
    child: "subprocess.Popen[bytes]", leash: int, woken: int, ends: float, grace: float
) -> bool:
    """Until the command has ended, or its time is up; whether it was asked to stop for that."""
    watched = [leash, woken]
    asked = False
    while child.poll() is None:
        # Asked to stop early enough to be gone when the lease is.
        due = ends if asked else ends - grace
        left = due - clock()
        if left <= 0 and asked:
            return True
        if left <= 0:
            asked = True
            os.killpg(0, signal.SIGTERM)
            continue
        ready, _, _ = select.select(watched, [], [], left)
        if woken in ready:
            os.read(woken, 1024)
        if leash in ready:
            said = os.read(leash, 1024)
            if not said:
                watched.remove(leash)
                ends = min(ends, clock() + grace)
                continue
            # Of several lines the last counts.
            with contextlib.suppress(ValueError, IndexError):
                ends = clock() + float(said.split()[-1])
    return asked


def _say(status: int, text: str) -> None:
    # The runner may be gone.
    with contextlib.suppress(OSError):
        os.write(status, text.encode(errors="replace")[:2000])


def _nothing(number: int, frame: FrameType | None) -> None:
    pass


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
