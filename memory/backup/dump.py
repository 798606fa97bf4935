"""One backup file: under its own name once it is whole and on disk, and nothing otherwise."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from config.embedded.layout import sync_directory
from config.lib import clock
from memory.backup.programs import (
    BackupError,
    Login,
    bundled_program,
    enough_room,
    major_of,
    program_for,
    run,
)
from memory.importers.sniff import sniff

PREFIX, ENDING = "remembrancer-", ".dump"
PARTIAL = ".part"
MAGIC = b"PGDMP"
CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Dump:
    """A file, and the moment whose rows it has."""

    path: Path
    bytes: int
    sha256: str
    at: datetime


def names(folder: Path) -> list[Path]:
    """The backups in a folder, oldest first: their names carry the time."""
    return sorted(folder.glob(f"{PREFIX}*{ENDING}"))


@contextlib.contextmanager
def folder_for_backups(folder: Path) -> Iterator[None]:
    """The folder, made 0700, for one backup at a time. What a killed one left is removed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BackupError(
            f"{folder}: backups cannot be written there ({error.strerror}); name another folder "
            "with --to or REMEMBRANCER_BACKUP_DIR"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(
                f"{folder}: another backup is being made there; wait for its end"
            ) from None
        for left in folder.glob(f".{PREFIX}*{PARTIAL}"):
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def dump(login: Login, folder: Path) -> Dump:
    """A dump of the whole database, in the caller's locked folder. Raises BackupError."""
    program = program_for("pg_dump", major_of(login), login)
    at = clock.now()
    name = f"{PREFIX}{at.astimezone(UTC):%Y%m%d-%H%M%S}Z{ENDING}"
    draft, final = folder / f".{name}{PARTIAL}", folder / name
    if final.exists():
        raise BackupError(f"{final}: is there already; try again in a second")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            # By name: through a pipe or an open file its table of contents would be there twice,
            # and a file cut off at its end look whole.
            with enough_room(folder, "for the backup", "or name another folder with --to"):
                run(program, ["--format=custom", f"--file={draft}"], login=login)
            os.fsync(file.fileno())
        found = Dump(final, draft.stat().st_size, digest_of(draft), at)
        os.rename(draft, final)
        sync_directory(folder)
    except OSError as error:
        raise BackupError(f"{folder}: {error.strerror}; no backup was made") from None
    finally:
        draft.unlink(missing_ok=True)
    return found


def require_backup(path: Path) -> None:
    """Refuses what is no whole backup: another file, one that is cut off, or one closed to us."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError as error:
        raise BackupError(f"{path}: cannot be read ({error.strerror})") from None
    if head != MAGIC:
        raise BackupError(
            f"{path}: is no backup made by `manage.py backup`; it {sniff(path).sentence(path)}"
        )
    try:
        # All of it is read, and nothing written.
        run(bundled_program("pg_restore"), ["--file=/dev/null", str(path)])
    except BackupError as error:
        raise BackupError(f"{path}: is damaged or cut off ({error}); use another one") from None


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
