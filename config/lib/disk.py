"""A disk that is full: how it is noticed, whoever says so. Not for what to do about it."""

import errno
import shutil
from pathlib import Path

from django.conf import settings
from django.db import InterfaceError, OperationalError
from psycopg.errors import DiskFull

_NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT})
# As the C library and SQLite say it, and so every program whose words are passed on.
_WORDS = ("No space left on device", "database or disk is full")
# PostgreSQL stops where it cannot write the next 16 MB of its log, and gives back what it wrote.
_TWO_SEGMENTS = 32 * 1024 * 1024


def says_full(error: BaseException) -> bool:
    """Whether an error, or what caused it, is that of a full disk."""
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return True
    if isinstance(error, DiskFull) or any(words in str(error) for words in _WORDS):
        return True
    return error.__cause__ is not None and says_full(error.__cause__)


def nearly_full(folder: Path) -> bool:
    """Whether a PostgreSQL in this folder that went away may have done so for want of room."""
    try:
        return shutil.disk_usage(folder).free < _TWO_SEGMENTS
    except OSError:
        return False


def database_is_full(error: BaseException) -> bool:
    """Whether the database's disk is why a statement failed, or why nobody answers any more."""
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    return says_full(error) or (bool(settings.EMBEDDED) and nearly_full(settings.DATA_DIR))
