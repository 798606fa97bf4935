"""Transcripts that are uploaded piece by piece: what is new of a file, from where it was left.

A piece is a run of the file's bytes. Whole lines are taken, half a last line is not: it comes again
with its rest, so nothing cut in the middle is ever stored. Each answer names the offset that is
wanted next, which is the start of the last line taken: the sender's next piece repeats that line,
and so proves that the file is still the same one. The stream's lock is held, so pieces sent at once
are taken one after the other. Not for what lines say: that is the importer's
(memory/importers/claude_code).
"""

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Invalid
from contacts.models import Agent
from contacts.services import funnel
from memory.importers.claude_code import SessionFiles, SessionReader, TranscriptFile
from memory.importers.claude_code.records import MAIN_THREAD
from memory.importers.claude_code.store import SOURCE, SessionStore, batches
from memory.importers.claude_code.subagents import SPAWNING_TOOLS
from memory.importers.claude_code.together import write_together
from memory.importers.claude_code.usage import MessageUsage, Usage, UsageKey
from memory.models import Transcript
from memory.services.hook_streams import is_erased, lock_stream
from memory.services.hooks import find_dialect
from sessions.models import Message, RawLine, Session, SessionEvent
from sessions.services import transcripts

READ = frozenset({SOURCE})
# A line above this is not sent twice: the next piece begins behind it.
MOST_REPEATED = 64 * 1024
# Of the messages before a piece, those that may share a message id with its first lines.
RECENT_MESSAGES = 200
MOST_SPAWNING = 500
MOST_GAPS = 100
_RESULTS = re.compile(rb'"tool_use_id"\s*:\s*"([^"\\]{1,120})"')
_CALLS = re.compile(rb'"type"\s*:\s*"tool_use"')
_CALL_IDS = re.compile(rb'"id"\s*:\s*"([^"\\]{1,120})"')
_PARENTS = re.compile(rb'"parentUuid"\s*:\s*"([^"\\]{1,120})"')


class Status(StrEnum):
    """What became of a piece."""

    TAKEN = "taken"
    KNOWN = "known"  # nothing of it is new
    HALF = "half"  # no whole line in it yet
    GAP = "gap"  # bytes before it are missing
    REWRITTEN = "rewritten"  # the file is another one now; it is wanted from its start


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a file from `offset` on. `size` is how long the file is now, as far as its sender
    says so; `final` that no more will come, so that a last line without its end is whole; `skip`
    that what is missing before it is lost."""

    session_name: str
    file: str
    offset: int
    body: bytes
    subagent: str = ""
    subagent_meta: dict[str, Any] = field(default_factory=dict)
    size: int | None = None
    final: bool = False
    skip: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a piece. `next_offset` is where the next one begins, `taken` how much of the
    file is here."""

    status: Status
    next_offset: int
    taken: int
    session_id: uuid.UUID | None
    lines: int = 0
    messages: int = 0
    events: int = 0
    gaps: list[list[int]] = field(default_factory=list)


def take_piece(*, actor: Actor, agent: Agent, dialect: str, piece: Piece) -> Taken:
    """Store what is new of a transcript; in a scope, all or nothing. Can be called again.

    Raises NotFound for an agent that nobody knows, Invalid for one whose transcripts nobody reads.
    """
    if find_dialect(dialect).name not in READ:
        raise Invalid({"agent": f"transcripts are read of {', '.join(sorted(READ))} only"})
    if is_erased(dialect, piece.session_name):
        end = piece.offset + len(piece.body)
        return Taken(Status.KNOWN, max(end, piece.size or 0), end, None)
    stream = lock_stream(dialect, piece.session_name, wait=True)
    assert stream is not None  # waited for
    if not stream.has_transcript:
        funnel.touch(stream, has_transcript=True)
    row = _row(dialect, piece)
    if _is_rewritten(row, piece):
        _start_again(row)
        if piece.offset > 0:
            return _told(Status.REWRITTEN, row)
    seen = max(row.seen, piece.size or 0, piece.offset + len(piece.body))
    if seen != row.seen:
        funnel.touch(row, seen=seen)
    if piece.offset > row.taken and not (piece.skip and piece.body):
        return _told(Status.GAP, row)
    start, new = _new_part(row, piece)
    if not new:
        return _told(Status.KNOWN, row)
    end = len(new) if piece.final else new.rfind(b"\n") + 1
    if not end:
        return _told(Status.HALF, row)
    if start > row.taken:
        funnel.touch(row, gaps=[*row.gaps, [row.taken, start]][-MOST_GAPS:])
    store = _store(actor, agent, row, piece, new[:end], start)
    if store.stored.session_id is not None and stream.session_id is None:
        funnel.touch(stream, session_id=store.stored.session_id)
    _move_on(row, new[:end], start, store.stored.session_id)
    stored = store.stored
    return _told(
        Status.TAKEN, row, lines=stored.lines, messages=stored.messages, events=stored.events
    )


# --- The file ---------------------------------------------------------------------------------


def _row(dialect: str, piece: Piece) -> Transcript:
    identity = {"dialect": dialect, "session_name": piece.session_name, "file": piece.file}
    found = Transcript.objects.filter(**identity).first()
    if found is None:
        found = Transcript(subagent=piece.subagent, **identity)
        funnel.check(found)
        found.save(force_insert=True)
    return found


def _is_rewritten(row: Transcript, piece: Piece) -> bool:
    """Whether the file is shorter than what was taken, or its bytes where they are repeated are
    others."""
    if piece.size is not None and piece.size < row.taken:
        return True
    covers = piece.offset <= row.check_from and piece.offset + len(piece.body) >= row.taken
    if not row.check_digest or not covers:
        return False
    again = piece.body[row.check_from - piece.offset : row.taken - piece.offset]
    return _digest(again) != row.check_digest


def _start_again(row: Transcript) -> None:
    funnel.touch(
        row, taken=0, next_line=1, check_from=0, check_digest="", seen=0, gaps=[],
        generation=row.generation + 1,
    )  # fmt: skip


def _new_part(row: Transcript, piece: Piece) -> tuple[int, bytes]:
    """(where it begins in the file, the bytes that were not taken yet)."""
    if piece.offset <= row.taken:
        return row.taken, piece.body[row.taken - piece.offset :]
    # After a gap a line is whole from its first byte on; where that is, only a line's end says.
    cut = piece.body.find(b"\n") + 1
    return (piece.offset + cut, piece.body[cut:]) if cut else (row.taken, b"")


def _move_on(row: Transcript, body: bytes, start: int, session_id: uuid.UUID | None) -> None:
    last = body[:-1].rfind(b"\n") + 1
    # The last line of a final piece may lack its end, which would make it another line later.
    check = body[last:] if body.endswith(b"\n") else b""
    funnel.touch(
        row,
        taken=start + len(body),
        next_line=row.next_line + body.count(b"\n") + (not body.endswith(b"\n")),
        check_from=start + last if check else start + len(body),
        check_digest=_digest(check) if check else "",
        session_id=session_id or row.session_id,
        updated_at=clock.now(),
    )


def _told(status: Status, row: Transcript, **counts: int) -> Taken:
    repeats = row.check_digest and row.taken - row.check_from <= MOST_REPEATED
    return Taken(
        status=status,
        next_offset=row.check_from if repeats else row.taken,
        taken=row.taken,
        session_id=row.session_id,
        gaps=row.gaps,
        **counts,
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- Its lines --------------------------------------------------------------------------------


def _store(
    actor: Actor, agent: Agent, row: Transcript, piece: Piece, body: bytes, start: int
) -> SessionStore:
    """Read and write whole lines, with what earlier pieces said that these refer to."""
    source = TranscriptFile(
        Path(piece.file),
        piece.session_name,
        piece.subagent or None,
        piece.subagent_meta,
        body,
        row.next_line,
        start,
    )
    main, subagents = ((), (source,)) if piece.subagent else ((source,), ())
    files = SessionFiles(piece.session_name, "", main, subagents)
    session = Session.objects.filter(source=SOURCE, external_id=piece.session_name).first()
    reader = _reader(files, session, body, start, piece.subagent)
    store = SessionStore(files, agent.name)
    for batch in batches(reader):
        write_together(actor, [(store, batch)])
    if store.stored.session_id is not None:
        _note(actor, store, reader)
    return store


def _note(actor: Actor, store: SessionStore, reader: SessionReader) -> None:
    facts, session_id = reader.facts, store.stored.session_id
    assert session_id is not None  # the caller has looked
    transcripts.note_upload(
        actor=actor,
        session_id=session_id,
        telemetry={
            "model": (facts.model or "")[:120] or None,
            "branch": (facts.git_branches[-1] if facts.git_branches else "")[:300] or None,
            "cwd": (facts.cwds[-1] if facts.cwds else "")[:1000] or None,
        },
        fill={
            "name": facts.custom_title or facts.agent_name or facts.ai_title,
            "prompt": (facts.first_prompt or facts.first_command or "")[:2000],
        },
        metadata={"claude_version": facts.version} if facts.version else {},
    )
    transcripts.name_threads(actor=actor, named=store.names(reader))


def _reader(
    files: SessionFiles, session: Session | None, body: bytes, start: int, subagent: str
) -> SessionReader:
    if session is None:
        return SessionReader(files)
    reader = SessionReader(
        files,
        known_usage=_known_usage(session),
        known_tools=_known_tools(session, body),
        known_lines=_known_lines(session, body, start, subagent or MAIN_THREAD),
    )
    for event in _spawning_calls(session):
        call_id, tool = event.data.get("tool_use_id"), event.data.get("tool")
        if isinstance(call_id, str) and isinstance(tool, str):
            reader.threads.note_call(call_id, tool, event.data.get("input"), MAIN_THREAD)
    for parent, key in _known_roots(session, body):
        reader.threads.note_root(parent, key)
    return reader


def _known_usage(session: Session) -> dict[UsageKey, MessageUsage]:
    """Tokens of the messages just before the piece, by message. Index message_session."""
    rows = Message.objects.filter(session=session, role="assistant").order_by("-occurred_at")
    found: dict[UsageKey, Usage] = {}
    for usage, told in rows.values_list("usage", "metadata")[:RECENT_MESSAGES]:
        message_id = told.get("message_id")
        if message_id and usage:
            key = (message_id, told.get("request_id"))
            counts = {name: usage.get(name, 0) for name in Usage._fields}
            found[key] = found.get(key, Usage()).plus(Usage(**counts))
    return {key: MessageUsage(usage) for key, usage in found.items()}


def _known_tools(session: Session, body: bytes) -> dict[str, str]:
    """The tools of calls whose results come in this piece and that were made before it. Index
    event_dedupe_unique."""
    called: set[str] = set()
    for line in body.split(b"\n"):
        if _CALLS.search(line):
            called.update(_texts(_CALL_IDS.findall(line)))
    wanted = set(_texts(_RESULTS.findall(body))) - called
    keys = [f"tool_use:{call_id}" for call_id in sorted(wanted)]
    if not keys:
        return {}
    rows = SessionEvent.objects.filter(session=session, dedupe_key__any_of=keys)
    return {
        row.data["tool_use_id"]: tool
        for row in rows
        if isinstance(tool := row.data.get("tool"), str) and row.data.get("tool_use_id")
    }


def _known_lines(session: Session, body: bytes, start: int, stream: str) -> dict[str, int]:
    """How often lines of this piece without a uuid came before it. Index rawline_key_unique."""
    plain = (line.removesuffix(b"\r") for line in body.split(b"\n") if b'"uuid"' not in line)
    hashes = Counter(_digest(line) for line in plain if line.strip())
    if not start or not hashes:
        return {}
    known: dict[str, int] = {}
    todo, number = list(hashes), 1
    while todo:
        keys = {f"line:{stream[:60]}:{one[:32]}:{number}": one for one in todo}
        rows = RawLine.objects.filter(
            session=session, line_key__any_of=list(keys), byte_offset__lt=start
        )
        todo = [keys[key] for key in rows.values_list("line_key", flat=True)]
        known.update(dict.fromkeys(todo, number))
        number += 1
    return known


def _spawning_calls(session: Session) -> Iterable[SessionEvent]:
    """Calls that started subagents, whose threads are named by them. Index event_session_type."""
    rows = SessionEvent.objects.filter(
        session=session, event_type="tool_use", data__tool__in=sorted(SPAWNING_TOOLS)
    )
    return rows.order_by("-seq")[:MOST_SPAWNING]


def _known_roots(session: Session, body: bytes) -> list[tuple[str, str]]:
    """Lines of subagents in the main file (older versions) that this piece goes on from, each with
    its thread's key. Index message_native_uuid_unique."""
    if b'"isSidechain":true' not in body and b'"isSidechain": true' not in body:
        return []
    parents = sorted(set(_texts(_PARENTS.findall(body))))
    rows = Message.objects.filter(session=session, native_uuid__any_of=parents)
    found = rows.values_list("native_uuid", "thread__external_id")
    prefix = f"{session.external_id}/"
    return [
        (native, external.removeprefix(prefix))
        for native, external in found
        if external.startswith(f"{prefix}sidechain:")
    ]


def _texts(found: Iterable[bytes]) -> Iterable[str]:
    return (one.decode("utf-8", errors="replace") for one in found)
