"""Whether there is room to write: the disk of the embedded server, and what a database may have.

PostgreSQL that finds its disk full at a checkpoint stops with a PANIC and serves nobody, so writes
are refused while it still has what it needs for itself; reading and deleting go on. Looked at every
few seconds by each process, and right again by itself when there is room.
"""

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import ParamSpec

import structlog
from django.conf import settings
from django.db import Error, connection

from config.lib.errors import NoRoom

P = ParamSpec("P")
log = structlog.get_logger()

# statvfs takes microseconds; a disk that is written at 500 MB/s loses 1 GB in two seconds.
LOOK_EVERY = 1.0
# pg_database_size asks the file system for every file.
MEASURE_EVERY = 60.0
RETRY_AFTER = 60
# Kept free unless a setting says otherwise: whichever is smaller.
SHARE, MOST_KEPT_FREE = 0.05, 1024**3


@dataclass(frozen=True, slots=True)
class Room:
    """What was seen last, in bytes. None where it is not looked at. `problem` is empty while there
    is room, else what to do."""

    free: int | None = None
    least_free: int | None = None
    used: int | None = None
    most_used: int | None = None
    problem: str = ""


class _Seen:
    def __init__(self) -> None:
        self.lock = Lock()
        self.room = Room()
        self.looked = self.measured = float("-inf")
        self.used: int | None = None


_seen = _Seen()


def room(*, measure: bool = True) -> Room:
    """As of a moment ago. `measure` may ask the database for its size, where a limit is set."""
    now = time.monotonic()
    if now - _seen.looked < LOOK_EVERY:
        return _seen.room
    with _seen.lock:
        if now - _seen.looked < LOOK_EVERY:
            return _seen.room
        first, before, _seen.looked = _seen.looked == float("-inf"), _seen.room, now
        if measure and settings.DATABASE_BYTES and now - _seen.measured >= MEASURE_EVERY:
            _seen.measured = now
            _seen.used = _database_size(_seen.used)
        _seen.room = _look(_seen.used)
    # Not at the first look: a command's own error says it, in one line.
    if not first and bool(before.problem) != bool(_seen.room.problem):
        log.warning("room", problem=_seen.room.problem or "there is room again")
    return _seen.room


def look_anew() -> None:
    """Forget what was seen (what was deleted, in tests)."""
    _seen.looked = _seen.measured = float("-inf")
    _seen.used = None


def require_room() -> None:
    """Raises NoRoom where nothing more is to be written."""
    problem = room().problem
    if problem:
        raise NoRoom(problem, code="no_room", retry_after=RETRY_AFTER)


def needs_room(job: Callable[P, None]) -> Callable[P, None]:
    """For a job that makes the database grow: without room it does nothing, and its sweep finds
    the work again when there is."""

    @functools.wraps(job)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        if not room().problem:
            job(*args, **kwargs)

    return run


def _look(used: int | None) -> Room:
    free = least = None
    problem = ""
    if settings.EMBEDDED and settings.MIN_FREE_BYTES != 0:
        free, least = _free(settings.DATA_DIR)
        if free < least:
            problem = (
                f"The disk of the database is nearly full: {_size(free)} free, {_size(least)} are "
                "kept for the database itself. Make room on it; reading and deleting go on."
            )
    most = settings.DATABASE_BYTES or None
    if most is not None and used is not None and used > most:
        problem = (
            f"The database has {_size(used)}, and may have {_size(most)}. Reading and deleting go "
            "on; REMEMBRANCER_DATABASE_BYTES says how much it may have."
        )
    return Room(free, least, used, most, problem)


def _free(folder: Path) -> tuple[int, int]:
    """(free, to be kept free) of the file system that `folder` will lie on."""
    while not folder.exists():
        folder = folder.parent
    found = os.statvfs(folder)
    total = found.f_blocks * found.f_frsize
    least = settings.MIN_FREE_BYTES
    if least is None:
        least = min(int(total * SHARE), MOST_KEPT_FREE)
    return found.f_bavail * found.f_frsize, least


def _database_size(before: int | None) -> int | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    except Error as error:
        log.warning("database_not_measured", error=type(error).__name__)
        return before


def _size(count: int) -> str:
    return f"{count / 1024**3:,.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:,.0f} MiB"
