"""JSON documents of any size: the objects of their big array, one after the other.

The array is the document itself, or lies directly in its one object (`{"results": [...]}`). Only
where objects begin and end is looked for; each is then parsed by itself. So one that is broken
costs itself and not those after it, which is why no streaming parser is used: those stop at the
first byte they do not like.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from memory.importers.problems import Code, Finding

BLOCK = 1 << 20
# An object beyond this is left out: parsed it takes ten times as much.
MAX_OBJECT = 32 << 20
_TOKEN = re.compile(rb'["{}\[\]]')
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+("|\\?\Z)', re.DOTALL)
_NAME = 200
_OBJECT, _ARRAY = b"{["


class Bytes(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Element:
    """An object of the array, or what kept it from being one. `place` counts from 1, `array` is
    the name of the array, empty for the document itself."""

    place: int
    array: str
    value: dict[str, Any] | None
    problem: Finding | None = None


def elements(stream: Bytes, *, limit: int = MAX_OBJECT, parse: bool = True) -> Iterator[Element]:
    """The objects of a document. Without `parse` their values are left empty, for counting."""
    for place, (array, raw, size) in enumerate(_Splitter(stream, limit).objects(), 1):
        if raw is None:
            yield Element(place, array, None, _too_long(size, limit))
        elif not raw:
            yield Element(place, array, None, _INCOMPLETE)
        elif parse:
            yield _parsed(place, array, raw)
        else:
            yield Element(place, array, {})


_INCOMPLETE = Finding(
    Code.INCOMPLETE, "the file ends in the middle of it", "skipped, with all that should follow"
)


def _too_long(size: int, limit: int) -> Finding:
    return Finding(Code.TOO_LONG, f"it has {size:,} bytes; at most {limit:,} are read", "skipped")


def _parsed(place: int, array: str, raw: bytes) -> Element:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        # NaN, lone surrogates and bytes that are not UTF-8 are for the frame to replace.
        try:
            value = json.loads(raw.decode("utf-8", "surrogateescape"), strict=False)
        except (ValueError, RecursionError) as error:
            said = str(error) if isinstance(error, ValueError) else "nested too deeply"
            return Element(
                place,
                array,
                None,
                Finding(Code.NOT_JSON, f"it is not JSON: {said:.120}", "skipped"),
            )
    return Element(place, array, value)


class _Splitter:
    """Follows brackets and strings; bounded by one object's bytes."""

    def __init__(self, stream: Bytes, limit: int) -> None:
        self.stream = stream
        self.limit = limit
        # Open brackets, `{` or `[` each; the first two say whether an object is an element.
        self.open = bytearray()
        # How many of each are open: within the element that is open, else of all.
        self.count = {_OBJECT: 0, _ARRAY: 0}
        self.array = ""
        self.last_string = b""
        # Of the element that is open: its depth, pieces and size.
        self.depth = 0
        self.pieces: list[bytes] = []
        self.size = 0

    def objects(self) -> Iterator[tuple[str, bytes | None, int]]:
        """(array, bytes, size) of each; None for one that is too long, empty for one cut off."""
        in_string = False
        rest = b""
        while block := self.stream.read(BLOCK):
            data, rest = rest + block, b""
            at = start = 0
            while at < len(data):
                if in_string:
                    found = _STRING.match(data, at)
                    assert found is not None
                    if not self.depth:
                        self.last_string = (self.last_string + data[at : found.start(1)])[:_NAME]
                    if found[1] != b'"':
                        # The string goes on in the next block; a backslash waits for its letter.
                        end = found.start(1)
                        data, rest = data[:end], data[end:]
                        break
                    in_string, at = False, found.end()
                    continue
                token = _TOKEN.search(data, at)
                if token is None:
                    break
                at = token.end()
                byte = data[token.start()]
                if byte == 0x22:
                    in_string = True
                    if not self.depth:
                        self.last_string = b""
                elif byte in b"{[":
                    if self._opened(byte):
                        start = token.start()
                elif self._closed(byte):
                    self._keep(data[start:at])
                    yield self._taken()
            if self.depth:
                self._keep(data[start:])
        if self.depth or self.open:
            yield self.array, b"", 0

    def _opened(self, byte: int) -> bool:
        """Whether an element begins."""
        self.open.append(byte)
        self.count[byte] += 1
        if self.depth:
            return False
        if self.open == b"{[":
            self.array = self.last_string.decode("utf-8", "replace")
        if self.open not in (b"[{", b"{[{"):
            return False
        self.depth, self.pieces, self.size = len(self.open), [], 0
        self.count = {_OBJECT: 1, _ARRAY: 0}
        return True

    def _closed(self, byte: int) -> bool:
        """Whether an element ends. A bracket that fits nothing is left to the parser's error."""
        wanted = _OBJECT if byte == _OBJECT + 2 else _ARRAY
        if not self.count[wanted]:
            return False
        while True:
            last = self.open.pop()
            self.count[last] -= 1
            if last == wanted:
                break
        if not self.depth or len(self.open) >= self.depth:
            return False
        self.count = {one: self.open.count(one) for one in (_OBJECT, _ARRAY)}
        return True

    def _keep(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size <= self.limit:
            self.pieces.append(piece)
        else:
            self.pieces = []

    def _taken(self) -> tuple[str, bytes | None, int]:
        size, whole = self.size, b"".join(self.pieces)
        self.depth, self.pieces = 0, []
        return self.array, whole if size <= self.limit else None, size
