"""Writes what SessionReader reads, batch by batch, so that it can be run again and again.

Each batch is one transaction of its caller's: its raw lines, messages and events together. A line
whose key the session has is skipped with all that it brought, so a second run adds nothing, and a
run killed in the middle goes on where it was. Not for finding or reading files.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from contacts.models import Agent
from contacts.models.agent import AgentKind
from contacts.services import funnel
from contacts.services.agents import ensure_agent
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
from memory.services.hook_streams import lock_stream
from memory.services.hook_traces import OpenTraces
from sessions.models import RawLine, Session, Thread
from sessions.services import transcripts
from sessions.services.events import NewEvent, append_events
from sessions.services.threads import NewMessage, append_messages, create_thread

SOURCE = "claude-code"
# A transaction's worth: large enough that its fixed cost is small, small enough for memory.
BATCH_LINES = 1000
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
    """Stores one session. `agent_name` is whose session it is."""

    actor: Actor
    files: SessionFiles
    agent_name: str = SOURCE
    source: str = SOURCE
    kind: AgentKind = AgentKind.CLAUDE_CODE
    stored: Stored = field(default_factory=Stored)
    threads: dict[str, uuid.UUID] = field(default_factory=dict)

    def write(self, batch: "Batch") -> None:
        """Write a batch in the caller's transaction. What a hook told before is not told again."""
        stream = lock_stream(self.source, self.files.session_id, wait=True, make=False)
        session = self._session(batch)
        if stream is not None and not stream.has_transcript:
            funnel.touch(stream, has_transcript=True)
        keys = [item.line.key for item in batch.items]
        known = transcripts.known_line_keys(session_id=session.id, keys=keys)
        new = [item for item in batch.items if item.line.key not in known]
        if not new:
            return
        fallback = session.started_at
        lines = [_raw_line(session, item) for item in new]
        transcripts.keep_raw_lines(actor=self.actor, lines=lines)
        self.stored.lines += len(lines)
        traces = OpenTraces(session.id) if stream is not None else None
        self._write_messages(batch, session, new, fallback, traces)
        self._write_events(session, new, fallback, traces)

    def _write_messages(
        self,
        batch: "Batch",
        session: Session,
        new: Sequence[Item],
        fallback: datetime,
        traces: OpenTraces | None,
    ) -> None:
        by_thread: dict[str, list[MessageRecord]] = defaultdict(list)
        usages: list[dict[str, int]] = []
        for item in new:
            message = item.message
            if message is None:
                continue
            if traces is not None and _told(traces, message):
                # The hook's message stands; what it cost only the transcript knows.
                usages.append(message.usage or {})
                continue
            by_thread[message.thread_key].append(message)
        for key, messages in by_thread.items():
            _, added = append_messages(
                actor=self.actor,
                thread_id=self._thread(batch, session, key),
                messages=[_message(m, fallback) for m in messages],
            )
            self.stored.messages += len(added)
            usages.extend(row.usage for row in added if row.usage)
        if usages:
            session.refresh_from_db()
            transcripts.add_usage(session=session, usages=usages)

    def _write_events(
        self,
        session: Session,
        new: Sequence[Item],
        fallback: datetime,
        traces: OpenTraces | None,
    ) -> None:
        events = [
            NewEvent(
                event_type=event.event_type,
                text=event.text,
                data=_event_data(item, event),
                occurred_at=event.occurred_at or fallback,
                dedupe_key=event.dedupe_key,
            )
            for item in new
            for event in item.events
            if traces is None or not _told_event(traces, event)
        ]
        for start in range(0, len(events), 1000):
            _, added = append_events(
                actor=self.actor, session_id=session.id, events=events[start : start + 1000]
            )
            self.stored.events += len(added)

    # --- rows that are looked up or made ----------------------------------------------------

    def _session(self, batch: "Batch") -> Session:
        if self.stored.session_id is not None:
            return funnel.get_row(Session, self.stored.session_id)
        started = batch.started_at or clock.now()
        fields: dict[str, Any] = {
            "started_at": started,
            "last_seen_at": started,
            "claude_session_id": self.files.session_id[:120] if self.source == SOURCE else "",
            "current_state": "idle",
            "cwd": (batch.cwd or "")[:1000],
            "repo_root": (batch.cwd or "")[:1000],
            "branch": (batch.branch or "")[:300],
        }
        session, is_new = transcripts.ensure_transcript_session(
            actor=self.actor,
            agent=self._agent(),
            source=self.source,
            external_id=self.files.session_id[:300],
            project=self._project(batch.cwd),
            **fields,
        )
        self.stored.session_id, self.stored.is_new = session.id, is_new
        return session

    def _agent(self) -> Agent:
        return ensure_agent(actor=self.actor, name=self.agent_name, kind=self.kind)

    def _project(self, cwd: str | None) -> uuid.UUID | None:
        """One project per folder; without a folder, per transcript folder."""
        path = cwd or self.files.project
        return transcripts.ensure_project_of_folder(actor=self.actor, path=path)

    def _thread(self, batch: "Batch", session: Session, key: str) -> uuid.UUID:
        if key not in self.threads:
            external_id = f"{self.files.session_id}/{key}"[:300]
            found = Thread.objects.filter(source=self.source, external_id=external_id).first()
            if found is None:
                record = batch.threads[key]
                parent = record.parent_key
                found = create_thread(
                    actor=self.actor,
                    session_id=session.id,
                    name=record.name[:300],
                    parent_id=self._thread(batch, session, parent) if parent else None,
                    source=self.source,
                    external_id=external_id,
                    metadata=_without_empty(
                        imported_name=record.name[:300],
                        agent_id=record.agent_id,
                        agent_type=record.agent_type,
                        tool_use_id=record.tool_use_id,
                    ),
                )
                self.stored.threads += 1
            self.threads[key] = found.id
        return self.threads[key]

    # --- the end ------------------------------------------------------------------------

    def finish(self, reader: SessionReader, session_id: uuid.UUID) -> None:
        """What is known only at the end: title, last activity, names of subagents' threads."""
        facts = reader.facts
        last_at = facts.last_at
        # The files may be older than what an earlier run, or a hook, has seen.
        session = funnel.get_row(Session, session_id)
        newest = max(filter(None, (last_at, session.last_seen_at)))
        ended = clock.now() - newest > ENDED_AFTER
        transcripts.note_facts(
            actor=self.actor,
            session_id=session_id,
            telemetry={
                "last_seen_at": newest,
                "model": (facts.model or "")[:120] or None,
                "branch": (facts.git_branches[-1] if facts.git_branches else "")[:300] or None,
                "cwd": (facts.cwds[-1] if facts.cwds else "")[:1000] or None,
                **facts.tokens,
            },
            fill={
                "name": facts.title,
                "prompt": (facts.first_prompt or facts.first_command or "")[:2000],
            },
            metadata=_without_empty(
                **{f"{self.source.split('-')[0]}_version": facts.version},
                **facts.more,
                compactions=facts.compactions,
                interruptions=facts.interruptions,
                forked_from=facts.forked_from,
                forked_messages=facts.forked_messages,
                transcript_project=self.files.project,
            ),
            last_at=newest,
            ended=ended,
        )
        self._link_to_origin(facts.forked_from, session_id)
        for record in reader.threads.records():
            if record.key in self.threads:
                transcripts.name_thread(
                    actor=self.actor,
                    thread=funnel.get_row(Thread, self.threads[record.key], lock=True),
                    name=record.name[:300],
                    parent_id=self.threads.get(record.parent_key or ""),
                )

    def _link_to_origin(self, forked_from: str | None, session_id: uuid.UUID) -> None:
        """A fork's parent is the session it was copied from, where that is here."""
        if forked_from is None:
            return
        origin = Session.objects.filter(source=self.source, external_id=forked_from).first()
        session = funnel.get_row(Session, session_id, lock=True)
        if origin is not None and session.parent_id is None:
            funnel.update(session, {"parent_id": origin.id}, actor=self.actor, action="import")


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes, and what was known of the session when it was read."""

    items: list[Item]
    threads: dict[str, ThreadRecord]
    started_at: datetime | None
    cwd: str | None
    branch: str | None


def batches(reader: SessionReader) -> Iterator[Batch]:
    """Items in groups that fit one transaction, by count and by size."""
    items: list[Item] = []
    size = 0
    for item in reader:
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


def _raw_line(session: Session, item: Item) -> RawLine:
    line = item.line
    return RawLine(
        session=session,
        file=line.file[-300:],
        line_no=line.number,
        byte_offset=line.offset,
        line_key=line.key[:200],
        digest=bytes.fromhex(line.sha256),
        raw=line.raw,
    )


def _message(record: MessageRecord, fallback: datetime) -> NewMessage:
    return NewMessage(
        role=record.role,
        content=record.content,
        blocks=record.blocks,
        native_uuid=record.identity[:120],
        native_parent_uuid=(record.native_parent_uuid or "")[:120],
        model=(record.model or "")[:120],
        usage=record.usage or {},
        occurred_at=record.occurred_at or fallback,
        metadata=_without_empty(
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


def _told(traces: OpenTraces, record: MessageRecord) -> bool:
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


def _told_event(traces: OpenTraces, event: EventRecord) -> bool:
    return event.event_type == TraceKind.COMPACTION and traces.take(
        TraceKind.COMPACTION, native_id="", text="", line_key=event.dedupe_key
    )


def _event_data(item: Item, event: EventRecord) -> dict[str, Any]:
    """An event in a line that is also a message names it: its words are searched for there."""
    if item.message is None:
        return event.data
    return {**event.data, "message_uuid": item.message.identity[:120]}


def _without_empty(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", False, 0)}
