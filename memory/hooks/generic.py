"""Any other agent: {"session_id": ..., "event": one of the common kinds, and what it needs}.

The names are those of the form: text, detail, tool, tool_use_id, tool_input, tool_result, is_error,
prompt_id, subagent, cwd, model, title, branch, conversation_id, context_percent, data. An event of
another name is kept as an event of that name.
"""

from collections.abc import Callable

from memory.hooks.forms import PATH_LIMIT, Form, Kind, Payload

SESSION = ("session_id", "session")
EVENT = ("event", "hook_event_name")
EVENT_NAME_LIMIT = 60


def _reader(kind: Kind) -> Callable[[Payload], Form]:
    return lambda payload: _form(payload, kind)


def _form(payload: Payload, kind: Kind, note: str = "") -> Form:
    data = payload.get("data")
    detail = payload.name("detail", "source", "reason", "trigger")
    started = kind is Kind.SESSION_START
    return Form(
        kind,
        text=payload.text("text", "prompt", "message"),
        detail=detail or ("startup" if started else ""),
        note=note,
        prompt_id=payload.id("prompt_id"),
        tool=payload.name("tool", "tool_name"),
        tool_use_id=payload.id("tool_use_id"),
        tool_input=payload.get("tool_input"),
        tool_result=payload.get("tool_result"),
        is_error=payload.flag("is_error"),
        duration_ms=payload.number("duration_ms"),
        subagent=payload.id("subagent"),
        subagent_type=payload.name("subagent_type"),
        fresh=kind is Kind.COMPACTION or (started and detail != "resume"),
        outcome=payload.name("outcome"),
        cwd=payload.text("cwd", limit=PATH_LIMIT),
        model=payload.name("model"),
        title=payload.text("title", limit=300),
        branch=payload.name("branch"),
        conversation_id=payload.id("conversation_id"),
        context_percent=payload.percent("context_percent"),
        data=data if isinstance(data, dict) else {},
    )


READERS = {kind.value: _reader(kind) for kind in Kind if kind not in (Kind.NOTE, Kind.KNOWN)}


def other(payload: Payload, event: str) -> Form:
    """An event that the table does not name."""
    return _form(payload, Kind.NOTE, note=event[:EVENT_NAME_LIMIT])


def answer(event: str, context: str) -> dict[str, str]:
    return {"additionalContext": context}
