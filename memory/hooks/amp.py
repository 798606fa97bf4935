"""Amp: what its plugin events are given, as our plugin passes it on.

{"event": name, "thread": {"id": "T-..."}, "cwd": ..., and the event's own fields}.
"""

from typing import Any

from memory.hooks.forms import PATH_LIMIT, Form, Kind, Payload, says_failed

SESSION = ("thread.id", "threadID", "thread_id", "session_id")
EVENT = ("event", "hook_event_name")


def _common(payload: Payload) -> dict[str, Any]:
    return {
        "cwd": payload.text("cwd", limit=PATH_LIMIT),
        "model": payload.name("model"),
        "title": payload.text("thread.title", limit=300),
    }


def _start(payload: Payload) -> Form:
    return Form(Kind.SESSION_START, detail="startup", fresh=True, **_common(payload))


def _prompt(payload: Payload) -> Form:
    told = payload.id("id", "messageID", "message_id")
    return Form(
        Kind.PROMPT, text=payload.text("message", "prompt"), prompt_id=told, **_common(payload)
    )


def _tool(payload: Payload) -> dict[str, Any]:
    return {
        "tool": payload.name("tool"),
        "tool_use_id": payload.id("toolUseID", "tool_use_id"),
        "tool_input": payload.get("input"),
    }


def _call(payload: Payload) -> Form:
    return Form(Kind.TOOL_USE, **_tool(payload), **_common(payload))


def _result(payload: Payload) -> Form:
    output = payload.get("output")
    failed = payload.get("status") == "error" or says_failed(output)
    found = payload.get("error") if failed and output is None else output
    return Form(
        Kind.TOOL_RESULT, tool_result=found, is_error=failed, **_tool(payload), **_common(payload)
    )


def _stop(payload: Payload) -> Form:
    said = payload.text("text", "reply")
    return Form(Kind.STOP, text=said, detail=payload.name("status"), **_common(payload))


def _end(payload: Payload) -> Form:
    return Form(Kind.SESSION_END, detail=payload.name("reason") or "exit", **_common(payload))


READERS = {
    "session.start": _start,
    "agent.start": _prompt,
    "tool.call": _call,
    "tool.result": _result,
    "agent.end": _stop,
    "session.end": _end,
}
