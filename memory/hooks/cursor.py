"""Cursor: hooks.json version 1. A session is what Cursor calls a conversation."""

from collections.abc import Mapping
from typing import Any

from config.lib.body import UnreadableBody, parse_json
from memory.hooks.forms import PATH_LIMIT, Form, Kind, Payload, says_failed

# Where an answer has its words. One with none of them ({"success": true}) is left as text.
_WORDS = frozenset({"output", "stdout", "stderr", "content", "error"})


def _common(payload: Payload) -> dict[str, Any]:
    roots = payload.get("workspace_roots")
    root = roots[0] if isinstance(roots, list) and roots and isinstance(roots[0], str) else ""
    generation, model = payload.id("generation_id"), payload.name("model")
    return {
        "cwd": payload.text("cwd", limit=PATH_LIMIT) or payload.clean.text(root)[:PATH_LIMIT],
        # Its SDK says this with tool calls.
        "model": "" if model == "unknown" else model,
        # Its SDK names all of a conversation's alike: the same words said again are a prompt more.
        "prompt_id": "" if generation == payload.id("conversation_id") else generation,
        "context_percent": payload.percent("context_usage_percent"),
    }


def _start(payload: Payload) -> Form:
    return Form(Kind.SESSION_START, detail="startup", fresh=True, **_common(payload))


def _prompt(payload: Payload) -> Form:
    return Form(Kind.PROMPT, text=payload.text("prompt"), **_common(payload))


def _reply(payload: Payload) -> Form:
    return Form(Kind.REPLY, text=payload.text("text"), **_common(payload))


def _tool(payload: Payload) -> dict[str, Any]:
    return {
        "tool": payload.name("tool_name"),
        "tool_use_id": payload.id("tool_use_id"),
        "tool_input": payload.get("tool_input"),
        "duration_ms": payload.number("duration"),
    }


def _call(payload: Payload) -> Form:
    return Form(Kind.TOOL_USE, **_tool(payload), **_common(payload))


def _result(payload: Payload) -> Form:
    told = payload.get("tool_output")
    answer = _answer(told)
    worded = not isinstance(answer, Mapping) or not _WORDS.isdisjoint(answer)
    return Form(
        Kind.TOOL_RESULT,
        tool_result=answer if worded else told,
        is_error=says_failed(answer) or _is_refusal(answer),
        **_tool(payload),
        **_common(payload),
    )


def _answer(found: Any) -> Any:
    """What a tool answered, which comes as the text of a JSON object ({"output": ..., "exitCode":
    1}, an MCP tool's {"content": ..., "isError": true}), or as it is."""
    if not isinstance(found, str) or not found.startswith("{"):
        return found
    try:
        return parse_json(found.encode(errors="replace"))
    except UnreadableBody:
        return found


def _is_refusal(answer: Any) -> bool:
    """An MCP call that came to nothing: its SDK says so of a result, not of a failure."""
    if not isinstance(answer, Mapping):
        return False
    refused = answer.get("rejected") is True or answer.get("permissionDenied") is True
    return refused or answer.keys() == {"error"}


def _failure(payload: Payload) -> Form:
    return Form(
        Kind.TOOL_RESULT,
        tool_result=payload.get("error_message"),
        is_error=True,
        data=payload.some("failure_type", "is_interrupt"),
        **_tool(payload),
        **_common(payload),
    )


def _subagent(kind: Kind) -> Any:
    def read(payload: Payload) -> Form:
        return Form(
            kind,
            text=payload.text("summary", "task") if kind is Kind.SUBAGENT_STOP else "",
            subagent=payload.id("subagent_id", "tool_call_id"),
            subagent_type=payload.name("subagent_type"),
            **_common(payload),
        )

    return read


def _compaction(payload: Payload) -> Form:
    return Form(
        Kind.COMPACTION,
        detail=payload.name("trigger"),
        fresh=True,
        data=payload.some("context_tokens", "context_window_size", "message_count"),
        **_common(payload),
    )


def _stop(payload: Payload) -> Form:
    return Form(Kind.STOP, detail=payload.name("status"), **_common(payload))


def _end(payload: Payload) -> Form:
    reason = payload.name("reason") or "exit"
    outcome = {"error": "failure"}.get(reason, "")
    text = payload.text("error_message", limit=2000)
    return Form(Kind.SESSION_END, detail=reason, outcome=outcome, text=text, **_common(payload))


def _known(payload: Payload) -> Form:
    return Form(Kind.KNOWN, **_common(payload))


READERS = {
    "sessionStart": _start,
    "beforeSubmitPrompt": _prompt,
    "afterAgentResponse": _reply,
    "preToolUse": _call,
    "postToolUse": _result,
    "postToolUseFailure": _failure,
    "subagentStart": _subagent(Kind.SUBAGENT_START),
    "subagentStop": _subagent(Kind.SUBAGENT_STOP),
    "preCompact": _compaction,
    "stop": _stop,
    "sessionEnd": _end,
    # pre- and postToolUse say the same of these, for every tool.
    "beforeShellExecution": _known,
    "afterShellExecution": _known,
    "beforeMCPExecution": _known,
    "afterMCPExecution": _known,
    "beforeReadFile": _known,
    "afterFileEdit": _known,
    "afterAgentThought": _known,
    "beforeTabFileRead": _known,
    "afterTabFileEdit": _known,
    "workspaceOpen": _known,
}
SESSION = ("conversation_id", "session_id")


def answer(event: str, context: str) -> dict[str, Any]:
    return {"additional_context": context}
