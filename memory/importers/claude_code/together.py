"""Writes batches of several sessions' lines at once, so that it can be done again and again.

It is one transaction of its caller's: raw lines, messages and events together. A line whose key
its session has is skipped with all that it brought, so a second run adds nothing, and a run killed
in the middle goes on where it was. What a hook told before is not told again.
"""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from config.lib.actor import Actor
from config.lib.errors import NotFound
from config.lib.shorten import beginning
from contacts.services import funnel
from contacts.services.agents import ensure_agent
from memory.importers.claude_code.records import Item
from memory.importers.claude_code.session import SessionReader
from memory.importers.claude_code.store import (
    Batch,
    SessionStore,
    timed,
    told,
    told_event,
    without_empty,
)
from memory.services.hook_streams import lock_streams
from memory.services.hook_traces import OpenTraces
from sessions.models import RawLine, Session, Thread
from sessions.services import transcripts
from sessions.services.events import NewEvent, append_to_sessions
from sessions.services.threads import NewMessage, append_to_threads, create_threads


@dataclass(slots=True)
class _Part:
    """A batch of one session on its way."""

    store: SessionStore
    batch: Batch
    session: Session
    traces: OpenTraces | None
    new: Sequence[Item] = ()
    messages: dict[str, list[NewMessage]] = field(default_factory=lambda: defaultdict(list))
    events: list[NewEvent] = field(default_factory=list)
    usages: list[Mapping[str, int]] = field(default_factory=list)


def write_together(actor: Actor, batches: Sequence[tuple[SessionStore, Batch]]) -> None:
    """Write batches, each of another session, all of one source and agent."""
    if not batches:
        return
    first = batches[0][0]
    names = [store.files.session_id for store, _ in batches]
    streams = lock_streams(first.source, names)
    sessions = _sessions(actor, batches)
    parts = []
    for (store, batch), session in zip(batches, sessions, strict=True):
        stream = streams.get(store.files.session_id)
        if stream is not None and not stream.has_transcript:
            funnel.touch(stream, has_transcript=True)
        traces = OpenTraces(session.id) if stream is not None else None
        parts.append(_Part(store, batch, session, traces))
    known = transcripts.known_line_keys(
        {part.session.pk: [item.line.key for item in part.batch.items] for part in parts}
    )
    lines = []
    for part in parts:
        items = part.batch.items
        part.new = [item for item in items if (part.session.pk, item.line.key) not in known]
        part.store.stored.lines += len(part.new)
        lines += [_raw_line(part, item) for item in part.new]
    transcripts.keep_raw_lines(actor=actor, lines=lines)
    parts = [part for part in parts if part.new]
    for part in parts:
        _sort(part)
    _write_messages(actor, parts)
    _write_events(actor, parts)


def _sort(part: _Part) -> None:
    """The messages by thread and the events, without what a hook told of."""
    for item in part.new:
        message = item.message
        if message is None:
            continue
        if part.traces is not None and told(part.traces, message):
            # The hook's message stands; what it cost only the transcript knows.
            part.usages.append(message.usage or {})
            continue
        new = part.batch.rows_of(item).message
        if new is not None:
            part.messages[message.thread_key].append(timed(new, part.session.started_at))
    part.events = [
        timed(new, part.session.started_at)
        for item in part.new
        for event, new in zip(item.events, part.batch.rows_of(item).events, strict=True)
        if part.traces is None or not told_event(part.traces, event)
    ]


def _raw_line(part: _Part, item: Item) -> RawLine:
    row = part.batch.rows_of(item).raw
    row.session_id = part.session.pk
    return row


def _write_messages(actor: Actor, parts: Sequence[_Part]) -> None:
    _find_threads(actor, parts)
    owners: dict[uuid.UUID, _Part] = {}
    given: dict[uuid.UUID, list[NewMessage]] = {}
    for part in parts:
        for key, messages in part.messages.items():
            thread_id = part.store.threads[key]
            owners[thread_id] = part
            given[thread_id] = messages
    if given:
        done = append_to_threads(actor=actor, batches=given)
        for thread_id, (_, added) in done.items():
            part = owners[thread_id]
            part.store.stored.messages += len(added)
            part.usages += [row.usage for row in added if row.usage]
    used = {part.session.pk: part.usages for part in parts if part.usages}
    if used:
        # As they are by now: the append has counted in them.
        rows = Session.objects.filter(pk__in=list(used)).order_by("pk")
        locked = rows.select_for_update(no_key=True)
        transcripts.add_usage([(session, used[session.pk]) for session in locked])


def _write_events(actor: Actor, parts: Sequence[_Part]) -> None:
    owners = {part.session.pk: part for part in parts if part.events}
    if owners:
        given = {session_id: part.events for session_id, part in owners.items()}
        done = append_to_sessions(actor=actor, batches=given)
        for session_id, (_, added) in done.items():
            owners[session_id].store.stored.events += len(added)


# --- Rows that are looked up or made --------------------------------------------------------------


def _sessions(actor: Actor, batches: Sequence[tuple[SessionStore, Batch]]) -> list[Session]:
    """The session of each batch, in their order; new ones are made."""
    seen = {store.stored.session_id for store, _ in batches} - {None}
    rows = {row.pk: row for row in Session.objects.filter(pk__in=seen)} if seen else {}
    new = [(store, batch) for store, batch in batches if store.stored.session_id is None]
    if new:
        first = new[0][0]
        agent = ensure_agent(actor=actor, name=first.agent_name, kind=first.kind)
        # One project per folder; without a folder, per transcript folder.
        paths = {store.external_id: batch.cwd or store.files.project for store, batch in new}
        projects = {
            path: transcripts.ensure_project_of_folder(actor=actor, path=path)
            for path in sorted(set(paths.values()))
        }
        found = transcripts.ensure_transcript_sessions(
            actor=actor,
            agent=agent,
            source=first.source,
            wanted={
                store.external_id: {
                    **store.begins_with(batch), "project_id": projects[paths[store.external_id]],
                }
                for store, batch in new
            },
        )  # fmt: skip
        for store, _ in new:
            session, store.stored.is_new = found[store.external_id]
            store.stored.session_id = session.pk
            rows[session.pk] = session
    sessions = []
    for store, _ in batches:
        session_id = store.stored.session_id
        if session_id is None or session_id not in rows:
            raise NotFound("session", session_id)
        sessions.append(rows[session_id])
    return sessions


def _find_threads(actor: Actor, parts: Sequence[_Part]) -> None:
    """Whose messages come: the threads that are there, and new ones, parents first."""
    wanted: dict[str, tuple[_Part, str]] = {}
    for part in parts:
        for key in part.messages:
            _with_parents(part, key, wanted)
    if not wanted:
        return
    source = parts[0].store.source
    rows = Thread.objects.filter(source=source, external_id__any_of=wanted.keys())
    there = dict(rows.values_list("external_id", "pk"))
    made: list[Thread] = []
    for external_id, (part, key) in wanted.items():
        store = part.store
        if external_id not in there:
            record = part.batch.threads[key]
            thread = Thread(
                session=part.session,
                parent_id=store.threads.get(record.parent_key or ""),
                name=beginning(record.name, 300),
                source=source,
                external_id=external_id,
                metadata=without_empty(
                    imported_name=beginning(record.name, 300),
                    agent_id=record.agent_id,
                    agent_type=record.agent_type,
                    tool_use_id=record.tool_use_id,
                ),
            )
            made.append(thread)
            there[external_id] = thread.pk
            store.stored.threads += 1
        store.threads[key] = there[external_id]
    create_threads(actor=actor, threads=made)


def _with_parents(part: _Part, key: str, wanted: dict[str, tuple[_Part, str]]) -> None:
    """A thread that is not known yet, after those above it."""
    store = part.store
    if key in store.threads or store.thread_id(key) in wanted:
        return
    parent = part.batch.threads[key].parent_key
    if parent:
        _with_parents(part, parent, wanted)
    wanted[store.thread_id(key)] = (part, key)


# --- The end --------------------------------------------------------------------------------------


def finish_together(actor: Actor, ended: Sequence[tuple[SessionStore, SessionReader]]) -> None:
    """What is known only once all of a session is read: its title, last activity, the names of its
    threads, and which one it was forked from."""
    rows = Session.objects.filter(pk__in=[store.stored.session_id for store, _ in ended])
    sessions = {row.pk: row for row in rows}
    known = [
        (store, reader, session)
        for store, reader in ended
        if (session := sessions.get(store.stored.session_id or uuid.UUID(int=0))) is not None
    ]
    transcripts.note_facts(
        actor=actor, facts=[store.facts(reader, session) for store, reader, session in known]
    )
    _link_to_origins(
        actor,
        {
            session.pk: reader.facts.forked_from
            for _, reader, session in known
            if reader.facts.forked_from is not None
        },
        ended[0][0].source if ended else "",
    )
    named: dict[uuid.UUID, tuple[str, uuid.UUID | None]] = {}
    for store, reader, _ in known:
        named |= store.names(reader)
    transcripts.name_threads(actor=actor, named=named)


def _link_to_origins(actor: Actor, forked: Mapping[uuid.UUID, str], source: str) -> None:
    """A fork's parent is the session it was copied from, where that is here. `forked` is the key of
    that by the fork's id."""
    if not forked:
        return
    rows = Session.objects.filter(source=source, external_id__any_of=set(forked.values()))
    origins = dict(rows.values_list("external_id", "pk"))
    orphans = Session.objects.filter(pk__in=list(forked), parent_id=None).order_by("pk")
    found = [row for row in orphans.select_for_update(no_key=True) if forked[row.pk] in origins]
    parents = {row.pk: {"parent_id": origins[forked[row.pk]]} for row in found}
    funnel.update_many(found, parents, actor=actor, action="import")
