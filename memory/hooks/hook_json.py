"""What Claude Code, Codex and Gemini CLI payloads share: one JSON shape, and one for answers."""

from typing import Any

from memory.hooks.forms import PATH_LIMIT, Form, Kind, Payload

# Of a SessionStart: the agent has lost what it was told before.
FRESH = frozenset({"startup", "clear", "compact", "fork"})


def common(payload: Payload) -> dict[str, Any]:
    """What every payload can say of its session."""
    return {
        "cwd": payload.text("cwd", limit=PATH_LIMIT),
        "model": payload.name("model", "model.id"),
        "subagent": payload.id("agent_id"),
        "subagent_type": payload.name("agent_type"),
        "prompt_id": payload.id("prompt_id", "turn_id"),
        "conversation_id": payload.id("conversation_id"),
        "context_percent": payload.percent("context_window.used_percentage"),
        # Gemini CLI's alone.
        "claimed_at": payload.moment("timestamp"),
    }


def start(payload: Payload) -> Form:
    source = payload.name("source", "trigger") or "startup"
    return Form(
        Kind.SESSION_START,
        detail=source,
        fresh=source in FRESH,
        title=payload.text("session_title", limit=300),
        **common(payload),
    )


def prompt(payload: Payload) -> Form:
    return Form(Kind.PROMPT, text=payload.text("prompt"), **common(payload))


def call(payload: Payload) -> Form:
    return Form(Kind.TOOL_USE, **_tool(payload), **common(payload))


def result(payload: Payload) -> Form:
    found = payload.get("tool_response")
    failed = isinstance(found, dict) and (
        found.get("is_error") is True or bool(found.get("error")) or found.get("success") is False
    )
    return Form(
        Kind.TOOL_RESULT,
        tool_result=found,
        is_error=failed,
        **_tool(payload),
        **common(payload),
    )


def failure(payload: Payload) -> Form:
    return Form(
        Kind.TOOL_RESULT,
        tool_result=payload.get("error"),
        is_error=True,
        data=payload.some("is_interrupt"),
        **_tool(payload),
        **common(payload),
    )


def _tool(payload: Payload) -> dict[str, Any]:
    return {
        "tool": payload.name("tool_name"),
        "tool_use_id": payload.id("tool_use_id", "tool_call_id"),
        "tool_input": payload.get("tool_input"),
        "duration_ms": payload.number("duration_ms"),
    }


def stop(payload: Payload) -> Form:
    text = payload.text("last_assistant_message", "prompt_response")
    return Form(Kind.STOP, text=text, **common(payload))


def stop_failure(payload: Payload) -> Form:
    text = payload.text("error_details", "error")
    return Form(
        Kind.NOTE, note="api_error", text=text, data=payload.some("error"), **common(payload)
    )


def subagent_start(payload: Payload) -> Form:
    return Form(Kind.SUBAGENT_START, **common(payload))


def subagent_stop(payload: Payload) -> Form:
    return Form(Kind.SUBAGENT_STOP, text=payload.text("last_assistant_message"), **common(payload))


def compaction(payload: Payload) -> Form:
    return Form(
        Kind.COMPACTION,
        detail=payload.name("trigger"),
        fresh=True,
        text=payload.text("compact_summary"),
        **common(payload),
    )


def notification(payload: Payload) -> Form:
    return Form(
        Kind.NOTIFICATION,
        text=payload.text("message", "title"),
        detail=payload.name("notification_type"),
        **common(payload),
    )


def end(payload: Payload) -> Form:
    return Form(
        Kind.SESSION_END, detail=payload.name("reason", "trigger") or "exit", **common(payload)
    )


def status(payload: Payload) -> Form:
    return Form(Kind.STATUS, **common(payload))


def known(payload: Payload) -> Form:
    return Form(Kind.KNOWN, **common(payload))


def noted(name: str, *paths: str, text: tuple[str, ...] = ()) -> Any:
    """A reader of an event that is kept under `name` with the values at `paths`."""

    def read(payload: Payload) -> Form:
        return Form(
            Kind.NOTE,
            note=name,
            text=payload.text(*text, limit=2000) if text else "",
            data=payload.some(*paths),
            **common(payload),
        )

    return read


def answer(event: str, context: str) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": event, "additionalContext": context}}
