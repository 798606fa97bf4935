"""Files of JSON lines, one after the other, each bounded."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.importers.problems import Code, Finding, SourceError
from memory.importers.sniff import sniff
from memory.importers.storable import shown

MAX_LINE = 16 << 20
SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class JsonLine:
    """A line that is not blank: an object, or what kept it from being one."""

    number: int
    value: dict[str, Any] | None
    problem: Finding | None = None


def json_lines(path: Path) -> Iterator[JsonLine]:
    """The lines of a file; SourceError where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            number = 0
            while raw := stream.readline(MAX_LINE + 1):
                number += 1
                if len(raw) > MAX_LINE:
                    size = len(raw)
                    while raw and not raw.endswith(b"\n"):
                        raw = stream.readline(MAX_LINE)
                        size += len(raw)
                    reason = f"it has {size:,} bytes; at most {MAX_LINE:,} are read"
                    yield JsonLine(number, None, Finding(Code.TOO_LONG, reason, SKIPPED))
                elif raw.strip(b" \t\r\n\x00\xef\xbb\xbf"):
                    yield _parsed(number, raw)
    except OSError as error:
        raise SourceError(f"{shown(path)}: {error.strerror or error}") from None


def _parsed(number: int, raw: bytes) -> JsonLine:
    text = raw.decode("utf-8", "surrogateescape").strip().removeprefix("\ufeff")
    try:
        value = json.loads(text, strict=False)
    except ValueError as error:
        code = Code.NOT_JSON if raw.endswith(b"\n") else Code.INCOMPLETE
        return JsonLine(number, None, Finding(code, f"it is not JSON: {error!s:.120}", SKIPPED))
    except RecursionError:
        return JsonLine(number, None, Finding(Code.TOO_DEEP, "it is nested too deeply", SKIPPED))
    if not isinstance(value, dict):
        return JsonLine(number, None, Finding(Code.NOT_AN_OBJECT, "it is not an object", SKIPPED))
    return JsonLine(number, value)


def check_kind(path: Path, importer: str) -> None:
    """SourceError in one line where `path` is no file that `importer` takes."""
    if not path.exists():
        raise SourceError(f"{shown(path)}: No such file or directory")
    if not path.is_file():
        raise SourceError(f"{shown(path)} is no file; name the file in it")
    guess = sniff(path)
    if guess.importer != importer:
        raise SourceError(f"{shown(path)} {guess.sentence(path)}")
