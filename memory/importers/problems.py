"""What an importer found wrong, as rows a person can act on.

Shared by every importer. Not for exceptions that stop an import: those are `SourceError`, and
they carry one sentence that says what to do.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

# A report is read by a person and kept as one row: beyond this, counts say enough.
DEFAULT_PROBLEM_LIMIT = 1_000


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
    }
)
_NOTICES = frozenset({Code.UNKNOWN_TYPE, Code.REPEATED_LINE, Code.USE_WITHOUT_RESULT, Code.FORK})


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem whose place is not known yet."""

    code: Code
    reason: str
    action: str

    def at(self, file: str, line: int | None) -> "Problem":
        return Problem(file, line, self.reason, self.action, self.code)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one place: where, why, and what was done about it."""

    file: str
    line: int | None
    reason: str
    action: str
    code: Code

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.reason}; {self.action}"


class ProblemLog:
    """Problems in the order found: all of them counted, the first `limit` of them kept."""

    def __init__(self, limit: int = DEFAULT_PROBLEM_LIMIT) -> None:
        self.limit = limit
        self.kept: list[Problem] = []
        self.by_code: Counter[Code] = Counter()

    def add(self, problem: Problem) -> None:
        self.by_code[problem.code] += 1
        if len(self.kept) < self.limit:
            self.kept.append(problem)

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
