"""Reads a JSON-lines file line by line, in constant memory, and never raises for what is in it.

Every line that is not blank comes out as a `RawLine`: its place, its bytes' hash, its text kept
faithfully, and the parsed object or the reason there is none. Not for the meaning of lines: that
begins in `session.py`.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from config.lib.redact import may_hold_secrets, redact, redact_text, taken_out
from memory.importers.problems import Code, Finding

# A longer line is reported and skipped unread. Pasted images reach some 10 MB; reading takes up
# to five times the line in memory, storing it more, and an import must stay under 500 MB.
MAX_LINE_BYTES = 32 * 1024 * 1024
# Text takes its length in memory, but small values take a hundred times theirs: a line this long
# is parsed only if it has fewer commas and brackets than this.
BIG_LINE_BYTES = 1024 * 1024
MAX_VALUES = 500_000
# How much of a skipped line is read at a time.
SKIP_CHUNK = 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n\x0b\x0c"
# What the json module says of a raw tab or NUL inside a string, and of nothing else.
_RAW_CONTROL = "Invalid control character at"
_KEPT = "kept as a raw line only"
# Stands for "no value", where null is one.
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class RawLine:
    """One physical line.

    `text` is the line without byte-order mark and line end. Bytes that are not UTF-8 appear as
    `\\xNN` and NUL bytes as `\\x00`, because PostgreSQL text takes neither; `sha256` is over the
    bytes as they were, so the same line has the same hash whatever follows it. Secrets stand in
    neither `text` nor `value`.
    """

    number: int
    offset: int
    length: int
    text: str
    sha256: str
    value: dict[str, Any] | None
    complete: bool
    findings: tuple[Finding, ...]
    # How many secrets were taken out.
    redacted: int = 0


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The bytes of one physical line, or only their hash where the line was too long."""

    offset: int
    size: int
    body: bytes | None
    sha256: str
    terminated: bool


def read_lines(
    stream: BinaryIO, *, max_line_bytes: int = MAX_LINE_BYTES, number: int = 1, offset: int = 0
) -> Iterator[RawLine | None]:
    """Each line of `stream` (opened in binary), and None for each blank one. The stream begins at
    the file's start, or with its line `number` at `offset`."""
    for place, chunk in enumerate(_physical_lines(stream, max_line_bytes, offset), start=number):
        if chunk.body is None:
            yield _too_long(place, chunk, max_line_bytes)
        elif chunk.body.strip(_SPACE):
            yield _read(place, chunk, chunk.body)
        else:
            yield None


def _physical_lines(stream: BinaryIO, limit: int, offset: int) -> Iterator[_Chunk]:
    # A little more than the limit, so that a line of just the limit is read with its line end.
    step = limit + len(_BOM) + len(b"\r\n")
    while data := stream.readline(step):
        size = len(data)
        start = offset
        if offset == 0 and data.startswith(_BOM):
            start = len(_BOM)
            data = data[start:]
        terminated = data.endswith(b"\n")
        body = data.removesuffix(b"\n").removesuffix(b"\r") if terminated else data
        offset += size
        if len(body) <= limit:
            yield _Chunk(start, len(body), body, hashlib.sha256(body).hexdigest(), terminated)
        elif terminated:
            yield _Chunk(start, len(body), None, hashlib.sha256(body).hexdigest(), True)
        else:
            del data
            read, skipped = _skip(stream, start, body)
            offset += read
            yield skipped


def _skip(stream: BinaryIO, start: int, head: bytes) -> tuple[int, _Chunk]:
    """Pass over the rest of a line that begins with `head`: how many bytes, and its hash."""
    digest = hashlib.sha256()
    read = length = 0
    terminated = False
    tail = head
    while not terminated and (rest := stream.readline(SKIP_CHUNK)):
        read += len(rest)
        terminated = rest.endswith(b"\n")
        # Only with the next piece is it known whether a last byte belongs to the line end.
        piece, tail = (tail + rest, b"") if terminated else (tail, rest)
        piece = piece.removesuffix(b"\n").removesuffix(b"\r") if terminated else piece
        digest.update(piece)
        length += len(piece)
    digest.update(tail)
    length += len(tail)
    return read, _Chunk(start, length, None, digest.hexdigest(), terminated)


def _too_long(number: int, chunk: _Chunk, limit: int) -> RawLine:
    finding = Finding(
        Code.TOO_LONG,
        f"the line is {chunk.size:,} bytes long; the limit is {limit:,}",
        "skipped; only its length and hash are kept",
    )
    return RawLine(
        number, chunk.offset, chunk.size, "", chunk.sha256, None, chunk.terminated, (finding,)
    )


def _read(number: int, chunk: _Chunk, body: bytes) -> RawLine:
    value, findings = _parse(body, chunk.terminated)
    if value is _NOTHING:
        value = None
    elif not isinstance(value, dict):
        kind = "array" if isinstance(value, list) else type(value).__name__
        reason = f"the line holds a JSON {kind}, not an object"
        findings.append(Finding(Code.NOT_AN_OBJECT, reason, _KEPT))
        value = None
    faithful = _faithful_text(body)
    text, value = _without_secrets(faithful, value)
    redacted = taken_out(faithful, text)
    if redacted:
        found = "1 secret" if redacted == 1 else f"{redacted:,} secrets"
        findings.append(Finding(Code.REDACTED, found, "redacted"))
    return RawLine(
        number=number,
        offset=chunk.offset,
        length=len(body),
        text=text,
        sha256=chunk.sha256,
        value=value,
        complete=not any(f.code is Code.INCOMPLETE for f in findings),
        findings=tuple(findings),
        redacted=redacted,
    )


def _parse(body: bytes, terminated: bool) -> tuple[Any, list[Finding]]:
    """The line's JSON value, or _NOTHING and the finding that says why there is none."""
    if len(body) > BIG_LINE_BYTES and sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        reason = f"the line holds more than {MAX_VALUES:,} values"
        return _NOTHING, [Finding(Code.TOO_MANY_VALUES, reason, _KEPT)]
    try:
        return orjson.loads(body), []
    except orjson.JSONDecodeError:
        # Refuses more than it must: see what Python's own reader makes of it.
        return _read_leniently(body, terminated)


def _without_secrets(text: str, value: dict[str, Any] | None) -> tuple[str, dict[str, Any] | None]:
    if not may_hold_secrets(text):
        return text, value
    if value is None:
        return redact_text(text, personal=True), None
    clean = redact(value, personal=True)
    if clean == value:
        return text, value
    # As it stood, but for the secrets; where a key's name says that its value is one, written anew,
    # in escapes: the value may hold what PostgreSQL's text does not take.
    shorter = redact_text(text, personal=True)
    with contextlib.suppress(ValueError, RecursionError):
        if json.loads(shorter) == clean:
            return shorter, clean
    return json.dumps(clean), clean


def _faithful_text(body: bytes) -> str:
    text = body.decode("utf-8", errors="backslashreplace")
    return text.replace("\x00", "\\x00") if "\x00" in text else text


def _read_leniently(body: bytes, terminated: bool) -> tuple[Any, list[Finding]]:
    """What Python's reader makes of a line that the strict one refused.

    It takes lone surrogate escapes, NaN and Infinity, raw control characters and broken UTF-8,
    all of which real files hold; the storing form of each is decided later, on output.
    """
    # A crash can leave blocks of NUL bytes before what was written next.
    stripped = body.lstrip(b"\x00")
    if not stripped.strip(_SPACE + b"\x00"):
        reason = f"{len(body):,} NUL bytes, as a crashed disk write leaves them"
        return _NOTHING, [Finding(Code.NUL_RUN, reason, "skipped")]
    notes: list[Finding] = []
    if len(stripped) < len(body):
        reason = f"{len(body) - len(stripped):,} NUL bytes before the line"
        notes.append(Finding(Code.CONTROL_CHARACTER, reason, "read without them"))
    try:
        text = stripped.decode()
    except UnicodeDecodeError as error:
        text = stripped.decode("utf-8", errors="replace")
        reason = f"not UTF-8 at byte {error.start + 1} of the line ({error.reason})"
        done = "read with U+FFFD in place of the broken bytes; the raw line keeps them"
        notes.append(Finding(Code.INVALID_UTF8, reason, done))
    try:
        return _loads(text, notes), notes
    except (ValueError, RecursionError) as error:
        return _NOTHING, [_refusal(error, stripped, terminated)]


def _loads(text: str, notes: list[Finding]) -> Any:
    def constant(name: str) -> None:
        reason = f"the line holds {name}, which JSON has no word for"
        notes.append(Finding(Code.NON_FINITE, reason, "read as null"))

    try:
        return json.loads(text, parse_constant=constant)
    except json.JSONDecodeError as error:
        if error.msg != _RAW_CONTROL:
            raise
    value = json.loads(text, parse_constant=constant, strict=False)
    reason = "the line holds a control character that JSON wants escaped"
    notes.append(Finding(Code.CONTROL_CHARACTER, reason, "read as it stands"))
    return value


def _refusal(error: Exception, body: bytes, terminated: bool) -> Finding:
    if isinstance(error, RecursionError):
        return Finding(Code.TOO_DEEP, "the line is nested too deeply to be read", _KEPT)
    if not terminated and body.lstrip(_SPACE).startswith(b"{"):
        return Finding(
            Code.INCOMPLETE,
            "the last line is cut off: the file was still being written, or the writer crashed",
            "left out for now; it will be read when it is whole",
        )
    return Finding(Code.NOT_JSON, f"not JSON: {error}", _KEPT)
