"""Reads an export line by line: first whether it is whole, then its rows in batches of a kind."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memory.exports.kinds import kinds
from memory.exports.ndjson import FORMAT, VERSION
from memory.importers.problems import Code, Problem, SourceError
from memory.importers.remembrancer.store import Batch, Store
from memory.importers.rows import Entry
from memory.importers.sniff import existing_file, sniff
from memory.importers.source import Options
from memory.importers.storable import shown

BATCH_ROWS, BATCH_BYTES = 500, 4_000_000
# A row may hold a body of a megabyte; what is longer was not written by us.
LONGEST_LINE = 64 * 1024 * 1024
NAME = "remembrancer"
# What a chain of changes is about only in the workspace in which it was made.
HISTORY = {"contacts.revision", "contacts.revisionseal"}


class Remembrancer:
    name = NAME
    title = "An export of Remembrancer (manage.py export)"
    times = "every time has its zone"

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Export"]:
        yield Export(Path(where).expanduser(), keep_ids=options.keep_ids)


class Export:
    """A file that is whole: its head and its last line were read."""

    def __init__(self, path: Path, *, keep_ids: bool) -> None:
        self.path = path
        self.keep_ids = keep_ids
        self.head = _head(path)
        self.totals: Mapping[str, int] = _counted(path)
        self.problems: Sequence[Problem] = [
            Problem("kinds", None, f"{rows:,} rows of {kind!r:.60}", "left out", code)
            for kind, rows in self.totals.items()
            if (code := self._not_carried(kind)) is not None
        ]
        self.totals = {k: n for k, n in self.totals.items() if self._not_carried(k) is None}

    def _not_carried(self, kind: str) -> Code | None:
        if kind not in kinds():
            return Code.UNKNOWN_TABLE
        return Code.NOT_CARRIED if kind in HISTORY and not self.keep_ids else None

    def entries(self) -> Iterator[Entry]:
        store = Store(keep_ids=self.keep_ids)
        batch: list[dict[str, Any]] = []
        size, kind = 0, ""
        for line, found in _rows(self.path):
            if found["kind"] not in self.totals:
                continue
            if batch and (found["kind"] != kind or len(batch) == BATCH_ROWS or size > BATCH_BYTES):
                yield _entry(store, kind, batch)
                batch, size = [], 0
            kind = found["kind"]
            batch.append(found["row"])
            size += len(line)
        if batch:
            yield _entry(store, kind, batch)
        yield Entry("references", "", work=store.last())


def _entry(store: Store, kind: str, batch: list[dict[str, Any]]) -> Entry:
    return Entry(kind, str(batch[0].get("id", "")), work=Batch(store, kinds()[kind], batch))


def exported_workspace(where: str) -> dict[str, Any]:
    """What an export says of its workspace: id, slug, name, settings. Raises SourceError."""
    found: dict[str, Any] = _head(Path(where).expanduser())["workspace"]
    return found


def _head(path: Path) -> dict[str, Any]:
    existing_file(path, "name the file in it")
    try:
        with path.open("rb") as file:
            first = file.readline(LONGEST_LINE)
    except OSError as error:
        raise SourceError(f"{shown(path)}: cannot be read ({error.strerror})") from None
    try:
        head = json.loads(first)
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise SourceError(
            f"{shown(path)}: is no export of ours in NDJSON; it {sniff(path).sentence(path)}"
        )
    if not isinstance(head.get("version"), int) or not isinstance(head.get("workspace"), dict):
        raise SourceError(f"{shown(path)}: its first line is damaged; export it again")
    if head["version"] > VERSION:
        raise SourceError(
            f"{shown(path)}: is of version {head['version']} of the format, and this release knows "
            f"{VERSION}; import it with the release that made it, or a newer one"
        )
    return head


def _counted(path: Path) -> dict[str, int]:
    """Rows by kind, as the last line says; the file is read once to see that it holds."""
    digest = hashlib.sha256()
    last = b""
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE):
            digest.update(last)
            last = line
    try:
        manifest = json.loads(last)["manifest"]
        rows, said = dict(manifest["rows"]), str(manifest["sha256"])
    except (ValueError, KeyError, TypeError):
        raise SourceError(
            f"{shown(path)}: is cut off: its last line is no manifest; export it again"
        ) from None
    if said != digest.hexdigest():
        raise SourceError(
            f"{shown(path)}: was changed or damaged since it was written (its SHA-256 differs); "
            "export it again"
        )
    return {str(kind): int(count) for kind, count in rows.items()}


def _rows(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    with path.open("rb") as file:
        file.readline(LONGEST_LINE)
        while line := file.readline(LONGEST_LINE):
            # Not the faster orjson, which rounds integers beyond 64 bits.
            found = json.loads(line)
            if "row" in found and "kind" in found:
                yield line, found


REMEMBRANCER = Remembrancer()
