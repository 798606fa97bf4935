"""The common form: what one payload of a hook says, whichever agent sent it.

A module per agent fills it in; memory/services/hook_mapping.py writes it. What an agent does not
say stays empty. Not for identity and order: those are the payload's own (services/hooks.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from config.lib.schema import Moment
from memory.importers.storable import Storable

ID_LIMIT, NAME_LIMIT, PATH_LIMIT = 120, 200, 1000
MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


class Kind(StrEnum):
    """What happened. The comment says what is written beside the event of that name."""

    SESSION_START = "session_start"  # the session, made or resumed
    PROMPT = "prompt"  # a message of the user
    REPLY = "reply"  # a message of the agent
    TOOL_USE = "tool_use"
    TOOL_RESULT = "tool_result"  # with the call, where that was not told
    SUBAGENT_START = "subagent_start"  # the subagent's thread
    SUBAGENT_STOP = "subagent_stop"  # its last message
    COMPACTION = "compaction"  # what was injected counts as lost
    NOTIFICATION = "notification"  # status_text; the session is idle
    STOP = "turn_end"  # the agent's last message; the session is idle
    SESSION_END = "session_end"  # the session's end
    STATUS = "status"  # telemetry only: no event
    NOTE = "note"  # an event under the name in `note`
    KNOWN = "known"  # nothing: another payload says the same, or nobody needs it


class Unmapped(Exception):
    """A payload that nothing can be made of, and why. It is kept, for a version that can."""


@dataclass(frozen=True, slots=True)
class Form:
    """One happening. `detail` is how it came about: a start's source (startup, resume, clear,
    compact, fork), an end's reason, a compaction's trigger, a notification's type.

    `fresh` says that the agent has lost what it was told before. `context_percent` is 0 to 100.
    `claimed_at` is when it happened by the agent's clock.
    """

    kind: Kind
    text: str = ""
    detail: str = ""
    note: str = ""
    prompt_id: str = ""
    tool: str = ""
    tool_use_id: str = ""
    tool_input: Any = None
    tool_result: Any = None
    is_error: bool = False
    duration_ms: float | None = None
    subagent: str = ""
    subagent_type: str = ""
    fresh: bool = False
    outcome: str = ""
    cwd: str = ""
    model: str = ""
    title: str = ""
    branch: str = ""
    conversation_id: str = ""
    context_percent: float | None = None
    claimed_at: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def says_failed(answer: Any) -> bool:
    """Whether what a tool answered says itself that it failed: a shell's exit code, or MCP's flag.
    Cursor and Amp count the call as done then."""
    if not isinstance(answer, Mapping):
        return False
    code = answer.get("exitCode")
    failed = isinstance(code, (int, float)) and not isinstance(code, bool) and code != 0
    return failed or answer.get("isError") is True


class Payload:
    """A payload's values by path (`event.properties.info.id`), read without ever failing."""

    __slots__ = ("clean", "value")

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.value = value
        self.clean = Storable()

    def get(self, path: str) -> Any:
        found: Any = self.value
        for name in path.split("."):
            if not isinstance(found, Mapping):
                return None
            found = found.get(name)
        return found

    def text(self, *paths: str, limit: int | None = None) -> str:
        """The first of these that is a text with anything in it, at most `limit` characters."""
        for path in paths:
            value = self.get(path)
            if isinstance(value, str) and value.strip():
                value = self.clean.text(value)
                return value if limit is None else value[:limit]
        return ""

    def name(self, *paths: str) -> str:
        return self.text(*paths, limit=NAME_LIMIT).strip()

    def id(self, *paths: str) -> str:
        """As `name`, where a number does too."""
        for path in paths:
            value = self.get(path)
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)[:ID_LIMIT]
        return self.text(*paths, limit=ID_LIMIT).strip()

    def number(self, *paths: str) -> float | None:
        for path in paths:
            value = self.get(path)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
                return float(value)
        return None

    def percent(self, *paths: str) -> float | None:
        found = self.number(*paths)
        return found if found is not None and 0 <= found <= 100 else None

    def moment(self, path: str) -> datetime | None:
        """RFC 3339 with a zone."""
        value = self.get(path)
        if not isinstance(value, str):
            return None
        try:
            return MOMENT.validate_python(value)
        except ValidationError:
            return None

    def flag(self, path: str) -> bool:
        return self.get(path) is True

    def some(self, *paths: str) -> dict[str, Any]:
        """Those of these that say anything, under their last names: for an event's data."""
        pairs = ((path.rpartition(".")[2], self.get(path)) for path in paths)
        return {name: value for name, value in pairs if value not in (None, "", [], {})}
