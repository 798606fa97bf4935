"""Reads what pg_dump writes as plain SQL: the rows of its tables, streamed.

Takes COPY ... FROM stdin (text format) and INSERT INTO ... VALUES, with one row or many, with the
names of the columns or without where CREATE TABLE came before. Everything else is passed over:
settings, psql's own commands (`\\restrict`), functions in dollar quotes, comments. Of the file no
more than one value or line is held. Not a parser of SQL in general: it knows where literals and
statements end, and takes nothing from what it does not read.

Values are text as PostgreSQL writes it, None for NULL. What is not in the dump's encoding becomes
lone surrogates.
"""

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

CHUNK = 256 * 1024
# Of one value or line; PostgreSQL itself takes up to a gigabyte.
MAX_TOKEN = 100 * 1024 * 1024
# A token may go on behind what was read; names are of 63 bytes each.
LOOK_AHEAD = 512

Value = str | None


class DumpError(Exception):
    """It is no dump, or cannot be read; one line."""


class CutOff(DumpError):
    """It ends before its end."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of which the dump says which columns it has."""

    schema: str
    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `problem` says why it cannot be read; its values are then none."""

    table: Table
    values: tuple[Value, ...]
    line: int
    problem: str = ""


# What PostgreSQL calls them, where Python does not.
_CODECS = {
    "SQL_ASCII": "utf-8", "UNICODE": "utf-8", "WIN": "cp1251", "KOI8": "koi8-r", "KOI8R": "koi8-r",
    "KOI8U": "koi8-u", "LATIN5": "iso8859-9", "LATIN6": "iso8859-10", "LATIN7": "iso8859-13",
    "LATIN8": "iso8859-14", "LATIN9": "iso8859-15", "LATIN10": "iso8859-16",
    "EUC_JIS_2004": "euc_jis_2004", "MULE_INTERNAL": "utf-8",
}  # fmt: skip

_NAME = rb'(?:"[^"]*(?:""[^"]*)*"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*)'
_TOKENS: tuple[tuple[str, bytes], ...] = (
    ("space", rb"\s+"),
    ("comment", rb"--[^\n]*(?:\n|\Z)|/\*.*?\*/"),
    ("escaped", rb"[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'"),
    ("text", rb"'[^']*(?:''[^']*)*'"),
    ("dollar", rb"\$(?P<tag>(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?)\$.*?\$(?P=tag)\$"),
    ("number", rb"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])"),
    ("cast", rb"::\s*" + _NAME + rb"(?:\." + _NAME + rb")*(?:\([\d, ]*\))?(?:\[\])*"),
    ("name", _NAME + rb"(?:\." + _NAME + rb")*"),
    ("meta", rb"\\[^\n]*(?:\n|\Z)"),
    ("other", rb"."),
)
_TOKEN = re.compile(
    b"|".join(b"(?P<%s>%s)" % (kind.encode(), form) for kind, form in _TOKENS), re.DOTALL
)
_OPEN_DOLLAR = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$")
_PART = re.compile(_NAME)
_COPY_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_COPY_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_TEXT_ESCAPE = re.compile(
    rb"''|\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{1,3}|.)", re.DOTALL
)
_CONSTRAINTS = frozenset(
    {b"constraint", b"primary", b"unique", b"check", b"foreign", b"exclude", b"like", b"period"}
)
Token = tuple[str, bytes]
_END: Token = ("end", b"")


class Dump:
    """One dump, read once from its beginning to its end.

    `tables` are those seen so far. `complete` says whether it ended as pg_dump ends its dumps;
    None where it does not begin as they do.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._text = _Text(stream)
        self._codec = "utf-8"
        self._backslashes = False
        self._header = self._trailer = False
        self.tables: dict[tuple[str, str], Table] = {}

    @property
    def complete(self) -> bool | None:
        return self._trailer if self._header else None

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the dump. Raises DumpError."""
        while True:
            kind, word = self._statement_start()
            if kind == "end":
                if self._header and not self._trailer:
                    raise CutOff(
                        "it ends before its last line, `PostgreSQL database dump complete`"
                    )
                return
            word = word.lower() if kind == "name" else b""
            if word == b"copy":
                yield from self._copy()
            elif word == b"insert":
                yield from self._insert()
            elif word == b"create":
                self._create()
            elif word == b"set":
                self._set()
            elif not (kind == "other" and word == b";"):
                self._skip(kind)

    # --- Statements -----------------------------------------------------------------------

    def _statement_start(self) -> Token:
        """The first word of the next statement. Comments say where a dump begins and ends."""
        while True:
            kind, word = self._text.token(blanks=True)
            if kind == "comment":
                self._header |= b"PostgreSQL database dump" in word
                self._trailer |= b"dump complete" in word
            elif kind not in ("space", "meta"):
                return kind, word

    def _next(self) -> Token:
        kind, word = self._text.token()
        if kind == "end":
            raise CutOff(f"it ends in the middle of a statement, in line {self._text.line:,}")
        return kind, word

    def _skip(self, kind: str = "name") -> None:
        """To the end of the statement."""
        while kind != "other" or self._text.last != b";":
            kind, _ = self._next()

    def _set(self) -> None:
        name = self._next()[1].lower()
        last = b""
        while (word := self._next()[1]) != b";":
            last = word
        said = last.strip(b"'\"").decode("ascii", "replace")
        if name == b"client_encoding":
            self._codec = _codec(said)
        elif name == b"standard_conforming_strings":
            self._backslashes = said.lower() in ("off", "false", "no", "0")

    def _create(self) -> None:
        """CREATE TABLE says which columns a table has, also where it has no rows."""
        word = self._next()[1].lower()
        while word in (b"unlogged", b"foreign", b"temp", b"temporary", b"global", b"local"):
            word = self._next()[1].lower()
        if word != b"table":
            self._skip("other" if word == b";" else "name")
            return
        kind, word = self._next()
        while word.lower() in (b"if", b"not", b"exists"):
            kind, word = self._next()
        schema, name = self._table_name(word)
        columns: list[str] = []
        if self._next()[1] != b"(":
            self._skip("other" if self._text.last == b";" else "name")
            return
        depth, first = 1, True
        while depth:
            kind, word = self._next()
            if word == b"(" and kind == "other":
                depth += 1
            elif word == b")" and kind == "other":
                depth -= 1
            elif word == b"," and kind == "other":
                first = depth == 1 or first
                continue
            elif first and depth == 1 and kind == "name" and word.lower() not in _CONSTRAINTS:
                columns.append(self._name(word))
            first = False
        self._skip()
        self._seen(schema, name, columns)

    def _copy(self) -> Iterator[Row]:
        kind, word = self._next()
        if kind != "name":
            self._skip(kind)
            return
        schema, name = self._table_name(word)
        columns: list[str] | None = None
        said: list[bytes] = []
        while True:
            kind, word = self._next()
            if kind == "other" and word == b"(" and not said:
                columns = self._names()
            elif kind == "other" and word == b";":
                break
            else:
                said.append(word.lower())
        if said[:2] != [b"from", b"stdin"]:
            return
        if {b"csv", b"binary", b"'csv'", b"'binary'"} & set(said):
            raise DumpError(
                f"line {self._text.line:,}: COPY in a format that pg_dump does not write"
            )
        table = self._seen(schema, name, columns)
        self._text.rest_of_line()
        decode = self._decode
        width = len(table.columns)
        while True:
            line = self._text.next_line()
            if line is None:
                raise CutOff(f"it ends in the middle of the table {name}")
            if line == b"\\.":
                return
            fields = line.split(b"\t") if line or width else []
            if len(fields) != width:
                reason = f"it has {len(fields)} values for {width} columns"
                yield Row(table, (), self._text.line - 1, reason)
                continue
            yield Row(
                table,
                tuple(
                    None if field == b"\\N"
                    else decode(_COPY_ESCAPE.sub(_copied, field) if b"\\" in field else field)
                    for field in fields
                ),
                self._text.line - 1,
            )  # fmt: skip

    def _insert(self) -> Iterator[Row]:
        kind, word = self._next()
        if word.lower() == b"into":
            kind, word = self._next()
        if kind != "name":
            self._skip(kind)
            return
        schema, name = self._table_name(word)
        columns: list[str] | None = None
        kind, word = self._next()
        if word == b"(":
            columns = self._names()
            kind, word = self._next()
        while word.lower() != b"values":
            if kind == "other" and word == b";":
                return
            if kind == "name" and word.lower() in (b"select", b"default", b"with"):
                self._skip()
                return
            kind, word = self._next()
        table = self._seen(schema, name, columns)
        while True:
            kind, word = self._next()
            if word == b"(":
                line = self._text.line
                values = self._values()
                if len(values) == len(table.columns):
                    yield Row(table, values, line)
                else:
                    reason = f"it has {len(values)} values for {len(table.columns)} columns"
                    yield Row(table, (), line, reason)
            elif word != b",":
                self._skip(kind)
                return

    def _values(self) -> tuple[Value, ...]:
        """What stands in a pair of brackets, of which the first was read."""
        values: list[Value] = []
        parts: list[Value] = []
        depth = 0
        while True:
            kind, word = self._next()
            if kind == "other":
                if word == b"(" or word == b"[":
                    depth += 1
                elif word == b"]" or (word == b")" and depth):
                    depth -= 1
                elif (word == b"," or word == b")") and not depth:
                    values.append(_one(parts))
                    parts = []
                    if word == b")":
                        return tuple(values)
                    continue
                parts.append(self._decode(word))
            elif kind != "cast":
                parts.append(self._literal(kind, word))

    def _literal(self, kind: str, word: bytes) -> Value:
        if kind == "escaped" or (kind == "text" and self._backslashes):
            return self._escaped(word[2:-1] if kind == "escaped" else word[1:-1])
        if kind == "text":
            return self._decode(word[1:-1].replace(b"''", b"'"))
        if kind == "dollar":
            mark = word.index(b"$", 1) + 1
            return self._decode(word[mark:-mark])
        if kind == "name" and word.lower() in (b"null", b"default"):
            return None
        return self._decode(word)

    def _escaped(self, raw: bytes) -> str:
        def read(match: re.Match[bytes]) -> bytes:
            found = match[1]
            if found is None:
                return b"'"
            if found[:1] in b"uU" and len(found) > 1:
                try:
                    character = chr(int(found[1:], 16))
                except (ValueError, OverflowError):
                    return found
                return character.encode(self._codec, "replace")
            return _copied(match)

        return self._decode(_TEXT_ESCAPE.sub(read, raw))

    # --- Names ----------------------------------------------------------------------------

    def _names(self) -> list[str]:
        names = []
        while (token := self._next())[1] != b")":
            if token[0] == "name":
                names.append(self._name(token[1]))
        return names

    def _name(self, word: bytes) -> str:
        if word.startswith(b'"'):
            return self._decode(word[1:-1].replace(b'""', b'"'))
        return self._decode(word).lower()

    def _table_name(self, word: bytes) -> tuple[str, str]:
        parts = [self._name(part) for part in _PART.findall(word)] or [""]
        return (parts[-2] if len(parts) > 1 else "public"), parts[-1]

    def _seen(self, schema: str, name: str, columns: Sequence[str] | None) -> Table:
        """The table, with `columns` in the order in which the values come."""
        known = self.tables.get((schema, name))
        if columns is None:
            if known is None:
                raise DumpError(
                    f"line {self._text.line:,}: the rows of {name} come without the names of their "
                    "columns; make the dump again with pg_dump --column-inserts, or without "
                    "--inserts"
                )
            return known
        if known is None or not set(columns) <= set(known.columns):
            self.tables[schema, name] = Table(schema, name, tuple(columns))
        return Table(schema, name, tuple(columns))

    def _decode(self, raw: bytes) -> str:
        return raw.decode(self._codec, "surrogateescape")


class _Text:
    """The file, as tokens or as lines. `line` is the number of the line it has come to."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = b""
        self._at = 0
        self._ended = False
        self.line = 1
        self.last = b""
        self._fill()
        if self._buffer.startswith(codecs.BOM_UTF8):
            self._at = len(codecs.BOM_UTF8)

    def _fill(self) -> bool:
        """Read on, as much again as waits already; whether there was more."""
        rest = self._buffer[self._at :]
        if len(rest) > MAX_TOKEN:
            raise DumpError(
                f"line {self.line:,}: a value of more than {MAX_TOKEN // 2**20} MB, or a quote "
                "that is never closed"
            )
        more = self._stream.read(max(CHUNK, len(rest)))
        self._ended = not more
        self._buffer, self._at = rest + more, 0
        return bool(more)

    def token(self, *, blanks: bool = False) -> Token:
        """The next one; without `blanks`, neither space nor comments nor psql's commands."""
        while True:
            if self._at >= len(self._buffer) and (self._ended or not self._fill()):
                return _END
            match = _TOKEN.match(self._buffer, self._at)
            assert match is not None
            kind, end, word = str(match.lastgroup), match.end(), match[0]
            is_open = self._is_open(kind, word, end)
            if not self._ended and (is_open or len(self._buffer) - end < LOOK_AHEAD):
                self._fill()
                continue
            if is_open:
                raise CutOff(f"it ends in the middle of a value that begins in line {self.line:,}")
            self._at = end
            self.line += word.count(b"\n")
            if blanks or kind not in ("space", "comment", "meta"):
                self.last = word
                return kind, word

    def _is_open(self, kind: str, word: bytes, end: int) -> bool:
        """Whether it opens a quote or comment whose end was not read yet."""
        if kind == "name":
            return word in (b"e", b"E") and self._buffer[end : end + 1] == b"'"
        if kind != "other":
            return False
        if word in (b"'", b'"'):
            return True
        if word == b"$":
            return _OPEN_DOLLAR.match(self._buffer, self._at) is not None
        return word == b"/" and self._buffer[end : end + 1] == b"*"

    def next_line(self) -> bytes | None:
        """The rest of this line without its end; None after the last."""
        while True:
            end = self._buffer.find(b"\n", self._at)
            if end >= 0:
                line = self._buffer[self._at : end]
                self._at = end + 1
                self.line += 1
                return line[:-1] if line.endswith(b"\r") else line
            if self._ended or not self._fill():
                line = self._buffer[self._at :]
                self._at = len(self._buffer)
                return line or None

    def rest_of_line(self) -> None:
        self.next_line()


def _one(parts: Sequence[Value]) -> Value:
    """A value; of what is no literal, its words."""
    if len(parts) == 1:
        return parts[0]
    return " ".join(part for part in parts if part is not None) if parts else None


def _copied(match: re.Match[bytes]) -> bytes:
    """What an escape stands for, in COPY and in E''."""
    found: bytes = match[1]
    if found in _COPY_LETTERS:
        return _COPY_LETTERS[found]
    if found[:1] == b"x" and len(found) > 1:
        return bytes([int(found[1:], 16)])
    if found[:1].isdigit() and found[:1] < b"8":
        return bytes([int(found, 8) & 0xFF])
    return found


def _codec(name: str) -> str:
    plain = name.upper().replace("-", "_").removeprefix("WIN_")
    candidates: tuple[Callable[[], str], ...] = (
        lambda: _CODECS[plain],
        lambda: name,
        lambda: f"cp{plain.removeprefix('WIN')}",
        lambda: f"iso8859-{plain.removeprefix('ISO_8859_')}",
    )
    for candidate in candidates:
        try:
            return codecs.lookup(candidate()).name
        except (KeyError, LookupError):
            continue
    raise DumpError(f"it is written in the encoding {name}, which is not known")
