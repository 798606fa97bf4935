"""A thread as a file: JSON, NDJSON or Markdown, in pieces that a slow reader may take his time for.

Each piece is read in a transaction of its own and written out after it, so neither a transaction
nor a connection waits for the reader, and memory holds one piece whatever the thread's length.
Not for transcripts of conversations, which are read page by page.
"""

import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from django.db import connection
from django.db.models import F, Func, IntegerField
from pydantic import TypeAdapter

from config.lib.db.lookup import find_row
from config.lib.errors import NotFound
from config.lib.scope import workspace_scope
from sessions.models import Message, Thread
from sessions.schemas_threads import MessageOut, ThreadOut
from sessions.selectors import columns

Format = Literal["json", "ndjson", "markdown"]
CONTENT_TYPES: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "markdown": "text/markdown; charset=utf-8",
}
SUFFIXES: dict[Format, str] = {"json": "json", "ndjson": "ndjson", "markdown": "md"}
# A piece: as many messages as fit the bytes, at least one, at most these.
PIECE_MESSAGES, PIECE_BYTES = 500, 2 * 1024 * 1024
_MESSAGE: TypeAdapter[MessageOut] = TypeAdapter(MessageOut)
_TITLES = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}


def find_exported(workspace_id: uuid.UUID, thread_id: str) -> Thread:
    """The thread by a full or shortened id, in a scope of its own. Or NotFound."""
    with workspace_scope(workspace_id):
        return find_row(Thread.objects.select_related("session"), thread_id)


def export_thread(workspace_id: uuid.UUID, thread: Thread, form: Format) -> Iterator[bytes]:
    """The thread as it is when this begins; messages appended later are not in it.

    NotFound in the middle, which cuts the answer off, where the thread is deleted meanwhile: half
    an export must not look whole.
    """
    writer = {"json": _as_json, "ndjson": _as_ndjson, "markdown": _as_markdown}[form]
    return writer(thread, _pieces(workspace_id, thread))


def _pieces(workspace_id: uuid.UUID, thread: Thread) -> Iterator[list[dict[str, Any]]]:
    """The messages in order. Index message_idx_unique."""
    next_idx = 0
    while next_idx < thread.message_count:
        with workspace_scope(workspace_id):
            rows = _read_piece(thread.id, next_idx, thread.message_count)
        if not connection.in_atomic_block:
            # Back to the pool: the reader may take minutes over what it has been given.
            connection.close()
        if not rows:
            raise NotFound("thread", thread.id)
        yield rows
        next_idx = rows[-1]["idx"] + 1


def _read_piece(thread_id: uuid.UUID, first: int, end: int) -> list[dict[str, Any]]:
    rows = Message.objects.filter(thread_id=thread_id, idx__gte=first, idx__lt=end).order_by("idx")
    # Both lengths are read without the values themselves, which are stored apart.
    text = Func(F("content"), function="octet_length", output_field=IntegerField())
    size = text + Func(F("blocks"), function="pg_column_size", output_field=IntegerField())
    total, last = 0, first
    for idx, length in rows.values_list("idx", size)[:PIECE_MESSAGES]:
        total += length
        if idx > first and total > PIECE_BYTES:
            break
        last = idx
    return list(rows.filter(idx__lte=last).values(*columns(Message, MessageOut)))


def _thread_json(thread: Thread) -> bytes:
    return ThreadOut.model_validate(thread).model_dump_json().encode()


def _message_json(row: dict[str, Any]) -> bytes:
    return _MESSAGE.dump_json(_MESSAGE.validate_python(row))


def _as_json(thread: Thread, pieces: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    """{"thread": {...}, "messages": [...]}"""
    yield b'{"thread":' + _thread_json(thread) + b',"messages":['
    before = b""
    for rows in pieces:
        yield before + b",".join(_message_json(row) for row in rows)
        before = b","
    yield b"]}"


def _as_ndjson(thread: Thread, pieces: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    """The thread on the first line, then a message on each: {"thread": {...}}, {"message": ...}"""
    yield b'{"thread":' + _thread_json(thread) + b"}\n"
    for rows in pieces:
        yield b"".join(b'{"message":' + _message_json(row) + b"}\n" for row in rows)


def _as_markdown(thread: Thread, pieces: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    """A heading for each message, with its text as it is; blocks only where there is no text."""
    title = _line(thread.name or thread.opening) or f"Thread {thread.short_id}"
    about = [
        f"- Thread: {thread.id}",
        f"- Session: {thread.session_id} ({_line(str(thread.session))})",
        f"- Messages: {thread.message_count}",
    ]
    yield "\n".join([f"# {title}", "", *about, ""]).encode()
    for rows in pieces:
        yield "".join(_message_markdown(row) for row in rows).encode()


def _message_markdown(row: dict[str, Any]) -> str:
    by = f" ({_line(row['model'])})" if row["model"] else ""
    head = f"## {row['idx']}. {_TITLES[row['role']]}{by}, {_time(row['occurred_at'])}"
    body = row["content"]
    if not body.strip() and row["blocks"]:
        body = _fenced(TypeAdapter(Any).dump_json(row["blocks"], indent=2).decode())
    return f"\n{head}\n\n{body}\n"


def _fenced(code: str) -> str:
    """A block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}json\n{code}\n{fence}"


def _line(text: str) -> str:
    return " ".join(text.split())


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
