"""The rows of an Archon, from wherever they come, in an SQLite file: counted, in any order, twice.

Only what is carried over is kept, as PostgreSQL writes it in text; vectors, most of what an Archon
weighs, are not.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memory.importers.archon.tables import TABLES, VECTORS, ZERO, key_of
from memory.importers.sqlite import Database, quoted

Value = str | None
BATCH_ROWS, BATCH_CHARS = 500, 4_000_000
# Rows that could not be read, kept beside the others.
BROKEN = "_broken"
_ESCAPED = re.compile("[\udc80-\udcff]")
_NOT_ZERO = re.compile("[1-9]")
_INDEXES = {
    "archon_tasks": ("project_id",),
    "archon_session_events": ("session_id",),
    "archon_project_sources": ("project_id",),
}


@dataclass(slots=True)
class _Plan:
    """How rows of one table with these columns are kept."""

    places: tuple[int, ...]
    vectors: tuple[bool, ...]
    sql: str
    rows: list[tuple[str | bytes | None, ...]] = field(default_factory=list)
    chars: int = 0


class Stage:
    """Takes rows; `columns` are all those of each table that was seen, `counts` its rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: dict[str, list[str]] = {}
        self.counts: Counter[str] = Counter()
        self._plans: dict[tuple[str, tuple[str, ...]], _Plan] = {}
        # Read by nobody else and gone with its folder: nothing is flushed.
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA temp_store = FILE")
        self._db.execute(f"CREATE TABLE {BROKEN} (tbl TEXT, line INTEGER, reason TEXT)")
        # Every table with every column: what the source does not have is empty.
        for name, columns in TABLES.items():
            names = ", ".join(f"{quoted(column)} TEXT" for column in columns)
            self._db.execute(f"CREATE TABLE {name} ({names})")
        self._db.execute("BEGIN")

    def table(self, name: str, columns: Sequence[str]) -> None:
        """There is a table of this name with at least these columns."""
        seen = self.columns.setdefault(name, [])
        seen += [column for column in columns if column not in seen]

    def add(self, name: str, columns: tuple[str, ...], values: Sequence[Value]) -> None:
        """One row; of a table that is not carried over it is counted."""
        self.counts[name] += 1
        plan = self._plans.get((name, columns))
        if plan is None:
            self.table(name, columns)
            plan = self._plans[name, columns] = _plan(name, columns)
        if not plan.places:
            return
        row = tuple(
            _vector(values[place]) if vector else _plain(values[place])
            for place, vector in zip(plan.places, plan.vectors, strict=True)
        )
        plan.rows.append(row)
        plan.chars += sum(len(value) for value in row if value)
        if len(plan.rows) >= BATCH_ROWS or plan.chars >= BATCH_CHARS:
            self._flush(plan)

    def broken(self, name: str, line: int, reason: str) -> None:
        """A row that cannot be read."""
        self.counts[name] += 1
        if name in TABLES:
            self._db.execute(f"INSERT INTO {BROKEN} VALUES (?, ?, ?)", (name, line, reason))  # noqa: S608

    def finish(self) -> None:
        for plan in self._plans.values():
            self._flush(plan)
        self._db.execute("COMMIT")
        for table in TABLES:
            for column in (key_of(table), *_INDEXES.get(table, ())):
                self._db.execute(f"CREATE INDEX {table}_{column} ON {table} ({column})")
        self._db.close()

    def _flush(self, plan: _Plan) -> None:
        if plan.rows:
            self._db.executemany(plan.sql, plan.rows)
        plan.rows.clear()
        plan.chars = 0


def _plan(name: str, columns: tuple[str, ...]) -> _Plan:
    if name not in TABLES:
        return _Plan((), (), "")
    kept = [column for column in TABLES[name] if column in columns]
    names = ", ".join(quoted(column) for column in kept)
    marks = ", ".join("CAST(? AS TEXT)" for _ in kept)
    return _Plan(
        tuple(columns.index(column) for column in kept),
        tuple(column in VECTORS for column in kept),
        f"INSERT INTO {name} ({names}) VALUES ({marks})",  # noqa: S608
    )


def _vector(value: Value) -> Value:
    if value is None:
        return None
    return "set" if _NOT_ZERO.search(value) else ZERO


def _plain(value: Value) -> str | bytes | None:
    """What was not in its encoding goes in as the bytes it came as; reading finds it again."""
    if value is None or value.isascii() or not _ESCAPED.search(value):
        return value
    return value.encode("utf-8", "surrogateescape")


class Staged(Database):
    """What a stage holds, open to be read. Its tables are those of the source, `original`."""

    def __init__(self, stage: Stage, original: str) -> None:
        super().__init__(stage.path, Path(original))
        self.tables = stage.columns
        self.counts = stage.counts

    def count(self, table: str) -> int:
        return self.counts[table]

    def has(self, table: str) -> bool:
        """Whether there is anything in it."""
        return bool(self.counts[table])

    def broken(self) -> Iterator[tuple[str, int, str]]:
        """(table, line, reason) of rows that could not be read."""
        for row in self.rows(f"SELECT * FROM {BROKEN} ORDER BY rowid"):  # noqa: S608
            yield row["tbl"], row["line"], row["reason"]
