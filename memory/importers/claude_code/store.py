"""What SessionReader reads of one session, as rows: for together.py, which writes them.

Not for finding or reading files.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from config.lib import clock
from config.lib.redact import redact_text
from config.lib.scope import current_workspace_id
from config.lib.shorten import beginning
from contacts.models.agent import AgentKind
from memory.importers.ahead import give_way
from memory.importers.claude_code.files import SessionFiles
from memory.importers.claude_code.messages import command_line, spoken_text
from memory.importers.claude_code.records import (
    EventRecord,
    Item,
    Kind,
    MessageRecord,
    ThreadRecord,
)
from memory.importers.claude_code.session import SessionReader
from memory.models.hooks import TraceKind
from memory.services.hook_traces import OpenTraces
from sessions.models import RawLine, Session
from sessions.services import events, threads
from sessions.services.events import NewEvent
from sessions.services.threads import NewMessage
from sessions.services.transcripts import Facts

SOURCE = "claude-code"
New = TypeVar("New", NewMessage, NewEvent)
# A transaction's worth: large enough that its fixed cost is small, small enough for memory.
BATCH_LINES = 2000
BATCH_BYTES = 4 * 1024 * 1024
# A transcript that was written to more recently may still be going on.
ENDED_AFTER = timedelta(hours=1)


@dataclass(slots=True)
class Stored:
    """What one session's import added."""

    session_id: uuid.UUID | None = None
    is_new: bool = False
    lines: int = 0
    messages: int = 0
    events: int = 0
    threads: int = 0

    @property
    def added(self) -> bool:
        return bool(self.is_new or self.lines)


@dataclass(slots=True)
class SessionStore:
    """What is written of one session. `agent_name` is whose session it is."""

    files: SessionFiles
    agent_name: str = SOURCE
    source: str = SOURCE
    kind: AgentKind = AgentKind.CLAUDE_CODE
    stored: Stored = field(default_factory=Stored)
    threads: dict[str, uuid.UUID] = field(default_factory=dict)

    @property
    def external_id(self) -> str:
        return self.files.session_id[:300]

    def thread_id(self, key: str) -> str:
        """The external id of a thread."""
        return f"{self.files.session_id}/{key}"[:300]

    def begins_with(self, batch: "Batch") -> dict[str, Any]:
        """What its session begins with."""
        started = batch.started_at or clock.now()
        return {
            "started_at": started,
            "last_seen_at": started,
            "claude_session_id": self.files.session_id[:120] if self.source == SOURCE else "",
            "current_state": "idle",
            "cwd": beginning(batch.cwd or "", 1000),
            "repo_root": beginning(batch.cwd or "", 1000),
            "branch": beginning(batch.branch or "", 300),
        }

    def facts(self, reader: SessionReader, session: Session) -> Facts:
        """What is known only at the end: title, last activity."""
        facts = reader.facts
        # The files may be older than what an earlier run, or a hook, has seen.
        newest = max(filter(None, (facts.last_at, session.last_seen_at)))
        return Facts(
            session_id=session.pk,
            telemetry={
                "last_seen_at": newest,
                "model": beginning(facts.model or "", 120) or None,
                "branch": beginning(_last(facts.git_branches), 300) or None,
                "cwd": beginning(_last(facts.cwds), 1000) or None,
                **facts.tokens,
            },
            fill={
                "name": facts.title,
                "prompt": beginning(facts.first_prompt or facts.first_command or "", 2000),
            },
            metadata=without_empty(
                **{f"{self.source.split('-')[0]}_version": facts.version},
                **facts.more,
                compactions=facts.compactions,
                interruptions=facts.interruptions,
                forked_from=facts.forked_from,
                forked_messages=facts.forked_messages,
                transcript_project=self.files.project,
            ),
            last_at=newest,
            ended=clock.now() - newest > ENDED_AFTER,
        )

    def names(self, reader: SessionReader) -> Mapping[uuid.UUID, tuple[str, uuid.UUID | None]]:
        """The names and parents of its threads, which for subagents' are known at the end."""
        return {
            self.threads[record.key]: (
                beginning(record.name, 300), self.threads.get(record.parent_key or ""),
            )
            for record in reader.threads.records()
            if record.key in self.threads
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rows:
    """What one line becomes. Without what only the writer knows: the session, and the time of what
    says none."""

    raw: RawLine
    message: NewMessage | None
    events: Sequence[NewEvent]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes, and what was known of the session when it was read. `rows` are
    those that are made already, by the line's key."""

    items: list[Item]
    threads: dict[str, ThreadRecord]
    started_at: datetime | None
    cwd: str | None
    branch: str | None
    rows: dict[str, Rows] = field(default_factory=dict)

    def prepare(self, workspace_id: uuid.UUID) -> None:
        """Make the rows. Touches no database."""
        files: dict[str, str] = {}
        for item in self.items:
            give_way()
            self.rows[item.line.key] = _rows(item, workspace_id, files)

    def rows_of(self, item: Item) -> Rows:
        """Those that one line becomes, made now where they are not."""
        rows = self.rows.get(item.line.key)
        if rows is None:
            rows = self.rows[item.line.key] = _rows(item, current_workspace_id(), {})
        return rows


def batches(reader: SessionReader) -> Iterator[Batch]:
    """Items in groups that fit one transaction, by count and by size."""
    items: list[Item] = []
    size = 0
    for item in reader:
        give_way()
        items.append(item)
        size += item.line.length
        if len(items) >= BATCH_LINES or size >= BATCH_BYTES:
            yield _batch(reader, items)
            items, size = [], 0
    if items:
        yield _batch(reader, items)


def _batch(reader: SessionReader, items: list[Item]) -> Batch:
    facts = reader.facts
    first = next((item.line.timestamp for item in items if item.line.timestamp), None)
    keys = {item.message.thread_key for item in items if item.message is not None}
    threads: dict[str, ThreadRecord] = {}
    while keys:
        key = keys.pop()
        record = threads[key] = reader.threads.record(key)
        if record.parent_key and record.parent_key not in threads:
            keys.add(record.parent_key)
    return Batch(items, threads, facts.started_at or first, facts.cwd, facts.git_branch)


def _rows(item: Item, workspace_id: uuid.UUID, files: dict[str, str]) -> Rows:
    """`files` has the names of those that came before, as they are kept."""
    line, message = item.line, item.message
    if line.file not in files:
        # The line itself was read through it.
        files[line.file] = redact_text(line.file)[-300:]
    raw = RawLine(
        workspace_id=workspace_id,
        file=files[line.file],
        line_no=line.number,
        byte_offset=line.offset,
        line_key=line.key[:200],
        digest=bytes.fromhex(line.sha256),
        raw=line.raw,
    )
    return Rows(
        raw,
        None if message is None else threads.made(_new_message(message), workspace_id),
        [events.made(_new_event(item, event), workspace_id) for event in item.events],
    )


def timed(new: New, fallback: datetime) -> New:
    """What says no time has that of `fallback`."""
    return new if new.occurred_at is not None else replace(new, occurred_at=fallback)


def _last(names: Sequence[str]) -> str:
    return names[-1] if names else ""


def _new_message(record: MessageRecord) -> NewMessage:
    return NewMessage(
        role=record.role,
        content=record.content,
        blocks=record.blocks,
        native_uuid=record.identity[:120],
        native_parent_uuid=(record.native_parent_uuid or "")[:120],
        model=beginning(record.model or "", 120),
        usage=record.usage or {},
        occurred_at=record.occurred_at,
        metadata=without_empty(
            kind=str(record.kind),
            message_id=record.message_id,
            request_id=record.request_id,
            stop_reason=record.stop_reason,
            is_meta=record.is_meta,
            is_sidechain=record.is_sidechain,
            is_compact_summary=record.is_compact_summary,
            forked_from=record.forked_from,
            time_inferred=record.occurred_at_inferred,
            line=record.line_number,
            prompt_id=record.prompt_id,
        ),
    )


_TOLD_KINDS = {
    Kind.PROMPT: TraceKind.PROMPT,
    Kind.COMMAND: TraceKind.PROMPT,
    Kind.REPLY: TraceKind.REPLY,
}


def told(traces: OpenTraces, record: MessageRecord) -> bool:
    """Whether a hook told of this message, as the person typed it or the agent ended its turn."""
    kind = _TOLD_KINDS.get(record.kind)
    if kind is None:
        return False
    said = record.content
    if record.kind is Kind.PROMPT:
        said = spoken_text(record.blocks) or said
    elif record.kind is Kind.COMMAND:
        said = command_line(said) or said
    return traces.take(
        kind, native_id=record.prompt_id or "", text=said, line_key=record.identity[:120]
    )


def told_event(traces: OpenTraces, event: EventRecord) -> bool:
    return event.event_type == TraceKind.COMPACTION and traces.take(
        TraceKind.COMPACTION, native_id="", text="", line_key=event.dedupe_key
    )


def _new_event(item: Item, event: EventRecord) -> NewEvent:
    """An event in a line that is also a message names it: its words are searched for there."""
    data = event.data
    if item.message is not None:
        data = {**data, "message_uuid": item.message.identity[:120]}
    return NewEvent(
        event_type=event.event_type,
        text=event.text,
        data=data,
        occurred_at=event.occurred_at,
        dedupe_key=event.dedupe_key,
    )


def without_empty(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", False, 0)}
