"""Reads a mem0 export: an array of memories, or an object that has one (`results`), and perhaps one
of `relations`. Streamed, one memory at a time."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from memory.importers.documents import Element, elements
from memory.importers.keys import Seen
from memory.importers.lines import check_kind
from memory.importers.mem0 import mapping
from memory.importers.problems import Code, Finding, Problem
from memory.importers.rows import Entry
from memory.importers.source import Options

MEMORIES, RELATIONS = "memories", "relations"


class Mem0:
    name = "mem0"
    title = "A mem0 export (JSON of memories)"
    times = "a time with a zone keeps it, as mem0 writes them; one without is read as UTC"

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        path = Path(where).expanduser()
        check_kind(path, self.name)
        yield Reader(path, options.agent)


MEM0 = Mem0()


class Reader:
    def __init__(self, path: Path, agent: str) -> None:
        self.path = path
        self.agent = agent
        self.problems: Sequence[Problem] = ()
        counts: Counter[str] = Counter({MEMORIES: 0})
        for one in self._elements(parse=False):
            counts[_table(one)] += 1
        self.totals: Mapping[str, int] = dict(counts)

    def entries(self) -> Iterator[Entry]:
        seen = Seen()
        for one in self._elements(parse=True):
            table, row = _table(one), one.value
            if row is None:
                yield mapping.nothing(table, one.place, one.problem or _NO_TEXT)
                continue
            if table == RELATIONS:
                known = all(mapping.relation_parts(row))
                key = mapping.relation_key(row)
            else:
                known = bool(mapping.text_of(row))
                key = mapping.key_of(row)
            if not known:
                yield mapping.nothing(table, one.place, _NO_TEXT)
            elif seen.again(key):
                yield mapping.nothing(table, one.place, _AGAIN)
            elif table == RELATIONS:
                yield mapping.relation(row)
            else:
                yield mapping.memory(row, self.agent)

    def _elements(self, *, parse: bool) -> Iterator[Element]:
        with open(self.path, "rb") as stream:
            yield from elements(stream, parse=parse)


_AGAIN = Finding(Code.DUPLICATE, "the same has come before", "the first one stands")
_NO_TEXT = Finding(Code.EMPTY, "it has no text", "skipped")


def _table(one: Element) -> str:
    return RELATIONS if one.array == RELATIONS else MEMORIES
