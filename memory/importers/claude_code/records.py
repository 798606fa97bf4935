"""What a transcript becomes: the normalised rows that the storing half writes.

Pure data, ready for the database: texts hold no NUL and no lone surrogate, JSON is fit for
`jsonb`, times are aware and in UTC. Not for deciding anything: `session.py` does.

Identity. Every record has a `key`, unique in its session and the same on each reading, so that
an import can run again: `uuid:<uuid>` for a line that has one, else
`line:<stream>:<hash>:<n>`, the n-th line of that content in the main or an agent's file. Tool
events use `tool_use:<id>` and `tool_result:<id>`, which a live hook can also know.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

MAIN_THREAD = "main"


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


class Kind(StrEnum):
    """What a message is, finer than its role: search and the reading page tell them apart."""

    PROMPT = "prompt"  # what a person, or for a subagent its caller, asked
    COMMAND = "command"  # a slash or shell command the person typed
    INTERRUPTION = "interruption"  # the person stopped the agent
    REPLY = "reply"  # text of the agent, with or without calls
    THINKING = "thinking"  # nothing but thinking
    TOOL_CALL = "tool_call"  # nothing but calls
    API_ERROR = "api_error"  # an error shown in the agent's place
    SYNTHETIC = "synthetic"  # written by the program in the agent's name
    TOOL_RESULT = "tool_result"
    COMMAND_OUTPUT = "command_output"  # what a command of the person printed
    COMPACT_SUMMARY = "compact_summary"  # what stands for the conversation before a compaction
    META = "meta"  # put in by the program for the model to read
    NOTIFICATION = "notification"  # a background task reporting back, a reminder


class Kept(StrEnum):
    """What became of a line. Every line with a `LineRecord` is kept raw as well."""

    MESSAGE = "message"
    EVENT = "event"
    RAW = "raw"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class LineRecord:
    """One line of a file, for the raw store."""

    key: str
    file: str
    number: int
    offset: int
    length: int
    sha256: str
    raw: str
    kept: Kept
    thread_key: str
    type: str | None
    uuid: str | None
    parent_uuid: str | None
    timestamp: datetime | None
    session_id: str
    agent_id: str | None
    is_sidechain: bool
    is_meta: bool
    cwd: str | None
    git_branch: str | None
    version: str | None
    request_id: str | None
    forked_from: str | None


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One line of conversation: one row, in the order of the file.

    The program writes one line per content block, so that an assistant's turn is several rows
    with one `message_id`. They stay several: rows are append-only and the rest of a turn may
    come with the next import; whoever shows them groups by `message_id`.

    `usage` is what this line adds to its message's tokens (see `usage.py`), so that sums over
    rows are right; `usage_reported` is what the line says. `forked_from` names the session that
    a fork copied the line from; such a line's tokens count there, and its `usage` is None.
    """

    key: str
    thread_key: str
    role: Role
    kind: Kind
    content: str
    blocks: list[dict[str, Any]]
    native_uuid: str | None
    native_parent_uuid: str | None
    occurred_at: datetime | None
    occurred_at_inferred: bool
    message_id: str | None
    request_id: str | None
    model: str | None
    stop_reason: str | None
    usage: dict[str, int] | None
    usage_reported: dict[str, int] | None
    is_sidechain: bool
    is_meta: bool
    is_compact_summary: bool
    forked_from: str | None
    file: str
    line_number: int
    prompt_id: str | None = None

    @property
    def identity(self) -> str:
        """What names the message in its session: its uuid, or its line's key without one."""
        return self.native_uuid or self.key


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened at a line: a tool call, its result, a compaction, a hook."""

    dedupe_key: str
    event_type: str
    text: str
    data: dict[str, Any]
    thread_key: str
    native_uuid: str | None
    occurred_at: datetime | None
    occurred_at_inferred: bool
    file: str
    line_number: int


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """A conversation within the session: the main one, or a subagent's."""

    key: str
    name: str
    parent_key: str | None
    agent_id: str | None = None
    agent_type: str | None = None
    tool_use_id: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """All that one line brings."""

    line: LineRecord
    message: MessageRecord | None = None
    events: tuple[EventRecord, ...] = field(default=())
