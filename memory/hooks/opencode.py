"""OpenCode: what its plugin hooks are given, as our plugin passes it on.

`chat.message`, `tool.execute.before` and `tool.execute.after` come as {"event": name, "input":
{...}, "output": {...}}, events of the bus as {"event": {"type": name, "properties": {...}}}; both
with `directory`.
"""

from typing import Any

from memory.hooks.forms import PATH_LIMIT, Form, Kind, Payload

SESSION = (
    "input.sessionID",
    "event.properties.sessionID",
    "event.properties.info.sessionID",
    "event.properties.part.sessionID",
    "event.properties.info.id",
    "session_id",
)
EVENT = ("event.type", "event", "hook_event_name")


def _common(payload: Payload) -> dict[str, Any]:
    return {
        "cwd": payload.text(
            "directory", "event.properties.info.directory", "cwd", limit=PATH_LIMIT
        ),
        "model": payload.name("input.model.modelID", "event.properties.info.modelID"),
        "title": payload.text("event.properties.info.title", limit=300),
    }


def _created(payload: Payload) -> Form:
    return Form(Kind.SESSION_START, detail="startup", fresh=True, **_common(payload))


def _texts(parts: Any) -> str:
    found = parts if isinstance(parts, list) else []
    texts = (
        part.get("text")
        for part in found
        # What the program put in itself is marked so.
        if isinstance(part, dict) and part.get("type") == "text" and not part.get("synthetic")
    )
    return "\n\n".join(text for text in texts if isinstance(text, str) and text.strip())


def _prompt(payload: Payload) -> Form:
    text = payload.clean.text(_texts(payload.get("output.parts")))
    told = payload.id("input.messageID", "output.message.id")
    return Form(Kind.PROMPT, text=text, prompt_id=told, **_common(payload))


def _tool(payload: Payload) -> dict[str, Any]:
    # The arguments stand with the output before the call, and with the input after it.
    before = payload.get("output.args")
    return {
        "tool": payload.name("input.tool"),
        "tool_use_id": payload.id("input.callID"),
        "tool_input": before if before is not None else payload.get("input.args"),
    }


def _call(payload: Payload) -> Form:
    return Form(Kind.TOOL_USE, **_tool(payload), **_common(payload))


def _result(payload: Payload) -> Form:
    failed = payload.get("output.metadata.exit") not in (None, 0) or bool(
        payload.get("output.metadata.error")
    )
    return Form(
        Kind.TOOL_RESULT,
        tool_result=payload.get("output.output"),
        is_error=failed,
        **_tool(payload),
        **_common(payload),
    )


def _idle(payload: Payload) -> Form:
    return Form(Kind.STOP, text=payload.text("text"), **_common(payload))


def _error(payload: Payload) -> Form:
    text = payload.text(
        "event.properties.error.data.message", "event.properties.error.name", limit=2000
    )
    data = payload.some("event.properties.error")
    return Form(Kind.NOTE, note="api_error", text=text, data=data, **_common(payload))


def _compacted(payload: Payload) -> Form:
    return Form(Kind.COMPACTION, fresh=True, **_common(payload))


def _permission(payload: Payload) -> Form:
    text = payload.text("event.properties.title", limit=2000)
    return Form(Kind.NOTIFICATION, text=text, detail="permission", **_common(payload))


def _updated(payload: Payload) -> Form:
    return Form(Kind.STATUS, **_common(payload))


def _ended(payload: Payload) -> Form:
    return Form(Kind.SESSION_END, detail="deleted", **_common(payload))


def _known(payload: Payload) -> Form:
    return Form(Kind.KNOWN, **_common(payload))


READERS = {
    "session.created": _created,
    "chat.message": _prompt,
    "tool.execute.before": _call,
    "tool.execute.after": _result,
    "session.idle": _idle,
    "session.error": _error,
    "session.compacted": _compacted,
    "session.updated": _updated,
    "permission.asked": _permission,
    "permission.updated": _permission,
    "session.deleted": _ended,
    "session.end": _ended,
    "session.status": _known,
    "session.diff": _known,
    "message.updated": _known,
    "message.removed": _known,
    "message.part.updated": _known,
    "message.part.removed": _known,
    "file.edited": _known,
    "todo.updated": _known,
    "permission.replied": _known,
}
