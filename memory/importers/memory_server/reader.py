"""Reads memory.jsonl, line by line."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memory.importers.keys import Seen, digest
from memory.importers.lines import JsonLine, check_kind, json_lines
from memory.importers.memory_server import mapping
from memory.importers.problems import Code, Finding, Problem
from memory.importers.rows import Entry
from memory.importers.source import Options

ENTITIES, OBSERVATIONS, RELATIONS, LINES = "entities", "observations", "relations", "other lines"


class MemoryServer:
    name = "memory-server"
    title = "The reference memory server's memory.jsonl"
    times = "the file has none; what it says is recorded when it is first imported"

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        path = Path(where).expanduser()
        check_kind(path, self.name)
        yield Reader(path)


MEMORY_SERVER = MemoryServer()


class Reader:
    """An open file. Who is a person is looked for first: relations may name them in any order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: Sequence[Problem] = ()
        self.people: set[str] = set()
        counts: Counter[str] = Counter()
        for line in json_lines(path):
            table = _table(line)
            counts[table] += 1
            if table == ENTITIES and line.value is not None:
                counts[OBSERVATIONS] += len(_observations(line.value))
                if mapping.is_person(line.value):
                    self.people.add(digest(_name(line.value)))
        self.totals: Mapping[str, int] = dict(counts)

    def entries(self) -> Iterator[Entry]:
        seen = Seen()
        for line in json_lines(self.path):
            table, row = _table(line), line.value
            if row is None or table == LINES:
                yield _skipped(LINES, line, line.problem or _UNKNOWN)
            elif table == RELATIONS:
                key = mapping.relation_key(row)
                if seen.again(key):
                    yield _skipped(RELATIONS, line, _AGAIN)
                else:
                    yield mapping.relation(row, self._is_person)
            else:
                yield from self._entity(row, line, seen)

    def _entity(self, row: dict[str, Any], line: JsonLine, seen: Seen) -> Iterator[Entry]:
        name = _name(row)
        if seen.again("entity", name):
            yield _skipped(ENTITIES, line, _AGAIN)
        else:
            yield mapping.entity(row, name)
        person = self._is_person(name)
        for said in _observations(row):
            text = said if isinstance(said, str) else str(said)
            if not text.strip():
                yield _skipped(OBSERVATIONS, line, _EMPTY)
            elif seen.again("observation", name, text):
                yield _skipped(OBSERVATIONS, line, _AGAIN)
            else:
                yield mapping.observation(text, name, person=person)

    def _is_person(self, name: str) -> bool:
        return digest(name) in self.people


_AGAIN = Finding(Code.DUPLICATE, "the same has come before", "the first one stands")
_EMPTY = Finding(Code.EMPTY, "the observation has no text", "skipped")
_UNKNOWN = Finding(
    Code.UNKNOWN_TYPE, "it is neither an entity nor a relation with names", "skipped"
)


def _skipped(table: str, line: JsonLine, finding: Finding) -> Entry:
    return Entry(table, f"line {line.number}", findings=[finding])


def _table(line: JsonLine) -> str:
    row = line.value
    if row is None:
        return LINES
    if row.get("type") == "entity" and _name(row).strip():
        return ENTITIES
    if row.get("type") == "relation" and row.get("from") and row.get("to"):
        return RELATIONS
    return LINES


def _name(row: Mapping[str, Any]) -> str:
    return str(row.get("name") or "")


def _observations(row: Mapping[str, Any]) -> list[Any]:
    found = row.get("observations")
    if isinstance(found, list):
        return found
    return [found] if isinstance(found, str) else []
