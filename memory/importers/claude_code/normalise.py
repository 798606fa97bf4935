"""Turns one parsed line into a message and events, and keeps the session's running sums.

Holds what later lines need from earlier ones: open tool calls, tokens per message, threads. Not
for files, identity or raw lines: `session.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config.lib.shorten import beginning
from memory.importers.claude_code.events import (
    MESSAGE_TYPES,
    Happening,
    api_error,
    read_calls,
    read_line_event,
    read_results,
)
from memory.importers.claude_code.lines import ID_LIMIT, Fields
from memory.importers.claude_code.messages import Utterance, read_utterance
from memory.importers.claude_code.records import (
    MAIN_THREAD,
    EventRecord,
    Kind,
    MessageRecord,
    Role,
)
from memory.importers.claude_code.report import SessionFacts
from memory.importers.claude_code.subagents import Threads
from memory.importers.claude_code.tools import ToolPairs
from memory.importers.claude_code.usage import NOTHING, Usage, UsageLedger, parse_usage
from memory.importers.problems import Code, Finding
from memory.importers.storable import Storable

TITLE_LIMIT = 500
# The program puts a handful of titles into a file; a hostile file must not fill the memory.
_SUMMARY_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line's records belong."""

    key: str
    session_id: str
    agent_id: str | None
    thread_key: str
    occurred_at: datetime | None
    is_inferred: bool
    file: str
    line_number: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What one line brought."""

    message: MessageRecord | None
    events: tuple[EventRecord, ...]
    usage_reported: Usage = NOTHING
    usage_added: Usage = NOTHING
    is_new_message: bool = False


@dataclass(slots=True)
class _Tokens:
    """The token side of an assistant line."""

    message_id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    reported: Usage | None = None
    added: Usage = NOTHING
    is_new: bool = False


class Normaliser:
    def __init__(self, facts: SessionFacts, threads: Threads, usage: UsageLedger) -> None:
        self.facts = facts
        self.threads = threads
        self.usage = usage
        self.tools = ToolPairs()

    def read(self, line: dict[str, Any], fields: Fields, place: Place, clean: Storable) -> Reading:
        """The message and events of one line, in its place."""
        utterance = read_utterance(line, clean)
        if utterance is None:
            return self._without_message(line, fields, place, clean)
        tokens = _Tokens()
        if line.get("type") == "assistant":
            tokens = self._tokens(line["message"], fields, place, clean)
        message = _message(utterance, fields, place, tokens, clean)
        happenings = self._tool_events(utterance, line, place, clean)
        if utterance.kind is Kind.API_ERROR:
            happenings.append(api_error(line, utterance.content, clean))
        self.facts.note_message(message)
        self._note_prompt(utterance, place)
        events = _events(happenings, fields, place)
        return Reading(message, events, tokens.reported or NOTHING, tokens.added, tokens.is_new)

    def line_event(self, line: dict[str, Any], clean: Storable) -> Happening | None:
        """The event of a line that is no message."""
        return read_line_event(line, clean)

    def _without_message(
        self, line: dict[str, Any], fields: Fields, place: Place, clean: Storable
    ) -> Reading:
        kind = line.get("type")
        if isinstance(kind, str) and kind in MESSAGE_TYPES:
            reason = f"{fields.type} line without message content"
            fields.findings.append(Finding(Code.NO_CONTENT, reason, "kept as a raw line only"))
            return Reading(None, ())
        self._note_session_line(line, fields.type, clean)
        happening = self.line_event(line, clean)
        if happening is None:
            return Reading(None, ())
        self.facts.compact_boundaries += line.get("subtype") == "compact_boundary"
        self.facts.api_errors += happening.event_type == "api_error"
        return Reading(None, _events([happening], fields, place))

    def _tokens(
        self, message: dict[str, Any], fields: Fields, place: Place, clean: Storable
    ) -> _Tokens:
        def text(name: str) -> str | None:
            value = message.get(name)
            if not isinstance(value, str) or not value or len(value) > ID_LIMIT:
                return None
            return clean.text(value)

        tokens = _Tokens(text("id"), text("model"), text("stop_reason"))
        raw = message.get("usage")
        wrong: list[str] = []
        if isinstance(raw, dict):
            tokens.reported, wrong = parse_usage(raw)
        elif raw is not None:
            wrong = ["usage"]
        if wrong:
            names = ", ".join(wrong)
            fields.findings.append(Finding(Code.BAD_USAGE, f"no token count: {names}", "read as 0"))
        if tokens.message_id is None and tokens.reported is None:
            return tokens
        key = (tokens.message_id or place.key, fields.request_id if tokens.message_id else None)
        tokens.is_new = key not in self.usage
        usage = tokens.reported or NOTHING
        tokens.added = self.usage.add(key, usage, tokens.model, fields.forked_from)
        self.facts.forked_messages += tokens.is_new and fields.forked_from is not None
        return tokens

    def _tool_events(
        self, utterance: Utterance, line: dict[str, Any], place: Place, clean: Storable
    ) -> list[Happening]:
        found: list[Happening] = []
        if utterance.role is Role.ASSISTANT:
            for call_id, tool, arguments, event in read_calls(utterance.blocks, clean):
                self.threads.note_call(call_id, tool, arguments, place.thread_key)
                key = self.tools.call(call_id, tool, place.file, place.line_number)
                self.facts.note_tool(tool)
                found.append(Happening(event.event_type, event.text, event.data, key))
        else:
            for call_id, event in read_results(utterance.blocks, line, clean):
                key, used = self.tools.result(call_id, place.file, place.line_number)
                if (agent_id := event.data.get("agent_id")) and isinstance(agent_id, str):
                    self.threads.note_agent(call_id, agent_id)
                self.facts.tool_errors += event.data["is_error"]
                data = {"tool": used, **event.data}
                found.append(Happening(event.event_type, event.text, data, key))
        return found

    def _note_prompt(self, utterance: Utterance, place: Place) -> None:
        if place.thread_key != MAIN_THREAD and utterance.kind is Kind.PROMPT:
            self.threads.note_prompt(place.thread_key, utterance.content)

    def _note_session_line(self, line: dict[str, Any], kind: str | None, clean: Storable) -> None:
        """Titles, and which call started which agent."""
        facts = self.facts

        def text(name: str) -> str | None:
            value = line.get(name)
            return beginning(clean.text(value), TITLE_LIMIT) if isinstance(value, str) else None

        match kind:
            case "custom-title":
                facts.custom_title = text("customTitle") or facts.custom_title
            case "ai-title":
                facts.ai_title = text("aiTitle") or facts.ai_title
            case "agent-name":
                facts.agent_name = text("agentName") or facts.agent_name
            case "summary":
                leaf, title = text("leafUuid"), text("summary")
                if leaf and title and len(facts.summaries) < _SUMMARY_LIMIT:
                    facts.summaries[leaf] = title
            case "progress":
                data, call_id = line.get("data"), text("parentToolUseID")
                agent_id = data.get("agentId") if isinstance(data, dict) else None
                if call_id and isinstance(agent_id, str):
                    self.threads.note_agent(call_id, clean.text(agent_id))


def _message(
    utterance: Utterance, fields: Fields, place: Place, tokens: _Tokens, clean: Storable
) -> MessageRecord:
    return MessageRecord(
        key=place.key,
        thread_key=place.thread_key,
        role=utterance.role,
        kind=utterance.kind,
        content=utterance.content,
        # Events are read from the whole; a row has to be stored.
        blocks=clean.fitted(utterance.blocks),
        native_uuid=fields.uuid,
        native_parent_uuid=fields.parent_uuid,
        occurred_at=place.occurred_at,
        occurred_at_inferred=place.is_inferred,
        message_id=tokens.message_id,
        request_id=fields.request_id,
        model=tokens.model,
        stop_reason=tokens.stop_reason,
        usage=tokens.added.as_dict() if tokens.reported and not fields.forked_from else None,
        usage_reported=tokens.reported.as_dict() if tokens.reported else None,
        is_sidechain=place.thread_key != MAIN_THREAD,
        is_meta=fields.is_meta,
        is_compact_summary=utterance.kind is Kind.COMPACT_SUMMARY,
        forked_from=fields.forked_from,
        file=place.file,
        line_number=place.line_number,
        prompt_id=fields.prompt_id,
    )


def _events(happenings: list[Happening], fields: Fields, place: Place) -> tuple[EventRecord, ...]:
    return tuple(
        EventRecord(
            dedupe_key=happening.identity or f"{place.key}/{happening.event_type}",
            event_type=happening.event_type,
            text=happening.text,
            data=happening.data,
            thread_key=place.thread_key,
            native_uuid=fields.uuid,
            occurred_at=place.occurred_at,
            occurred_at_inferred=place.is_inferred,
            file=place.file,
            line_number=place.line_number,
        )
        for happening in happenings
    )
