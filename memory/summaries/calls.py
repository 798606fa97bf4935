"""A session's tool calls with their results, read from its events."""

import uuid
from typing import Any

from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left

from config.lib.recalled import without_recalled
from memory.learning.tools import Call
from sessions.models import SessionEvent

# The last ones of a session of more.
MOST_EVENTS = 4_000
RESULT_CHARACTERS = 2_000
ARGUMENT_CHARACTERS = 2_000
TOOL_TYPES = ("tool_use", "tool_result", "tool_error")
_COMMANDS = ("command", "cmd", "script")
_FILES = ("file_path", "notebook_path", "path", "filePath", "absolute_path", "file")


def read_calls(session_id: uuid.UUID) -> list[Call]:
    """In order. Index event_session_type."""
    found = {
        name: Left(KeyTextTransform(key, KeyTextTransform("input", "data")), ARGUMENT_CHARACTERS)
        for name, key in [(f"command_{n}", key) for n, key in enumerate(_COMMANDS)]
        + [(f"file_{n}", key) for n, key in enumerate(_FILES)]
    }
    rows: Any = SessionEvent.objects.filter(session_id=session_id, event_type__in=TOOL_TYPES)
    rows = rows.order_by("-seq").values(
        "id",
        "event_type",
        tool=Left(KeyTextTransform("tool", "data"), 120),
        call=Left(KeyTextTransform("tool_use_id", "data"), 300),
        is_error=KeyTextTransform("is_error", "data"),
        result=Left("text", RESULT_CHARACTERS),
        **found,
    )
    told = list(rows[:MOST_EVENTS])
    told.reverse()
    calls: dict[str, Call] = {}
    for row in told:
        key = row["call"] or str(row["id"])
        before = calls.get(key)
        if row["event_type"] == "tool_use":
            failed, result = (before.failed, before.result) if before else (None, "")
            calls[key] = Call(
                before.event_id if before else row["id"],
                row["tool"] or "",
                _first(row, "command", len(_COMMANDS)),
                _first(row, "file", len(_FILES)),
                failed,
                result,
            )
            continue
        failed = row["event_type"] == "tool_error" or row["is_error"] == "true"
        result = without_recalled(row["result"])
        # In the place of its result: of two calls at once the one that ended last counts last.
        calls.pop(key, None)
        calls[key] = Call(
            row["id"],
            before.tool if before else row["tool"] or "",
            before.command if before else "",
            before.file if before else "",
            failed,
            result,
        )
    return list(calls.values())


def _first(row: dict[str, Any], name: str, count: int) -> str:
    return next((row[f"{name}_{n}"] for n in range(count) if row[f"{name}_{n}"]), "")
