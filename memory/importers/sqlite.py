"""SQLite sources: copied with their side files, opened as a copy, read by names.

The source is never opened itself: even a reader makes a -shm beside a database in WAL mode, and
may fold the -wal into it. What it copies is a moment of the source only where nobody writes; a
copy that is torn is found damaged, and said so.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from config.lib.disk import says_full
from memory.importers.problems import Code, Problem, SourceError
from memory.importers.scratch import no_room
from memory.importers.sniff import existing_file, sniff
from memory.importers.storable import shown

SIDE_FILES = ("-wal", "-shm", "-journal")
MAGIC = b"SQLite format 3\x00"
_INTERNAL = ("sqlite_",)


def copied(path: Path, scratch: Path) -> Path:
    """A copy of a database and of what lies beside it, in `scratch`. SourceError in one line."""
    check_file(path)
    target = scratch / "source.db"
    try:
        for suffix in ("", *SIDE_FILES):
            side = path.with_name(path.name + suffix)
            if not suffix or side.exists():
                shutil.copyfile(side, target.with_name(target.name + suffix))
    except OSError as error:
        if says_full(error):
            raise no_room() from None
        raise SourceError(f"{shown(path)}: {error.strerror or error}") from None
    return target


def check_file(path: Path) -> None:
    """SourceError, where `path` is no SQLite database: what it looks like, and who takes it."""
    existing_file(path, "name the database file in it")
    try:
        with open(path, "rb") as stream:
            head = stream.read(len(MAGIC))
    except OSError as error:
        raise SourceError(f"{shown(path)}: {error.strerror or error}") from None
    if head != MAGIC:
        raise SourceError(f"{shown(path)} {sniff(path).sentence(path)}")


def wrong_kind(path: Path, wanted: str) -> SourceError:
    return SourceError(f"{shown(path)} is no {wanted}: it {sniff(path).sentence(path)}")


class Database:
    """A copied database, open. Text that is not UTF-8 keeps what can be read."""

    def __init__(self, path: Path, original: Path) -> None:
        self.original = original
        try:
            # Read ahead in a thread, by one at a time.
            self.connection = sqlite3.connect(
                path, timeout=1, isolation_level=None, check_same_thread=False
            )
            self.connection.row_factory = sqlite3.Row
            # What is not UTF-8 becomes lone surrogates, which the frame replaces and reports.
            self.connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            self.connection.execute("PRAGMA temp_store = FILE")
            self.connection.execute("PRAGMA cache_size = -16000")
            self.tables = self._tables()
        except sqlite3.Error as error:
            raise self.error(error) from None

    def close(self) -> None:
        self.connection.close()

    def error(self, error: sqlite3.Error) -> SourceError:
        """One line for a database that cannot be read."""
        name = shown(self.original)
        if "locked" in str(error) or "busy" in str(error):
            return SourceError(f"{name} is locked: stop the program that writes it, and try again")
        if says_full(error):
            return no_room()
        return SourceError(
            f"{name} is a damaged SQLite database ({error}); if a program is writing it, stop that "
            f"and try again, else repair a copy with `sqlite3 {name} .recover`"
        )

    def _tables(self) -> dict[str, list[str]]:
        """Each table with the names of its columns, in their order."""
        names = [
            str(name)
            for (name,) in self.connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            )
            if not str(name).startswith(_INTERNAL)
        ]
        return {
            name: [
                str(row[1]) for row in self.connection.execute(f"PRAGMA table_info({quoted(name)})")
            ]
            for name in names
        }

    def count(self, table: str) -> int:
        try:
            row = self.connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()  # noqa: S608
        except sqlite3.Error as error:
            raise self.error(error) from None
        return int(row[0])

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """A statement that fills a temporary table."""
        try:
            self.connection.execute(sql, parameters)
        except sqlite3.Error as error:
            raise self.error(error) from None

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        """The rows of a statement, streamed."""
        try:
            for row in self.connection.execute(sql, parameters):
                yield dict(row)
        except sqlite3.Error as error:
            raise self.error(error) from None

    def table(self, name: str, order: str = "rowid") -> Iterator[dict[str, Any]]:
        """Every row of a table in the order it was written, streamed; none without the table."""
        if name in self.tables:
            yield from self.rows(f"SELECT * FROM {quoted(name)} ORDER BY {order}")  # noqa: S608

    def unknown(
        self, known: Mapping[str, Sequence[str]], ignored: Mapping[str, str]
    ) -> list[Problem]:
        """What of the database is not carried over: tables and columns that `known` does not name,
        and those in `ignored`, with why. Empty tables are no loss."""
        found = []
        for table, columns in self.tables.items():
            if table in known:
                new = [column for column in columns if column not in known[table]]
                if new:
                    found.append(
                        Problem(
                            table, None, f"unknown columns {', '.join(new)}", "left out",
                            Code.UNKNOWN_COLUMN,
                        )
                    )  # fmt: skip
                continue
            rows = self.count(table)
            if not rows:
                continue
            if table in ignored:
                found.append(
                    Problem(
                        table, None, f"{rows:,} rows: {ignored[table]}", "skipped", Code.NOT_CARRIED
                    )
                )
            else:
                found.append(
                    Problem(
                        table, None, f"unknown table with {rows:,} rows", "skipped",
                        Code.UNKNOWN_TABLE,
                    )
                )  # fmt: skip
        return found


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextlib.contextmanager
def opened(path: Path, scratch: Path) -> Iterator[Database]:
    """A copy of the database at `path`, open until the block ends."""
    database = Database(copied(path, scratch), path)
    try:
        yield database
    finally:
        database.close()
