"""A rollout's line in the words of Claude Code's transcripts.

What a model said or did (`response_item`) becomes a message with blocks; what the program noted
(`event_msg`) an event, but for what says a message over again. Not for identity, files or storing.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from config.lib.shorten import beginning
from memory.importers.claude_code.events import EVENT_TYPE_LIMIT, Happening, head, short
from memory.importers.storable import Storable

Line = dict[str, Any]
TYPES = frozenset(
    {"session_meta", "response_item", "event_msg", "turn_context", "compacted", "world_state"}
)
# Payloads that stood as lines of their own before there were envelopes.
BARE = frozenset(
    {
        "message", "reasoning", "function_call", "function_call_output", "custom_tool_call",
        "custom_tool_call_output", "local_shell_call", "web_search_call",
    }
)  # fmt: skip
KNOWN_TYPES = TYPES | BARE
# The type of lines that are events, in the words of the other format.
NOTED = "codex-event"
# What the response items say themselves.
_REPEATS = frozenset(
    {"user_message", "agent_message", "agent_reasoning", "agent_reasoning_raw_content",
     "agent_reasoning_section_break", "context_compacted"}
)  # fmt: skip
_ERRORS = frozenset({"error", "stream_error"})
# What the program puts in the user's name before what the person typed.
_INJECTED = (
    "<environment_context>", "<user_instructions>", "<permissions instructions>",
    "<turn_aborted>", "<skill>", "<user_shell_command>", "# AGENTS.md instructions",
)  # fmt: skip
_EXIT = re.compile(r"^(?:Exit code:|Process exited with code) (-?\d+)", re.MULTILINE)
_EXIT_HEAD = 500


def parts_of(line: Mapping[str, Any]) -> tuple[str, Line] | None:
    """(type, payload) of a line of either age; None where it is no line of a rollout."""
    kind, payload = line.get("type"), line.get("payload")
    if isinstance(kind, str) and isinstance(payload, dict):
        return (kind, payload) if kind in TYPES or "timestamp" in line else None
    if isinstance(kind, str) and kind in BARE and "sessionId" not in line:
        return "response_item", dict(line)
    if kind is None and "instructions" in line and "id" in line:
        return "session_meta", dict(line)
    return None


def meta_of(line: Mapping[str, Any]) -> Line:
    """What a line says of its session; empty for any but the first."""
    parts = parts_of(line)
    return parts[1] if parts is not None and parts[0] == "session_meta" else {}


def translated(line: Mapping[str, Any], model: str | None) -> Line:
    """The line as a transcript has it; one that brings nothing has the type it had."""
    parts = parts_of(line)
    if parts is None:
        return {"type": line.get("type")}
    kind, payload = parts
    if kind == "response_item":
        return _item(payload, model)
    if kind == "compacted":
        said = _string(payload.get("message")) or "Conversation compacted"
        return {**_user([_text(said)]), "isCompactSummary": True}
    if kind == "event_msg" and _string(payload.get("type")) not in _REPEATS:
        return {"type": NOTED, "payload": payload}
    return {"type": kind}


def happening(line: Mapping[str, Any], clean: Storable) -> Happening | None:
    """The event of a line that is one."""
    payload = line.get("payload")
    if line.get("type") != NOTED or not isinstance(payload, dict):
        return None
    name = _string(payload.get("type")) or "note"
    data = {key: value for key, value in payload.items() if key != "type"}
    text = next(
        (found for key in ("message", "text", "reason") if (found := _string(payload.get(key)))), ""
    )
    if name == "token_count":
        info = payload.get("info")
        last = info.get("last_token_usage") if isinstance(info, dict) else None
        text = f"{last.get('total_tokens', 0)} tokens" if isinstance(last, dict) else ""
    kind = "api_error" if name in _ERRORS else beginning(clean.text(name), EVENT_TYPE_LIMIT)
    return Happening(kind, clean.text(head(text)), short(data, clean))


# --- Response items -----------------------------------------------------------------------------


def _item(payload: Line, model: str | None) -> Line:
    kind = payload.get("type")
    if kind == "message":
        return _message(payload, model)
    if kind == "reasoning":
        said = [*_texts(payload.get("summary")), *_texts(payload.get("content"))]
        # What is encrypted only its maker reads; the raw line has it.
        return _assistant([{"type": "thinking", "thinking": "\n\n".join(said)}], model)
    if kind in ("function_call", "custom_tool_call", "local_shell_call", "web_search_call"):
        return _assistant([_call(payload)], model)
    if kind in ("function_call_output", "custom_tool_call_output"):
        return _user([_result(payload)])
    return {"type": NOTED, "payload": payload}


def _message(payload: Line, model: str | None) -> Line:
    content = payload.get("content")
    given = content if isinstance(content, list) else [content]
    blocks = [_block(one) for one in given if one is not None]
    if payload.get("role") == "assistant":
        return _assistant(blocks, model)
    said = next((_string(block.get("text")) for block in blocks), "")
    line = _user(blocks)
    if payload.get("role") != "user" or said.lstrip().startswith(_INJECTED):
        line["isMeta"] = True
    return line


def _block(given: Any) -> Line:
    if isinstance(given, str):
        return _text(given)
    if not isinstance(given, dict):
        return {"type": "unknown", "value": given}
    if given.get("type") in ("input_text", "output_text", "text", "summary_text"):
        return _text(_string(given.get("text")))
    if given.get("type") == "input_image":
        url = _string(given.get("image_url"))
        media, found, _ = url.removeprefix("data:").partition(";base64,")
        source = {"media_type": media} if found else {"type": "url", "url": url}
        return {"type": "image", "source": source}
    return dict(given)


def _call(payload: Line) -> Line:
    arguments = payload.get("arguments", payload.get("input", payload.get("action")))
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments)
        except (ValueError, RecursionError):
            parsed = None
        arguments = parsed if isinstance(parsed, dict) else {"input": arguments}
    name = payload.get("name") or _string(payload.get("type")).removesuffix("_call")
    identity = payload.get("call_id") or payload.get("id")
    return {"type": "tool_use", "id": identity, "name": name, "input": arguments or {}}


def _result(payload: Line) -> Line:
    text, failed = _outcome(payload.get("output"))
    return {
        "type": "tool_result", "tool_use_id": payload.get("call_id"), "content": text,
        "is_error": failed,
    }  # fmt: skip


def _outcome(output: Any) -> tuple[Any, bool]:
    """What a tool gave back, and whether it failed: text, or JSON in a text, or blocks."""
    if isinstance(output, str) and output.startswith("{"):
        try:
            parsed = json.loads(output)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, dict) and "output" in parsed:
            metadata = parsed.get("metadata")
            code = metadata.get("exit_code") if isinstance(metadata, dict) else None
            return _outcome(parsed["output"])[0], code not in (None, 0)
    if isinstance(output, str):
        code = _EXIT.search(output[:_EXIT_HEAD])
        return output, code is not None and int(code[1]) != 0
    if isinstance(output, dict):
        return _outcome(output.get("content"))[0], output.get("success") is False
    if isinstance(output, list):
        return [_block(one) for one in output], False
    return "", False


def _texts(given: Any) -> list[str]:
    if not isinstance(given, list):
        return []
    return [text for one in given if isinstance(one, dict) and (text := _string(one.get("text")))]


def _assistant(blocks: list[Line], model: str | None) -> Line:
    return {
        "type": "assistant",
        "message": {"role": "assistant", "model": model, "content": blocks},
    }


def _user(blocks: list[Line]) -> Line:
    return {"type": "user", "message": {"role": "user", "content": blocks}}


def _text(text: str) -> Line:
    return {"type": "text", "text": text}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
