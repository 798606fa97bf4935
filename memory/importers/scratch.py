"""The folder of a run for what it keeps beside its memory: gone with the run, however that ends.

A run that was killed leaves its folder; nobody holds its lock then, and the next run removes it.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from memory.importers.problems import SourceError

PREFIX = "remembrancer-import-"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder of one's own in the folder for temporary files."""
    _remove_left()
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        held = _locked(folder)
        if held is not None and folder.exists():
            break
        # Another run took it for a left one, before it was locked.
        _let_go(held)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _let_go(held)


def no_room() -> SourceError:
    """One line for a disk without room for such a folder."""
    return SourceError(
        f"no space left for a copy of the source in {tempfile.gettempdir()}: free some, or set "
        "TMPDIR to a folder with more"
    )


def _remove_left() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        held = _locked(folder)
        if held is not None:
            shutil.rmtree(folder, ignore_errors=True)
            _let_go(held)


def _locked(folder: Path) -> int | None:
    """A lock on it, which ends with this process; None where another holds it, or it is not ours
    to touch."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(held).st_uid == os.geteuid():
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
    except OSError:
        os.close(held)
        return None
    os.close(held)
    return None


def _let_go(held: int | None) -> None:
    if held is not None:
        os.close(held)
