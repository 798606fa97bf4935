"""What a killed supervisor left: a postmaster that still runs, its orphans, a stale pid file.

A PID says nothing by itself, because numbers are used again. What counts is the working
directory: every process of a PostgreSQL server sits in its cluster. Called only while the data
directory's lock is held, so that nobody else starts a server here meanwhile. Not for stopping a
server that this process started (server.py).
"""

import logging
import os
import signal
import sys
import time
from pathlib import Path

import psutil

from config.embedded.layout import EmbeddedError
from config.embedded.passage import passage_cluster

log = logging.getLogger("remembrancer.postgres")

POLL_SECONDS = 0.05
# A postmaster whose supervisor was killed is usually stopping already (lifeline.py).
GRACE_SECONDS = 1.0
# Fast shutdown ends with a checkpoint; then immediate shutdown; then there is no more to try.
FAST_SECONDS = 60.0
IMMEDIATE_SECONDS = 15.0


def clear_leftovers(cluster: Path) -> None:
    """Returns once no server runs in this cluster and no pid file stands in the way.

    Raises EmbeddedError when something will not stop.
    """
    pid_file = cluster / "postmaster.pid"
    if not pid_file.exists() and not running_in(cluster):
        return
    _wait(cluster, GRACE_SECONDS)
    for request, patience in (
        (signal.SIGINT, FAST_SECONDS),
        (signal.SIGQUIT, IMMEDIATE_SECONDS),
    ):
        found = running_in(cluster)
        if not found:
            break
        log.warning(
            "a PostgreSQL server of an earlier start still runs here (process %s); stopping it",
            found[0].pid,
        )
        for process in _heads(found):
            _signal(process, request)
        _wait(cluster, patience)
    left = running_in(cluster)
    if left:
        numbers = ", ".join(str(process.pid) for process in left)
        raise EmbeddedError(
            f"{cluster}: a PostgreSQL server of an earlier start does not stop (processes "
            f"{numbers}); end them, then start again"
        )
    if pid_file.exists():
        # PostgreSQL itself would refuse to start if another program has this number by now.
        log.warning("removing the stale %s: no PostgreSQL process is left here", pid_file)
        pid_file.unlink()


def running_in(cluster: Path) -> list[psutil.Process]:
    """PostgreSQL's processes of this cluster, oldest first."""
    found = []
    for process in psutil.process_iter():
        try:
            # Someone's shell may stand in the folder: that is no server.
            if process.name().startswith("postgres") and _belongs(process, cluster):
                found.append(process)
        except (psutil.NoSuchProcess, FileNotFoundError):
            continue  # it ended while we looked, which is what we wait for
    return sorted(found, key=lambda process: process.create_time())


def _belongs(process: psutil.Process, cluster: Path) -> bool:
    if not cluster.exists():
        return False
    try:
        if sys.platform == "linux":
            # The folder itself and not its name: through a passage it has another (passage.py).
            return os.path.samefile(f"/proc/{process.pid}/cwd", cluster)
        return bool(process.cwd() == os.path.realpath(cluster))
    except (psutil.AccessDenied, PermissionError):
        return _belongs_by_name(process, cluster)


def _belongs_by_name(process: psutil.Process, cluster: Path) -> bool:
    """Where root may not look into other users' processes (in most containers).

    A postmaster's command line names its cluster. Its children's does not, but they have the
    postmaster as parent; a child without one is an orphan, and no good to any cluster.
    """
    if process.uids().real != cluster.stat().st_uid:
        return False
    head = process
    while (parent := head.parent()) is not None and parent.name().startswith("postgres"):
        head = parent
    words = head.cmdline()
    if "-D" not in words:
        return True
    names = {os.path.realpath(cluster), str(passage_cluster(cluster))}
    return words[words.index("-D") + 1] in names


def _heads(processes: list[psutil.Process]) -> list[psutil.Process]:
    """The postmaster; or, where it was killed itself, the orphans it left."""
    numbers = {process.pid for process in processes}
    heads = []
    for process in processes:
        try:
            if process.ppid() not in numbers:
                heads.append(process)
        except psutil.NoSuchProcess:
            continue
    return heads


def _signal(process: psutil.Process, request: signal.Signals) -> None:
    try:
        # psutil compares the start time first, so a number used again is not hit.
        process.send_signal(request)
    except psutil.NoSuchProcess:
        log.info("process %s ended by itself", process.pid)


def _wait(cluster: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while running_in(cluster) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
