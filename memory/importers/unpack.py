"""Archives that were uploaded: taken apart into a folder, with nothing outside it and no bombs.

Zip and tar, also compressed with gzip, bzip2 or xz. Only plain files and folders come out of one;
links and devices are left in it. Not for what an importer reads itself (a .gz of one file).
"""

import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from memory.importers.problems import SourceError
from memory.importers.storable import shown
from memory.importers.uploads import SPARE_BYTES, opened, private

MAX_ENTRIES = 100_000
MAX_DEPTH = 40
# Of what an upload may have: text is a tenth of itself in an archive.
TIMES = 5
# Of a zip's table of contents, which is read whole.
MAX_CONTENTS = 32 * 1024 * 1024
_CHUNK = 1024 * 1024
_LOOK_AT_DISK = 64 * _CHUNK
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
    NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip


def is_archive(path: Path) -> bool:
    """By its content, whatever it is called."""
    with open(path, "rb") as stream:
        head = stream.read(512)
    if head.startswith(_ZIP):
        return True
    if head[257:262] == b"ustar" or head.startswith(_PACKED):
        try:
            return tarfile.is_tarfile(path)
        except (OSError, *_BROKEN):
            return False
    return False


def unpack(path: Path, target: Path, most: int, proceed: Callable[[], None]) -> tuple[int, int]:
    """Take an archive apart into `target`, a new folder; (bytes, how many entries were left in it:
    links, devices). At most `most` bytes come out. SourceError, one line, where it is broken, too
    large or would write elsewhere; nothing of it is of use then. `proceed` is called now and then.
    """
    target.mkdir(mode=0o700)
    box = _Box(path, target, most, proceed)
    try:
        with open(path, "rb") as stream:
            packed = stream.read(4)
        if packed in _ZIP:
            _unzip(path, box)
        else:
            _untar(path, box)
    except SourceError:
        raise
    except _BROKEN as error:
        raise SourceError(f"{shown(Path(path.name))} is a damaged archive ({error})") from None
    except OSError as error:
        raise SourceError(f"{shown(Path(path.name))}: {error.strerror or error}") from None
    return box.size, box.left


@dataclass
class _Box:
    """What came out so far, and what may."""

    path: Path
    target: Path
    most: int
    proceed: Callable[[], None]
    entries: int = 0
    size: int = 0
    left: int = 0

    def place(self, name: str) -> Path | None:
        """Where an entry goes; None for the folder itself."""
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise self.refused(f"holds more than {MAX_ENTRIES:,} files")
        if self.entries % 1000 == 0:
            self.proceed()
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if "\x00" in name or ".." in parts or (parts and parts[0].startswith(("/", "~"))):
            raise self.refused("holds a path that leads out of it")
        if len(parts) > MAX_DEPTH:
            raise self.refused(f"holds folders more than {MAX_DEPTH} deep")
        return self.target.joinpath(*parts) if parts else None

    def write(self, place: Path, content: IO[bytes]) -> None:
        private(place.parent)
        with opened(place, os.O_CREAT | os.O_TRUNC) as stream:
            while chunk := content.read(_CHUNK):
                before, self.size = self.size, self.size + len(chunk)
                if self.size > self.most:
                    raise self.refused(f"unpacks to more than {self.most / 1024**2:,.0f} MiB")
                if self.size // _LOOK_AT_DISK > before // _LOOK_AT_DISK:
                    self.proceed()
                    if shutil.disk_usage(self.target).free < SPARE_BYTES:
                        raise self.refused("needs more room than the server's disk has")
                stream.write(chunk)

    def refused(self, why: str) -> SourceError:
        return SourceError(f"{shown(Path(self.path.name))} {why}; it was not taken")


def _unzip(path: Path, box: _Box) -> None:
    with open(path, "rb") as stream:
        end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]
    if end and end[zipfile._ECD_SIZE] > MAX_CONTENTS:  # type: ignore[attr-defined]
        raise box.refused(f"holds more than {MAX_ENTRIES:,} files")
    with zipfile.ZipFile(path) as archive:
        for one in archive.infolist():
            place = box.place(one.filename)
            kind = stat.S_IFMT(one.external_attr >> 16)
            if place is None:
                continue
            if one.is_dir():
                private(place)
            elif kind not in (0, stat.S_IFREG):
                box.left += 1
            elif one.flag_bits & 1:
                raise box.refused("is locked by a password")
            else:
                with archive.open(one) as content:
                    box.write(place, content)


def _untar(path: Path, box: _Box) -> None:
    with tarfile.open(path) as archive:
        # One by one: what a list of all of them takes is up to who made it.
        while (one := archive.next()) is not None:
            place = box.place(one.name)
            archive.members = []  # type: ignore[attr-defined]
            if place is None:
                continue
            if one.isdir():
                private(place)
            elif not one.isreg():
                box.left += 1
            elif (content := archive.extractfile(one)) is not None:
                with content:
                    box.write(place, content)
