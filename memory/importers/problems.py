"""What an importer found wrong, as rows a person can act on.

Shared by every importer. Not for exceptions that stop an import: those are `SourceError`, and
they carry one sentence that says what to do.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from config.lib.redact import redact_text
from config.lib.text import visible
from memory.importers.storable import Storable

# A report is read by a person and kept as one row: beyond this, counts say enough.
DEFAULT_PROBLEM_LIMIT = 1_000
# Of a row's key.
KEY_SHOWN = 300


class SourceError(Exception):
    """The source as a whole cannot be imported; the message is one line for the operator."""


class Level(StrEnum):
    """How much was lost: an `error` left something out, a `warning` changed something."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class Code(StrEnum):
    """Every kind of problem a line or file can have. Stable: reports are compared by it."""

    # the line could not be read
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    INCOMPLETE = "incomplete"
    TOO_LONG = "too_long"
    TOO_DEEP = "too_deep"
    TOO_MANY_VALUES = "too_many_values"
    NUL_RUN = "nul_run"
    # the file could not be read
    UNREADABLE = "unreadable"
    NOT_A_TRANSCRIPT = "not_a_transcript"
    # the line was read, and something in it had to give way
    INVALID_UTF8 = "invalid_utf8"
    NON_FINITE = "non_finite"
    CONTROL_CHARACTER = "control_character"
    TEXT_CHANGED = "text_changed"
    TEXT_CUT = "text_cut"
    VALUE_DROPPED = "value_dropped"
    BAD_FIELD = "bad_field"
    BAD_TIMESTAMP = "bad_timestamp"
    MISSING_TIMESTAMP = "missing_timestamp"
    NO_TIME_ZONE = "no_time_zone"
    NO_CONTENT = "no_content"
    BAD_USAGE = "bad_usage"
    UUID_REUSED = "uuid_reused"
    RESULT_WITHOUT_USE = "result_without_use"
    # nothing was lost, and it is worth knowing
    UNKNOWN_TYPE = "unknown_type"
    REPEATED_LINE = "repeated_line"
    USE_WITHOUT_RESULT = "use_without_result"
    FORK = "fork"
    # of a database's row: left out
    ORPHAN = "orphan"
    REFUSED = "refused"
    # of a database's row: something in it had to give way
    MALFORMED_JSON = "malformed_json"
    BAD_VALUE = "bad_value"
    UNKNOWN_VALUE = "unknown_value"
    DANGLING = "dangling"
    EMPTY = "empty"
    QUARANTINED = "quarantined"
    LEGACY_SHAPE = "legacy_shape"
    DUPLICATE = "duplicate"
    CHANGED_HERE = "changed_here"
    INSTRUCTIONS = "instructions"
    # of a whole table or column
    UNKNOWN_TABLE = "unknown_table"
    UNKNOWN_COLUMN = "unknown_column"
    MISSING_COLUMN = "missing_column"
    NOT_CARRIED = "not_carried"
    # worth knowing
    REDACTED = "redacted"
    SAME_PERSON = "same_person"
    RECOMPUTED = "recomputed"

    @property
    def level(self) -> Level:
        if self in _ERRORS:
            return Level.ERROR
        return Level.NOTICE if self in _NOTICES else Level.WARNING


_ERRORS = frozenset(
    {
        Code.NOT_JSON,
        Code.NOT_AN_OBJECT,
        Code.INCOMPLETE,
        Code.TOO_LONG,
        Code.TOO_DEEP,
        Code.TOO_MANY_VALUES,
        Code.NUL_RUN,
        Code.UNREADABLE,
        Code.NOT_A_TRANSCRIPT,
        Code.ORPHAN,
        Code.REFUSED,
    }
)
_NOTICES = frozenset(
    {
        Code.UNKNOWN_TYPE,
        Code.REPEATED_LINE,
        Code.USE_WITHOUT_RESULT,
        Code.FORK,
        Code.UNKNOWN_TABLE,
        Code.UNKNOWN_COLUMN,
        Code.NOT_CARRIED,
        Code.REDACTED,
        Code.SAME_PERSON,
        Code.RECOMPUTED,
        Code.CHANGED_HERE,
        Code.INSTRUCTIONS,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem whose place is not known yet, unless it names (table, key): of a row that became
    part of another one."""

    code: Code
    reason: str
    action: str
    place: tuple[str, str] | None = None

    def at(self, file: str, line: int | None) -> "Problem":
        return Problem(file, line, self.reason, self.action, self.code)

    def of(self, table: str, key: str) -> "Problem":
        table, key = self.place or (table, key)
        return Problem(table, None, self.reason, self.action, self.code, key)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one place: where, why, and what was done about it.

    The place is a line of a file, or the row `key` of a table, whose name then stands in `file`.
    """

    file: str
    line: int | None
    reason: str
    action: str
    code: Code
    key: str = ""

    def __str__(self) -> str:
        if self.key:
            place = f"{self.file} {self.key}"
        else:
            place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{visible(place)}: {visible(self.reason)}; {self.action}"

    def as_dict(self) -> dict[str, Any]:
        """{table, id, code, level, reason, action}; a line's id is its number."""
        return {
            "table": self.file,
            "id": self.key or ("" if self.line is None else str(self.line)),
            "code": str(self.code),
            "level": str(self.code.level),
            "reason": self.reason,
            "action": self.action,
        }


class ProblemLog:
    """Problems in the order found: all of them counted, the first `limit` of them kept."""

    def __init__(self, limit: int = DEFAULT_PROBLEM_LIMIT) -> None:
        self.limit = limit
        self.kept: list[Problem] = []
        self.by_code: Counter[Code] = Counter()

    def add(self, problem: Problem) -> None:
        self.by_code[problem.code] += 1
        if len(self.kept) < self.limit:
            self.kept.append(_fit_to_keep(problem))

    @property
    def total(self) -> int:
        return self.by_code.total()

    @property
    def omitted(self) -> int:
        """How many were counted but not kept."""
        return self.total - len(self.kept)

    def count(self, level: Level) -> int:
        return sum(n for code, n in self.by_code.items() if code.level is level)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.kept)

    def __len__(self) -> int:
        return self.total


def _fit_to_keep(problem: Problem) -> Problem:
    """Without secrets, and without what cannot be stored: it shows what was wrong with a row."""
    clean = Storable()
    return replace(
        problem,
        file=clean.text(problem.file),
        reason=redact_text(clean.text(problem.reason)),
        key=redact_text(clean.text(problem.key))[:KEY_SHOWN],
    )
