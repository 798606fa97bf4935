"""Reads what happened out of a line: calls, results, compactions, hooks, titles.

Which types become events stands in the tables below. `KNOWN_RAW` names types that are known and
of no use as events: copies of other lines, interface state, and progress ticks whose outcome
comes in the tool's result. A type in no table is unknown: kept raw and reported. Events hold
texts shortened to what a timeline shows; the message or the raw line has all of it.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from config.lib.shorten import beginning
from memory.importers.claude_code.lines import ID_LIMIT
from memory.importers.claude_code.messages import describe_call, result_text
from memory.importers.storable import Storable, json_bytes

# A timeline shows the head of a text; 2,000 characters are about a screen.
TEXT_LIMIT = 2_000
EVENT_TYPE_LIMIT = 50
TOOL_NAME_LIMIT = 200
DATA_BYTES = 200_000
# Of a turn: some thirty years.
MOST_MILLISECONDS = 10**12

MESSAGE_TYPES = frozenset({"user", "assistant"})
# Lines that describe the session; their whole content, shortened, is the event's data.
_PLAIN_EVENTS = {
    "summary": "summary",
    "custom-title": "title",
    "ai-title": "title",
    "agent-name": "title",
    "tag": "tag",
    "mode": "mode",
    "permission-mode": "mode",
    "pr-link": "pr_link",
    "worktree-state": "worktree",
    "queue-operation": "queue_operation",
    "result": "result",
}
# Types with a reader of their own below.
_READ_EVENTS = frozenset({"system", "progress", "file-history-snapshot", "attachment"})
KNOWN_RAW = frozenset(
    {
        "last-prompt",
        "agent-color",
        "agent-setting",
        "attribution-snapshot",
        "bridge-session",
        "content-replacement",
        "cost-state",
        "file-history-delta",
        "marble-origami-commit",
        "marble-origami-snapshot",
        "rate_limit_event",
        "speculation-accept",
        "stream_event",
        "task-summary",
    }
)
KNOWN_TYPES = MESSAGE_TYPES | _PLAIN_EVENTS.keys() | _READ_EVENTS | KNOWN_RAW

# What of `system` lines is named otherwise than its subtype.
_SYSTEM_EVENTS = {
    "compact_boundary": "compaction",
    "microcompact_boundary": "compaction",
    "stop_hook_summary": "hook",
}
# Fields that every line has and a `LineRecord` keeps.
_ENVELOPE = frozenset(
    {
        "cwd",
        "entrypoint",
        "forkedFrom",
        "gitBranch",
        "isMeta",
        "isSidechain",
        "parentUuid",
        "sessionId",
        "slug",
        "timestamp",
        "type",
        "userType",
        "uuid",
        "version",
    }
)
# What of a tool's structured result is worth keeping beside its text.
_RESULT_FIELDS = {
    "agentId": "agent_id",
    "backgroundTaskId": "background_task_id",
    "durationMs": "duration_ms",
    "totalDurationMs": "duration_ms",
    "exitCode": "exit_code",
    "filePath": "file_path",
    "interrupted": "interrupted",
    "numFiles": "files",
    "status": "status",
    "totalTokens": "total_tokens",
    "totalToolUseCount": "tool_uses",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """An event before it is given its place; `identity` replaces the line's key in its own."""

    event_type: str
    text: str
    data: dict[str, Any]
    identity: str | None = None


def read_line_event(line: dict[str, Any], clean: Storable) -> Happening | None:
    """What a line that is no message tells; None where it is only kept raw."""
    kind = line.get("type")
    if not isinstance(kind, str):
        return None
    if (name := _PLAIN_EVENTS.get(kind)) is not None:
        return Happening(name, _plain_text(line, clean), _rest(line, clean))
    reader = _READERS.get(kind)
    return reader(line, clean) if reader else None


def read_calls(
    blocks: list[dict[str, Any]], clean: Storable
) -> Iterator[tuple[str, str, dict[str, Any], Happening]]:
    """Each tool call in an assistant's blocks: its id, the tool, its input, and the event."""
    for block in blocks:
        tool_use_id, tool = _call_id(block.get("id")), block.get("name")
        if block.get("type") != "tool_use" or tool_use_id is None:
            continue
        tool = tool[:TOOL_NAME_LIMIT] if isinstance(tool, str) else ""
        arguments = block.get("input")
        arguments = arguments if isinstance(arguments, dict) else {}
        data = {"tool": tool, "tool_use_id": tool_use_id, "input": short(arguments, clean)}
        yield (
            tool_use_id,
            tool,
            arguments,
            Happening("tool_use", describe_call(tool, arguments), data),
        )


def read_results(
    blocks: list[dict[str, Any]], line: dict[str, Any], clean: Storable
) -> Iterator[tuple[str, Happening]]:
    """Each tool result in a message's blocks: the id of its call, and the event."""
    for block in blocks:
        tool_use_id = _call_id(block.get("tool_use_id"))
        if block.get("type") != "tool_result" or tool_use_id is None:
            continue
        text = result_text(block.get("content"))
        data: dict[str, Any] = {
            "tool_use_id": tool_use_id,
            "is_error": block.get("is_error") is True,
            "size": len(text),
        }
        structured = line.get("toolUseResult")
        if isinstance(structured, dict):
            for source, name in _RESULT_FIELDS.items():
                value = structured.get(source)
                if isinstance(value, str | int | float) and name not in data:
                    data[name] = short(value, clean)
        yield tool_use_id, Happening("tool_result", head(text), data)


def _call_id(value: Any) -> str | None:
    """A call's id, short enough to be a key."""
    if not isinstance(value, str) or not value:
        return None
    if len(value) <= ID_LIMIT:
        return value
    return f"sha256-{hashlib.sha256(value.encode()).hexdigest()}"


def api_error(line: dict[str, Any], text: str, clean: Storable) -> Happening:
    """An error that stands in the place of the assistant's reply."""
    data = {
        "error": short(line.get("error"), clean),
        "status": short(line.get("apiErrorStatus"), clean),
    }
    return Happening("api_error", head(text), {k: v for k, v in data.items() if v is not None})


def head(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT else beginning(text, TEXT_LIMIT) + "…"


def _cut(text: str, clean: Storable) -> str:
    return clean.text(head(text))


def _system(line: dict[str, Any], clean: Storable) -> Happening:
    subtype = line.get("subtype")
    subtype = subtype if isinstance(subtype, str) and subtype else "note"
    content = line.get("content")
    text = _cut(content, clean) if isinstance(content, str) else ""
    data = _rest(line, clean)
    if subtype in ("compact_boundary", "microcompact_boundary"):
        text, data = _compaction(line, text, clean)
    elif subtype == "turn_duration" and (took := _seconds_of(line.get("durationMs"))):
        text = text or f"turn took {took:,.1f} s"
    elif subtype == "stop_hook_summary":
        text = text or f"{line.get('hookCount', 0)} hooks ran at the end of the turn"
    elif subtype == "api_error":
        text = text or _error_text(line, clean)
    return Happening(
        _SYSTEM_EVENTS.get(subtype, beginning(clean.text(subtype), EVENT_TYPE_LIMIT)), text, data
    )


def _seconds_of(milliseconds: Any) -> float | None:
    if not isinstance(milliseconds, int | float) or not abs(milliseconds) < MOST_MILLISECONDS:
        return None
    return milliseconds / 1000


def _compaction(line: dict[str, Any], text: str, clean: Storable) -> tuple[str, dict[str, Any]]:
    raw = line.get("compactMetadata") or line.get("microcompactMetadata")
    meta = raw if isinstance(raw, dict) else {}
    data = short(
        {
            "subtype": line.get("subtype"),
            "trigger": meta.get("trigger"),
            "pre_tokens": meta.get("preTokens"),
            "post_tokens": meta.get("postTokens"),
            "logical_parent_uuid": line.get("logicalParentUuid"),
        },
        clean,
    )
    before = data.get("pre_tokens")
    size = f", {before:,} tokens before" if isinstance(before, int) else ""
    return f"{text or 'Conversation compacted'} ({data.get('trigger') or 'auto'}{size})", data


def _error_text(line: dict[str, Any], clean: Storable) -> str:
    error = line.get("error")
    message = error.get("message") if isinstance(error, dict) else error
    return _cut(message, clean) if isinstance(message, str) else "API error"


def _progress(line: dict[str, Any], clean: Storable) -> Happening | None:
    """Only hooks: other ticks are outdone by the tool's result or the subagent's own lines."""
    data = line.get("data")
    if not isinstance(data, dict) or data.get("type") != "hook_progress":
        return None
    name = data.get("hookName") or data.get("hookEvent") or ""
    tool_use_id = line.get("parentToolUseID")
    detail = short({**data, "tool_use_id": tool_use_id}, clean)
    return Happening("hook", _cut(f"hook {name}", clean), detail)


def _snapshot(line: dict[str, Any], clean: Storable) -> Happening:
    snapshot = line.get("snapshot")
    files = snapshot.get("trackedFileBackups") if isinstance(snapshot, dict) else None
    names = sorted(_cut(str(name), clean) for name in files) if isinstance(files, dict) else []
    data = {
        "message_uuid": short(line.get("messageId"), clean),
        "is_update": line.get("isSnapshotUpdate") is True,
        "files": names[:_LIST_LIMIT],
    }
    return Happening("file_history_snapshot", f"{len(names)} files tracked", data)


def _attachment(line: dict[str, Any], clean: Storable) -> Happening:
    raw = line.get("attachment")
    attachment = raw if isinstance(raw, dict) else {}
    # File contents and lists of tools stay in the raw line: the timeline tells what was attached.
    plain = {
        key: value
        for key, value in attachment.items()
        if isinstance(value, str | int | float) and key != "content"
    }
    data = short(plain, clean)
    return Happening("attachment", _cut(f"attached {attachment.get('type')}", clean), data)


_READERS: dict[str, Callable[[dict[str, Any], Storable], Happening | None]] = {
    "system": _system,
    "progress": _progress,
    "file-history-snapshot": _snapshot,
    "attachment": _attachment,
}

# The value that says most, per plain type.
_TEXT_KEYS = (
    "summary",
    "customTitle",
    "aiTitle",
    "agentName",
    "content",
    "tag",
    "prUrl",
)
_MODE_KEYS = ("mode", "permissionMode", "subtype")


def _plain_text(line: dict[str, Any], clean: Storable) -> str:
    # What is queued becomes a prompt, and would be found twice: it stays in the event's data.
    queued = line.get("type") == "queue-operation"
    for key in ("operation",) if queued else (*_TEXT_KEYS, *_MODE_KEYS):
        if (value := line.get(key)) and isinstance(value, str):
            return _cut(value, clean)
    return ""


def _rest(line: dict[str, Any], clean: Storable) -> dict[str, Any]:
    """The line without the envelope."""
    rest = {key: value for key, value in line.items() if key not in _ENVELOPE}
    shortened: dict[str, Any] = short(rest, clean)
    return shortened


# Long lists and objects in an event's data hold files or lines: the first of them tell enough.
_LIST_LIMIT = 50


def short(value: Any, clean: Storable) -> Any:
    """`value` for an event: fit for `jsonb`, with short texts and lists.

    Shortening is by design here and not reported: `clean` counts only characters replaced.
    """
    own = Storable()
    result = own.json(_head_of(value), TEXT_LIMIT + 1)
    clean.replaced += own.replaced
    if isinstance(result, dict) and json_bytes(result) > DATA_BYTES:
        plain = {key: item for key, item in result.items() if isinstance(item, bool | int | float)}
        return {**dict(list(plain.items())[:_LIST_LIMIT]), "shortened": True}
    return result


def _head_of(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return head(value)
    if depth > 20:
        return None
    if isinstance(value, list):
        return [_head_of(item, depth + 1) for item in value[:_LIST_LIMIT]]
    if isinstance(value, dict):
        items = islice(value.items(), _LIST_LIMIT)
        return {key: _head_of(item, depth + 1) for key, item in items}
    return value
