"""SQLite sources: copied with their side files, opened as a copy, read by names.

The source is never opened itself: even a reader makes a -shm beside a database in WAL mode, and
may fold the -wal into it. What it copies is a moment of the source only where nobody writes; a
copy that is torn is found damaged, and said so.
"""

import contextlib
import re
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
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
# In one statement: a thousand parameters are allowed everywhere.
_MOST_KEYS = 500
_NO_MODULE = "no such module"
_ESCAPED = re.compile("[\ud800-\udfff]")
_OWN = re.compile("([\ud800-\udc7f\udd00-\udfff])")


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
        if "no such column" in str(error):
            return SourceError(
                f"{name} is of a version that is not known: it has {error}, by which its rows are "
                "told apart"
            )
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
        return {name: self._columns(name) for name in names}

    def _columns(self, table: str) -> list[str]:
        try:
            rows = self.connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
        except sqlite3.OperationalError as error:
            if _NO_MODULE in str(error):
                # A virtual table of an extension that is not here; its shadows are.
                return []
            raise
        return [str(row[1]) for row in rows]

    def take(self, known: Collection[str]) -> None:
        """Make every one of these tables one with rowids, by which rows are read in their order:
        those WITHOUT ROWID, and what is a view now, copied once."""
        views = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
        for name in [str(name) for (name,) in views if name in known]:
            self._copy(name)
            self.tables[name] = self._columns(name)
        for name in [name for name in self.tables if name in known]:
            try:
                self.connection.execute(f"SELECT rowid FROM {quoted(name)} LIMIT 0")  # noqa: S608
            except sqlite3.OperationalError:
                self._copy(name)

    def _copy(self, name: str) -> None:
        """As a temporary table, which stands before the one of its name."""
        self.run(f"CREATE TEMP TABLE {quoted(name)} AS SELECT * FROM main.{quoted(name)}")  # noqa: S608

    def count(self, table: str) -> int:
        for row in self.rows(f"SELECT count(*) AS number FROM {quoted(table)}"):  # noqa: S608
            return int(row["number"])
        return 0

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """A statement that fills a temporary table."""
        try:
            self.connection.execute(*_bound(sql, parameters))
        except sqlite3.Error as error:
            raise self.error(error) from None

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        """The rows of a statement, streamed. Bytes are read as text: a column may hold anything."""
        try:
            for row in self.connection.execute(*_bound(sql, parameters)):
                found = dict(row)
                for name, value in found.items():
                    if type(value) is bytes:
                        found[name] = value.decode("utf-8", "surrogateescape")
                yield found
        except sqlite3.Error as error:
            raise self.error(error) from None

    def among(self, sql: str, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows of a statement that has `IN (KEYS)`, for any number of keys."""
        for start in range(0, len(keys), _MOST_KEYS):
            part = keys[start : start + _MOST_KEYS]
            yield from self.rows(sql.replace("KEYS", ", ".join("?" * len(part))), part)

    def table(self, name: str, order: str = "rowid") -> Iterator[dict[str, Any]]:
        """Every row of a table in the order it was written, streamed; none without the table."""
        if name in self.tables:
            yield from self.rows(f"SELECT * FROM {quoted(name)} ORDER BY {order}")  # noqa: S608

    def ring(
        self, table: str, key: str, parent: str, row: Mapping[str, Any], *, what: str, most: int
    ) -> str:
        """Why a row cannot have the parent that it names, where their parents lead back to it or
        are more than `most`; empty where it can. Of a ring one row has to go without, always the
        same. `what` they are is for the report."""
        sql = f"SELECT {quoted(parent)} AS found FROM {quoted(table)} WHERE {quoted(key)} = ?"  # noqa: S608
        mine, above = row.get(key), row.get(parent)
        if above == mine:
            return "it is its own parent"
        seen = {mine}
        while above not in (None, "") and above not in seen and len(seen) < most:
            seen.add(above)
            above = next((one["found"] for one in self.rows(sql, (above,))), None)
        if len(seen) >= most:
            return f"it lies under {most:,} {what}"
        if above == mine and str(mine) == min(map(str, seen)):
            return f"its parents lead back to it (a ring of {len(seen)} {what})"
        return ""

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
            if not columns:
                found.append(
                    Problem(
                        table, None, "a virtual table of an extension that is not here", "skipped",
                        Code.UNKNOWN_TABLE,
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


def _bound(sql: str, parameters: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """A statement and its parameters. Text that was not UTF-8 goes in as the bytes it came as."""
    if not any(isinstance(one, str) and _ESCAPED.search(one) for one in parameters):
        return sql, parameters
    first, *rest = sql.split("?")
    bound: list[Any] = []
    for one, after in zip(parameters, rest, strict=True):
        broken = isinstance(one, str) and _ESCAPED.search(one) is not None
        bound.append(_as_it_came(one) if broken else one)
        first += ("CAST(? AS TEXT)" if broken else "?") + after
    return first, bound


def _as_it_came(text: str) -> bytes:
    """Lone surrogates as the bytes that they stand for, those of a JSON text as their own."""
    own = _OWN.split(text)
    return b"".join(
        part.encode("utf-8", "surrogatepass" if number % 2 else "surrogateescape")
        for number, part in enumerate(own)
    )


@contextlib.contextmanager
def opened(path: Path, scratch: Path, known: Collection[str] = ()) -> Iterator[Database]:
    """A copy of the database at `path`, open until the block ends. Of the tables in `known` every
    row has a rowid."""
    database = Database(copied(path, scratch), path)
    try:
        database.take(known)
        yield database
    finally:
        database.close()
