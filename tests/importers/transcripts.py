"""Plain functions that write transcripts and read them back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.importers.claude_code import (
    EventRecord,
    Item,
    MessageRecord,
    SessionReader,
    discover,
)
from memory.importers.problems import Code

SESSION = "11111111-2222-4333-8444-555555555555"
NOON = "2026-01-02T12:00:00.000Z"


def user(uuid: str, content: Any = "hello", **fields: Any) -> dict[str, Any]:
    message = {"role": "user", "content": content}
    return _line("user", uuid, {"message": message, **fields})


def assistant(uuid: str, content: Any = "hi", **fields: Any) -> dict[str, Any]:
    message = {"id": "msg_1", "role": "assistant", "model": "claude-x", "content": content}
    message |= fields.pop("message", {})
    return _line("assistant", uuid, {"requestId": "req_1", "message": message, **fields})


def _line(kind: str, uuid: str, fields: dict[str, Any]) -> dict[str, Any]:
    base = {"type": kind, "uuid": uuid, "sessionId": SESSION, "timestamp": NOON}
    return {**base, "isSidechain": False, "cwd": "/code", **fields}


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def call(call_id: str, name: str = "Bash", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, content: Any = "done", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **fields}


def encode(*lines: dict[str, Any] | bytes) -> bytes:
    return b"".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines
    )


def write(path: Path, *lines: dict[str, Any] | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(*lines))
    return path


@dataclass(frozen=True)
class Read:
    """Everything that reading one session brought."""

    reader: SessionReader
    items: list[Item]

    @property
    def messages(self) -> list[MessageRecord]:
        return [item.message for item in self.items if item.message]

    @property
    def events(self) -> list[EventRecord]:
        return [event for item in self.items for event in item.events]

    @property
    def codes(self) -> list[Code]:
        return [problem.code for problem in self.reader.problems]

    def message(self, uuid: str) -> MessageRecord:
        return next(m for m in self.messages if m.native_uuid == uuid)


def read_path(path: Path, **options: Any) -> Read:
    """The only session at `path`, read."""
    (session,) = discover(path).sessions
    reader = SessionReader(session, **options)
    return Read(reader, list(reader))


def read(folder: Path, *lines: dict[str, Any] | bytes, **options: Any) -> Read:
    """A session of these lines, read."""
    return read_path(write(folder / f"{SESSION}.jsonl", *lines), **options)
