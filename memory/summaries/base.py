"""What every way to summarise shares: what it is given, what it gives, and its error."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from memory.endpoints.answers import EndpointError

# How many points a list has at most, and how long each is. A longer list is not a summary.
MOST_POINTS = 12
MOST_POINT_CHARACTERS = 500
MOST_SUMMARY_CHARACTERS = 8_000


@dataclass(frozen=True, slots=True)
class Said:
    """One thing of a session: a message (`who` user or assistant), or an event with its type.

    Its text may be shortened. `task_id` and `to` are those of an event about a task.
    """

    at: datetime
    who: str
    text: str
    event_type: str = ""
    task_id: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """A session as it is summarised: what was said, in order of time, perhaps a sample of it."""

    name: str = ""
    prompt: str = ""
    outcome: str = ""
    said: Sequence[Said] = ()
    # Of so many; more than are in `said` where it is a sample.
    total: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.said or self.prompt.strip())


@dataclass(frozen=True, slots=True)
class Facts:
    """What a session's rows say of it by themselves, whoever writes the summary (facts.py).

    `open_ends` are next steps that follow from them: what failed and never worked again.
    """

    asked: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    last_words: list[str] = field(default_factory=list)
    open_ends: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Draft:
    """A summary, as session rows keep it."""

    summary: str
    key_events: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)

    def data(self, facts: Facts) -> dict[str, list[str]]:
        """As Session.summary_data."""
        steps = self.next_steps[: MOST_POINTS - len(facts.open_ends)]
        return {
            "asked": facts.asked,
            "key_events": self.key_events,
            "decisions": self.decisions,
            "outcomes": self.outcomes,
            "files": facts.files,
            "commands": facts.commands,
            "errors": facts.errors,
            "last_words": facts.last_words,
            "next_steps": [*steps, *facts.open_ends],
        }


class SummaryError(EndpointError):
    """No summary, and why. `code` is the stable word for it that callers get."""

    reason = ""

    @property
    def code(self) -> str:
        if self.reason:
            return self.reason
        if self.timed_out:
            return "summary_timeout"
        if self.answer is not None and self.answer.status == 429 and self.retryable:
            return "summary_rate_limited"
        if self.answer is None and self.retryable:
            return "summary_unreachable"
        return "summary_failed"


class RefusedError(SummaryError):
    """The model would not."""

    reason = "summary_refused"


class MalformedError(SummaryError):
    """The model answered with something that is no summary."""

    reason = "summary_malformed"


class Summarizer(Protocol):
    """`method` says in a row's history how its summary was made."""

    @property
    def method(self) -> str: ...

    def summarize(self, material: Material) -> Draft:
        """Called outside any transaction. Raises SummaryError."""
        ...
