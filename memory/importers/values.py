"""One row of a source, field by field: read liberally, and what gives way is found.

The mapping of a source is a list of calls on `Fields`, one for each of its columns.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from config.lib import clock
from config.lib.redact import redact_text
from config.lib.shorten import before_secret
from memory.importers.problems import Code, Finding

# A time that nobody knows; the row says so in its metadata.
UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
SHOWN = 80
# How far clocks and zones may be apart.
_AHEAD = timedelta(days=1)
# Of a value that is shown, what is looked through for secrets: one that is cut is none any more.
_LOOKED_AT = 2_000
# Since 1970, in seconds, or in thousandths, millionths or billionths of one.
_EPOCH = re.compile(r"[0-9]{10}([0-9]{3}){0,3}(\.[0-9]+)?")
# A number below is no time since 1970, but a counter, a duration or a day's number.
_LEAST_EPOCH = 1e8
# What others write behind a time: a blank before the offset, or the zone by its name.
_OFFSET = re.compile(r"\s+(?=[+-][0-9]{2}:?[0-9]{2}$)|\s*(?:UTC|GMT)$")


def short(value: Any) -> str:
    """A value as it is shown in a report, without secrets."""
    text = value if isinstance(value, str) else repr(value)
    text = redact_text(text[:_LOOKED_AT]) + text[_LOOKED_AT:]
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def parse_time(value: Any, naive: tzinfo = UTC) -> datetime | None:
    """A time in UTC from text or a number of seconds, or of thousandths, millionths or billionths;
    None for anything else. `naive` is the zone of a time that names none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, (int, float)):
            moment = datetime.fromtimestamp(_seconds(value), UTC)
        else:
            moment = datetime.fromisoformat(_spelt(str(value).strip()))
    except (ValueError, OverflowError, OSError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=naive)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        return None
    return moment if _EARLIEST <= moment <= _LATEST else None


def _inner(text: str) -> Any:
    """What a JSON text says that is JSON itself; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _seconds(number: float) -> float:
    for least, parts in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)):
        if abs(number) > least:
            return number / parts
    return number


def _spelt(text: str) -> str:
    """A time as ISO 8601 has it, where that is easily told."""
    if found := _OFFSET.search(text):
        return text[: found.start()] + (text[found.end() :] or "+00:00")
    return text


def _is_no_time(value: Any, moment: datetime) -> bool:
    """Whether a value only looks like a time: a zero, or a number too small to be one."""
    small = isinstance(value, (int, float)) and abs(value) < _LEAST_EPOCH
    return small or moment == UNKNOWN_TIME


class Fields:
    """A row's columns by name; a column that the source's version does not have is None."""

    def __init__(self, row: Mapping[str, Any], naive: tzinfo = UTC) -> None:
        self.row = row
        self.naive = naive
        self.findings: list[Finding] = []

    def find(self, code: Code, reason: str, action: str) -> None:
        self.findings.append(Finding(code, reason, action))

    def raw(self, name: str) -> Any:
        return self.row.get(name)

    def text(self, name: str, limit: int | None = None) -> str:
        """As text; NULL is empty. Cut at `limit` characters, which is found."""
        value = self.row.get(name)
        if value is None:
            return ""
        text = value if isinstance(value, str) else str(value)
        return text if limit is None else self.fitted(name, text, limit)

    def fitted(self, name: str, text: str, limit: int) -> str:
        """Cut at `limit` characters, which is found."""
        if len(text) <= limit:
            return text
        self.find(Code.TEXT_CUT, f"{name} has {len(text):,} characters", f"cut at {limit:,}")
        return before_secret(text, limit)

    def json(self, name: str, shape: type, *, what: str = "left empty") -> Any:
        """The JSON in a column, of `shape` (dict or list); empty where it is NULL, null or not
        that, and `what` then says what was done."""
        return self.parsed(name, self.row.get(name), shape, what=what)

    def loaded(self, name: str) -> Any:
        """The JSON in a column, whatever it is; None where it is none, which is not found here."""
        value = self.row.get(name)
        return _inner(value) if isinstance(value, str) else value

    def parsed(self, name: str, value: Any, shape: type, *, what: str = "left empty") -> Any:
        if value is None or value == "":
            return shape()
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                self.find(Code.MALFORMED_JSON, f"{name} is malformed JSON: {short(value)}", what)
                return shape()
        if value is None:
            return shape()
        if isinstance(value, str) and not isinstance(value, shape):
            inner = _inner(value)
            if isinstance(inner, shape):
                self.find(Code.LEGACY_SHAPE, f"{name} is JSON in a JSON text", "read once more")
                return inner
        if not isinstance(value, shape):
            kind = "an object" if shape is dict else "a list"
            self.find(Code.LEGACY_SHAPE, f"{name} is not {kind}: {short(value)}", what)
            return shape()
        return value

    def time(self, name: str, *, what: str = "left empty") -> datetime | None:
        """A time in UTC; None where there is none, and where it cannot be read, which is found."""
        return self.parsed_time(name, self.row.get(name), what=what)

    def past(self, name: str, *, what: str = "left empty") -> datetime | None:
        """A time of what has happened; one that lies ahead is found."""
        moment = self.time(name, what=what)
        if moment is not None and moment > clock.now() + _AHEAD:
            self.find(Code.BAD_VALUE, f"{name} lies in the future: {short(self.raw(name))}",
                      "kept as it is")  # fmt: skip
        return moment

    def parsed_time(self, name: str, value: Any, *, what: str = "left empty") -> datetime | None:
        if value is None:
            return None
        moment = parse_time(value, self.naive)
        if moment is None and isinstance(value, str) and _EPOCH.fullmatch(value.strip()):
            moment = parse_time(float(value))
            if moment is not None:
                self.find(Code.BAD_VALUE, f"{name} is the text {short(value)}",
                          "read as seconds or milliseconds since 1970")  # fmt: skip
        if moment is not None and _is_no_time(value, moment):
            moment = None
        if moment is None:
            self.find(Code.BAD_TIMESTAMP, f"{name} is no time: {short(value)}", what)
        return moment

    def number(
        self, name: str, low: float | None = None, high: float | None = None, *, default: Any = None
    ) -> Any:
        return self.parsed_number(name, self.row.get(name), low, high, default=default)

    def parsed_number(
        self,
        name: str,
        value: Any,
        low: float | None = None,
        high: float | None = None,
        *,
        default: Any = None,
    ) -> Any:
        """A finite number within bounds: clamped where it is outside, `default` where it is none;
        both are found. NULL is the default without a word."""
        if value is None or value == "":
            return default
        number = value
        if isinstance(value, str):
            try:
                number = float(value.strip().rstrip("%"))
            except ValueError:
                number = None
            else:
                self.find(Code.BAD_VALUE, f"{name} is the text {short(value)}", "read as a number")
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            self.find(Code.BAD_VALUE, f"{name} is no number: {short(value)}", "left at its default")
            return default
        if not math.isfinite(number):
            self.find(Code.NON_FINITE, f"{name} is {value}", "left at its default")
            return default
        if low is not None and number < low:
            self.find(Code.BAD_VALUE, f"{name} is {value}, below {low}", f"set to {low}")
            return low
        if high is not None and number > high:
            self.find(Code.BAD_VALUE, f"{name} is {value}, above {high}", f"set to {high}")
            return high
        return number

    def flag(self, name: str) -> bool:
        value = self.row.get(name)
        if isinstance(value, str):
            return value.strip().lower() in ("1", "true", "t", "yes")
        return bool(value)

    def note_unknown(self, name: str, value: Any, known: Collection[str]) -> None:
        """Find a value that is not one of `known`, which is kept whatever it is."""
        if value not in (None, "") and value not in known:
            self.find(Code.UNKNOWN_VALUE, f"{name} is {short(value)}, which is not known",
                      "kept as it is")  # fmt: skip

    def choice(self, name: str, known: Mapping[str, str], default: str) -> str:
        """One of ours for one of theirs; an unknown one is found, and becomes the default."""
        value = self.text(name).strip()
        if not value:
            return default
        if value not in known:
            self.find(
                Code.UNKNOWN_VALUE, f"{name} is {short(value)}, which is not known",
                f"{f'became {default}' if default else 'left empty'}; kept in metadata",
            )  # fmt: skip
            return default
        return known[value]


def without_empty(**values: Any) -> dict[str, Any]:
    """`values` that say something; False and 0 do."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def at_or(moment: datetime | None, *others: datetime | None) -> datetime:
    """The first time that is known, else the unknown one."""
    return next((one for one in (moment, *others) if one is not None), UNKNOWN_TIME)


def later(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)
