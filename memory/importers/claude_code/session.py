"""Reads one session's files, line by line, into records; the heart of the reading half.

    reader = SessionReader(session_files)
    for item in reader:            # in file order: the main file, then each subagent's
        ...                        # item.line, item.message, item.events
    reader.facts, reader.threads.records(), reader.usage, reader.problems, reader.files

Memory is bounded by what must be known to the end: for each line its id (about 200 bytes), for
each message its tokens, for each tool call its id and name. Reading the same files again gives
the same records with the same keys. Not for storing, and not for finding files.
"""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from config.lib.shorten import beginning
from memory.importers.claude_code.events import KNOWN_TYPES
from memory.importers.claude_code.files import SessionFiles, TranscriptFile
from memory.importers.claude_code.lines import Fields, read_fields
from memory.importers.claude_code.messages import content_blocks
from memory.importers.claude_code.normalise import Normaliser, Place
from memory.importers.claude_code.reader import MAX_LINE_BYTES, RawLine, read_lines
from memory.importers.claude_code.records import (
    MAIN_THREAD,
    Item,
    Kept,
    Kind,
    LineRecord,
    MessageRecord,
    Role,
)
from memory.importers.claude_code.report import FileReport, SessionFacts
from memory.importers.claude_code.subagents import Threads
from memory.importers.claude_code.usage import MessageUsage, UsageKey, UsageLedger
from memory.importers.problems import DEFAULT_PROBLEM_LIMIT, Code, Finding, ProblemLog
from memory.importers.storable import Storable, shown

READ_BUFFER = 1024 * 1024
NO_TYPE = "(none)"
# Types whose lines always carry a time; for others its absence says nothing.
_TIMED_TYPES = frozenset({"user", "assistant", "system", "progress"})
_FIRST_TEXT_LIMIT = 2_000
# An agent's id has at most some 20 characters; a key must stay below 120.
_STREAM_LIMIT = 60
_HASH_BITS = 64
_HASH_MASK = (1 << _HASH_BITS) - 1


@dataclass(slots=True)
class _File:
    """Where the reading of one file stands."""

    source: TranscriptFile
    index: int
    report: FileReport
    last_time: datetime | None = None
    # How often each line without uuid came so far, by hash.
    times: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return self.report.file


class SessionReader:
    """Iterate once; the results beside the items are complete when the iteration is.

    Where only a later piece of a file is at hand, the others bring what was read before it:
    `known_usage` per-message token maxima, `known_tools` the tools of calls whose results come
    now, `known_lines` how often each line without a uuid came, by its hash.
    """

    known_types = KNOWN_TYPES
    timed_types = _TIMED_TYPES

    def __init__(
        self,
        files: SessionFiles,
        *,
        known_usage: Mapping[UsageKey, MessageUsage] | None = None,
        known_tools: Mapping[str, str] | None = None,
        known_lines: Mapping[str, int] | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        problem_limit: int = DEFAULT_PROBLEM_LIMIT,
    ) -> None:
        self.session = files
        self.max_line_bytes = max_line_bytes
        self.files: list[FileReport] = []
        self.facts = SessionFacts(files.session_id)
        self.threads = Threads()
        self.usage = UsageLedger(known_usage)
        self.problems = ProblemLog(problem_limit)
        self.redacted = 0
        self._normaliser = self.normaliser()
        for tool_use_id, tool in (known_tools or {}).items():
            self._normaliser.tools.call(tool_use_id, tool, "", 0)
        self._known_lines = known_lines or {}
        # Each line's uuid, to its `_mark`.
        self._seen: dict[str, int] = {}
        self._line_keys: set[str] = set()
        self._started = False

    def normaliser(self) -> Normaliser:
        """What turns lines into messages and events."""
        return Normaliser(self.facts, self.threads, self.usage)

    def understood(self, line: dict[str, Any], fields: Fields, clean: Storable) -> dict[str, Any]:
        """The line as the normaliser reads it. A reader of another format says it in these words,
        and fills the envelope from where that has it."""
        return line

    def __iter__(self) -> Iterator[Item]:
        if self._started:
            raise RuntimeError("a SessionReader can be iterated once; make a new one")
        self._started = True
        for index, source in enumerate((*self.session.main, *self.session.subagents)):
            yield from self._read_file(index, source)
        self._finish()

    def _read_file(self, index: int, source: TranscriptFile) -> Iterator[Item]:
        state = _File(source, index, FileReport(shown(source.path)))
        state.times.update(self._known_lines)
        self.files.append(state.report)
        try:
            with _opened(source) as stream:
                state.report.size = _size(stream)
                for raw in read_lines(
                    stream,
                    max_line_bytes=self.max_line_bytes,
                    number=source.number,
                    offset=source.offset,
                ):
                    if raw is None:
                        state.report.blank_lines += 1
                    elif (item := self._read_line(state, raw)) is not None:
                        state.report.kept[item.line.kept] += 1
                        yield item
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            done = "what was read up to here is kept"
            self._note(state, None, Finding(Code.UNREADABLE, reason, done))

    def _read_line(self, state: _File, raw: RawLine) -> Item | None:
        state.report.lines += 1
        self.redacted += raw.redacted
        for finding in raw.findings:
            self._note(state, raw.number, finding)
        if raw.value is None:
            return self._broken(state, raw)
        clean = Storable()
        fields = read_fields(raw.value, clean)
        if fields.forked_from == self.session.session_id:
            fields.forked_from = None
        _count(state.report, fields, raw.value)
        key, is_variant = self._identify(state, raw, fields.uuid)
        if key is None:
            return None
        place = self._place(state, raw, fields, key)
        if is_variant:
            item = Item(_line_record(raw, fields, place, Kept.RAW))
        else:
            item = self._normalise(state, raw, fields, place, clean)
        for finding in (*fields.findings, *_changes(clean)):
            self._note(state, raw.number, finding)
        return item

    def _broken(self, state: _File, raw: RawLine) -> Item | None:
        """A line without an object in it: kept raw, unless there is nothing to keep yet."""
        state.report.unparsable_lines += 1
        if not raw.complete:
            state.report.incomplete_lines += 1
            return None
        if any(finding.code is Code.NUL_RUN for finding in raw.findings):
            return None
        key, _ = self._identify(state, raw, None)
        if key is None:
            return None
        fields = read_fields({}, Storable())
        place = self._place(state, raw, fields, key)
        return Item(_line_record(raw, fields, place, Kept.BROKEN))

    def _normalise(
        self, state: _File, raw: RawLine, fields: Fields, place: Place, clean: Storable
    ) -> Item:
        line = self.understood(raw.value or {}, fields, clean)
        report = state.report
        self._note_facts(state, fields)
        if fields.type not in self.known_types:
            self._note_unknown(state, raw.number, fields.type)
        if (raw.value or {}).get("timestamp") is None and fields.type in self.timed_types:
            reason = f"{fields.type} line without a timestamp"
            done = "the time of the line before is taken"
            fields.findings.append(Finding(Code.MISSING_TIMESTAMP, reason, done))
        reading = self._normaliser.read(line, fields, place, clean)
        message = reading.message
        if message is not None:
            kept = Kept.MESSAGE
            if report.first_user_text is None and _is_from_user(message):
                report.first_user_text = beginning(message.content, _FIRST_TEXT_LIMIT)
        else:
            kept = Kept.EVENT if reading.events else Kept.RAW
        report.note_usage(reading.usage_reported, reading.usage_added, reading.is_new_message)
        for event in reading.events:
            report.events[event.event_type] += 1
        return Item(_line_record(raw, fields, place, kept), message, reading.events)

    def _identify(self, state: _File, raw: RawLine, uuid: str | None) -> tuple[str | None, bool]:
        """The line's key, or None where it was read before; and whether it is a different line
        under a uuid already taken, of which only the raw line is kept."""
        if uuid is not None:
            first = self._seen.get(uuid)
            if first is None:
                self._seen[uuid] = _mark(state, raw)
                return f"uuid:{uuid}", False
            if not self._note_repeat(state, raw, uuid, first):
                return None, False
        state.times[raw.sha256] += 1
        stream = (state.source.agent_id or MAIN_THREAD)[:_STREAM_LIMIT]
        key = f"line:{stream}:{raw.sha256[:32]}:{state.times[raw.sha256]}"
        if key in self._line_keys:
            state.report.lines_seen_before += 1
            return None, False
        self._line_keys.add(key)
        return key, uuid is not None

    def _note_repeat(self, state: _File, raw: RawLine, uuid: str, first: int) -> bool:
        """Count a uuid that comes again; whether the line differs from the first one."""
        mark = _mark(state, raw)
        differs = first & _HASH_MASK != mark & _HASH_MASK
        if first >> _HASH_BITS != state.index:
            # The same session in a second file: nothing to report, there may be thousands.
            state.report.lines_seen_before += not differs
            return differs
        state.report.repeated_uuids += 1
        if differs:
            reason, done = (
                f"uuid {uuid} was used before for another line",
                "kept as a raw line only",
            )
            self._note(state, raw.number, Finding(Code.UUID_REUSED, reason, done))
        else:
            reason = f"the line with uuid {uuid} comes a second time"
            self._note(state, raw.number, Finding(Code.REPEATED_LINE, reason, "ignored"))
        return differs

    def _place(self, state: _File, raw: RawLine, fields: Fields, key: str) -> Place:
        source = state.source
        if source.agent_id is not None:
            thread_key = self.threads.agent_thread(source.agent_id, source.meta)
        elif not fields.is_sidechain:
            thread_key = MAIN_THREAD
        elif fields.agent_id is not None:
            thread_key = self.threads.agent_thread(fields.agent_id)
        else:
            thread_key = self.threads.inline_thread(fields.uuid, fields.parent_uuid)
        moment = fields.timestamp or state.last_time
        state.last_time = moment
        return Place(
            key=key,
            session_id=fields.session_id or self.session.session_id,
            agent_id=fields.agent_id or source.agent_id,
            thread_key=thread_key,
            occurred_at=moment,
            is_inferred=fields.timestamp is None,
            file=state.name,
            line_number=raw.number,
        )

    def _note_facts(self, state: _File, fields: Fields) -> None:
        facts = self.facts
        if (moment := fields.timestamp) is not None:
            if facts.started_at is None or moment < facts.started_at:
                facts.started_at = moment
            if facts.last_at is None or moment > facts.last_at:
                facts.last_at = moment
        if state.source.agent_id is None and not fields.is_sidechain:
            facts.note_place(fields.cwd, fields.git_branch, fields.version)
        if fields.forked_from is not None:
            facts.forked_from = facts.forked_from or fields.forked_from
            facts.forked_lines += 1

    def _note_unknown(self, state: _File, number: int, kind: str | None) -> None:
        name = kind or NO_TYPE
        state.report.unknown_types[name] += 1
        if state.report.unknown_types[name] == 1:
            reason = f"unknown line type {name!a}" if kind else "line without a type"
            done = "kept as a raw line only; further ones are counted"
            self._note(state, number, Finding(Code.UNKNOWN_TYPE, reason, done))

    def _note(self, state: _File, number: int | None, finding: Finding) -> None:
        self.problems.add(finding.at(state.name, number))

    def _finish(self) -> None:
        facts = self.facts
        for problem in self._normaliser.tools.unpaired():
            self.problems.add(problem)
        for leaf, title in facts.summaries.items():
            if leaf in self._seen:
                facts.own_summary = title
        if facts.forked_from is not None and self.files:
            reason = (
                f"{facts.forked_lines} lines and {facts.forked_messages} assistant messages were "
                f"copied from session {facts.forked_from}"
            )
            done = "imported as a fork; their tokens count once, in the session they come from"
            self.problems.add(Finding(Code.FORK, reason, done).at(self.files[0].file, None))


def _opened(source: TranscriptFile) -> BinaryIO:
    if source.body is not None:
        return io.BytesIO(source.body)
    return open(source.path, "rb", buffering=READ_BUFFER)


def _size(stream: BinaryIO) -> int:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return size


def _mark(state: _File, raw: RawLine) -> int:
    """The file and a part of the line's hash, in one number: there is one for every line."""
    return state.index << _HASH_BITS | int(raw.sha256[:16], 16)


def _count(report: FileReport, fields: Fields, line: dict[str, Any]) -> None:
    """What a plain reader of the lines would count, repeated lines included."""
    report.types[fields.type or NO_TYPE] += 1
    if fields.timestamp is not None:
        report.note_time(fields.timestamp)
    report.note_session(fields.session_id, fields.agent_id)
    report.sidechain_lines += fields.is_sidechain
    report.compact_summary_lines += line.get("isCompactSummary") is True
    for block in content_blocks(line):
        kind = block.get("type")
        report.tool_use_blocks += kind == "tool_use"
        report.tool_result_blocks += kind == "tool_result"


def _is_from_user(message: MessageRecord) -> bool:
    """Whether the line stands under the user's name and is neither result nor put in."""
    return message.role is Role.USER or message.kind in (Kind.COMMAND_OUTPUT, Kind.NOTIFICATION)


def _line_record(raw: RawLine, fields: Fields, place: Place, kept: Kept) -> LineRecord:
    return LineRecord(
        key=place.key,
        file=place.file,
        number=raw.number,
        offset=raw.offset,
        length=raw.length,
        sha256=raw.sha256,
        raw=raw.text,
        kept=kept,
        thread_key=place.thread_key,
        type=fields.type,
        uuid=fields.uuid,
        parent_uuid=fields.parent_uuid,
        timestamp=fields.timestamp,
        session_id=place.session_id,
        agent_id=place.agent_id,
        is_sidechain=fields.is_sidechain,
        is_meta=fields.is_meta,
        cwd=fields.cwd,
        git_branch=fields.git_branch,
        version=fields.version,
        request_id=fields.request_id,
        forked_from=fields.forked_from,
    )


def _changes(clean: Storable) -> Iterator[Finding]:
    """What had to give way in a line's texts and values."""
    kept = "the raw line keeps it"
    if clean.replaced:
        reason = f"{clean.replaced} characters cannot be stored (NUL or half a surrogate pair)"
        yield Finding(Code.TEXT_CHANGED, reason, f"replaced by U+FFFD; {kept}")
    if clean.cut:
        yield Finding(Code.TEXT_CUT, f"{clean.cut} very long texts", f"cut; {kept}")
    if clean.dropped:
        reason = f"{clean.dropped} values that JSON storage cannot hold"
        yield Finding(Code.VALUE_DROPPED, reason, f"replaced by null or a note; {kept}")
