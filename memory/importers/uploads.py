"""What was uploaded to be imported: a folder for each run in the data directory, private, and gone
after the run or after a day.

`files/` in it holds what was uploaded, `address` what was typed instead (a path or a URL, which may
hold a password). Not for what is in the files: sniff.py, unpack.py.
"""

import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from django.conf import settings

from config.lib import clock
from config.lib.errors import Conflict, Invalid
from memory.importers.registry import SOURCES
from memory.importers.sniff import sniff
from memory.importers.sqlite import SIDE_FILES
from memory.importers.storable import shown

MAX_FILES = 200
MAX_NAME_BYTES = 200
# What has to stay free on the disk, for the database that writes there.
SPARE_BYTES = 1024**3
KEPT_SECONDS = 24 * 3600
# Files that are looked at, and those named on the page.
LOOKED_AT, NAMED = 500, 50
_CHUNK = 256 * 1024


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Announced:
    """A file that is to come, with its size in bytes."""

    name: str
    size: int


def root() -> Path:
    return Path(settings.DATA_DIR) / "imports"


def folder_of(workspace_id: uuid.UUID, run_id: uuid.UUID) -> Path:
    return root() / str(workspace_id) / str(run_id)


def files_of(folder: Path) -> Path:
    return folder / "files"


def announce(names: Sequence[str], sizes: Sequence[int]) -> list[Announced]:
    """Files as they will be called here. Invalid where they are too many, too large, or the disk
    has no room for them."""
    if not names or len(names) != len(sizes):
        raise Invalid({"files": "choose at least one file"})
    if len(names) > MAX_FILES:
        raise Invalid({"files": f"at most {MAX_FILES} at once; put more into a zip or tar.gz"})
    if min(sizes) < 0 or sum(sizes) > settings.IMPORT_BYTES:
        limit = settings.IMPORT_BYTES / 1024**2
        raise Invalid(
            {
                "files": f"at most {limit:,.0f} MiB together (REMEMBRANCER_IMPORT_BYTES); larger "
                "ones are imported by `manage.py import` on the server"
            }
        )
    base = root()
    private(base)
    if shutil.disk_usage(base).free < sum(sizes) + SPARE_BYTES:
        raise Invalid({"files": "the server's disk has no room for them"})
    cleaned = [_clean(name) for name in names]
    if len(set(cleaned)) < len(cleaned):
        raise Invalid({"files": "two of them have one name"})
    return [Announced(name, size) for name, size in zip(cleaned, sizes, strict=True)]


def _clean(name: str) -> str:
    """The last part of a name, as one of a file here; no two systems agree on the rest."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c if c.isprintable() and c != "\ufffd" else "_" for c in last).strip()
    if kept.strip(".") == "":
        raise Invalid({"files": "one of them has no name"})
    raw = kept.encode("utf-8", "replace")
    if len(raw) <= MAX_NAME_BYTES:
        return kept
    # Its ending says more than the middle.
    return raw[-MAX_NAME_BYTES:].decode("utf-8", "ignore")


def make(folder: Path) -> None:
    private(files_of(folder))


def private(folder: Path) -> None:
    """A folder that is nobody else's, and those above it that are missing."""
    if not folder.exists():
        private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def write_address(folder: Path, address: str) -> None:
    private(folder)
    with opened(folder / "address", os.O_CREAT | os.O_EXCL) as stream:
        stream.write(address.encode("utf-8", "surrogateescape"))


def read_address(folder: Path) -> str | None:
    try:
        return (folder / "address").read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def opened(path: Path, flags: int) -> IO[bytes]:
    """For writing, nobody else's to read, and never through a link."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    return os.fdopen(descriptor, "wb")


def append(folder: Path, file: Announced, offset: int, body: Stream) -> int:
    """Add a piece of a file at `offset`; its size then. Conflict where it is not there that the
    next piece belongs (its message's `code` is `offset`), Invalid where it is longer than said."""
    path = files_of(folder) / file.name
    try:
        stream = opened(path, os.O_CREAT)
    except FileNotFoundError:
        raise Conflict("This upload is not there any more.", code="gone") from None
    with stream:
        size = os.fstat(stream.fileno()).st_size
        if size != offset:
            raise Conflict(f"{size} bytes of it are here.", code="offset")
        stream.seek(offset)
        while chunk := body.read(_CHUNK):
            if offset + len(chunk) > file.size:
                raise Invalid({"files": "a file is longer than it was said to be"})
            stream.write(chunk)
            offset += len(chunk)
    return offset


def sizes(folder: Path) -> dict[str, int]:
    """Of the files that are here, or begun."""
    try:
        return {one.name: one.stat().st_size for one in files_of(folder).iterdir()}
    except FileNotFoundError:
        return {}


def is_there(folder: Path) -> bool:
    return folder.is_dir()


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def old_ones() -> Iterator[tuple[uuid.UUID, uuid.UUID]]:
    """(workspace, run) of folders that nobody has touched for a day."""
    oldest = clock.now().timestamp() - KEPT_SECONDS
    for folder in root().glob("*/*"):
        try:
            found = uuid.UUID(folder.parent.name), uuid.UUID(folder.name)
            newest = max(folder.stat().st_mtime, files_of(folder).stat().st_mtime)
        except ValueError:
            continue
        except FileNotFoundError:
            newest = folder.stat().st_mtime if folder.exists() else clock.now().timestamp()
        if newest < oldest:
            yield found


# --- What to read of it -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """`found` are files as {path, what, source}; `read` is the path below `files/` that a source is
    best given, and `source` the one that takes it, if any does."""

    found: list[dict[str, Any]]
    source: str
    read: str


def look(folder: Path) -> Look:
    """What the upload looks like, by the first files of it."""
    return look_at(files_of(folder))


def look_at(base: Path) -> Look:
    """What a folder or a file looks like."""
    if not base.is_dir():
        guess = sniff(base)
        source = guess.importer if guess.importer in SOURCES else ""
        one = {"path": shown(Path(base.name)), "what": guess.what[:300], "source": source or ""}
        return Look([one], source or "", "")
    top = base
    while len(inside := list(top.iterdir())) == 1 and inside[0].is_dir():
        top = inside[0]
    found = []
    for path in _walk(top):
        guess = sniff(path)
        source = guess.importer if guess.importer in SOURCES else ""
        place = path.relative_to(base).as_posix()
        found.append({"path": shown(Path(place)), "what": guess.what[:300], "source": source or ""})
        if len(found) == LOOKED_AT:
            break
    takers = Counter(one["source"] for one in found if one["source"])
    source = takers.most_common(1)[0][0] if takers else ""
    whole = "" if top == base else top.relative_to(base).as_posix()
    mine = [one["path"] for one in found if one["source"] == source]
    read = mine[0] if len(mine) == 1 and (source or len(found) == 1) else whole
    # Those that somebody reads first.
    found.sort(key=lambda one: (not one["source"], one["path"]))
    return Look(found[:NAMED], source, read)


def _walk(top: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            if not name.endswith(SIDE_FILES):
                yield Path(place) / name


def chosen(folder: Path, read: str) -> Path:
    """The path that a source is given; Invalid where `read` leads out of the upload."""
    base = files_of(folder).resolve()
    path = (base / read).resolve()
    if not path.is_relative_to(base) or not path.exists():
        raise Invalid({"read": "is not a part of what was uploaded"})
    return path
