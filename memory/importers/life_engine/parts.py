"""What the mappings of a life engine's tables share."""

from collections.abc import Mapping
from typing import Any

from memory.importers.problems import Code
from memory.importers.rows import Entry
from memory.importers.values import Fields, short

Row = Mapping[str, Any]
EMPTY = "(empty)"
NO_NAME = "(no name)"


def skipped(table: str, key: str, reason: str) -> Entry:
    f = Fields({})
    f.find(Code.ORPHAN, reason, "skipped")
    return Entry(table, key, findings=f.findings)


class Naive:
    """Times without a zone where both readings have been seen: said once for each column."""

    def __init__(self) -> None:
        self.said: set[tuple[str, str]] = set()

    def look(self, f: Fields, table: str, *columns: str) -> None:
        for column in columns:
            value = f.raw(column)
            if not isinstance(value, str) or not value or (table, column) in self.said:
                continue
            if value[-1:] in "Zz" or "+" in value[10:] or "-" in value[10:]:
                continue
            self.said.add((table, column))
            f.find(
                Code.NO_TIME_ZONE,
                f"{column} names no zone; the engine's hooks mean Pacific time, SQLite UTC",
                "read as UTC, here and in the rows after it",
            )


def without_none(**values: Any) -> dict[str, Any]:
    """`values` that are known; what is not keeps the model's default."""
    return {name: value for name, value in values.items() if value is not None}


def text_or_empty(f: Fields, name: str, limit: int) -> str:
    text = f.text(name, limit)
    if text.strip():
        return text
    f.find(Code.EMPTY, f"{name} is empty", f"became {EMPTY}")
    return EMPTY


def notes_of(f: Fields) -> str:
    parts = (f.text("context_notes"), f.text("notes"))
    return "\n\n".join(part for part in parts if part.strip())


def json_object(f: Fields, name: str) -> dict[str, Any]:
    """The JSON in a column as an object; what is none stands in it as `value`."""
    value = f.loaded(name)
    if value is None or isinstance(value, (dict, str)):
        found: dict[str, Any] = f.json(name, dict, what="left out")
        return found
    f.find(Code.LEGACY_SHAPE, f"{name} is not an object: {short(value)}", "kept as its 'value'")
    return {"value": value}
