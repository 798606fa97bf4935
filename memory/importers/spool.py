"""What waits until everything has been read, on disk: memory stays the same whatever the size.

References to rows that are not there yet, and links between memories.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Waiting:
    """`row_id` of `model` has, by `label`, something to do with the row `target` of `to_model`.

    `field` is the field of a reference, or, for a link (`relation` set), empty.
    """

    model: str
    row_id: uuid.UUID
    table: str
    key: str
    label: str
    field: str
    relation: str
    to_model: str
    target: str
    metadata: str = ""


class Spool:
    """Written and read in the order written."""

    def __init__(self, scratch: Path) -> None:
        # Read by nobody else and gone with its folder: nothing is flushed.
        self._db = sqlite3.connect(scratch / "waiting.db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE waiting (model, row_id, tbl, key, label, field, relation, to_model,"
            " target, metadata)"
        )
        self._rows: list[Waiting] = []

    def add(self, waiting: Waiting) -> None:
        self._rows.append(waiting)
        if len(self._rows) >= BATCH:
            self._flush()

    def batches(self) -> Iterator[list[Waiting]]:
        self._flush()
        last = 0
        while True:
            found = self._db.execute(
                "SELECT rowid, * FROM waiting WHERE rowid > ? ORDER BY rowid LIMIT ?",
                (last, BATCH),
            ).fetchall()
            if not found:
                return
            last = found[-1][0]
            yield [Waiting(row[1], uuid.UUID(row[2]), *row[3:]) for row in found]

    def close(self) -> None:
        self._db.close()

    def _flush(self) -> None:
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO waiting VALUES (?,?,?,?,?,?,?,?,?,?)",
            [
                (w.model, w.row_id.hex, w.table, _plain(w.key), w.label, w.field, w.relation,
                 w.to_model, _plain(w.target), w.metadata)
                for w in self._rows
            ],
        )  # fmt: skip
        self._db.execute("COMMIT")
        self._rows.clear()


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def packed(metadata: Sequence[tuple[str, object]]) -> str:
    return json.dumps(dict(metadata), default=str) if metadata else ""
