"""A thread as people read it: turns of one speaker, tool calls with their results, in pages.

Agents write a message per content block and a tool's result in a message of its own; here they
come together again. Not for HTML beyond Markdown: templates/admin/agent_sessions/ lays it out.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db.models.functions import Left
from django.utils import timezone
from django.utils.safestring import SafeString

from sessions.admin.markdown import plain, render
from sessions.models import Message, Thread

PAGE = 100
# How far a result may lie behind its call and still be shown with it. Pages overlap by as much,
# so that a call at the end of one page has its result, and the next page does not repeat it.
REACH = 30
MAX_TEXT, MAX_RESULT = 20_000, 6_000
MAX_OUTLINE = 300

CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
RESULTS = frozenset({"tool_result", "web_search_tool_result", "mcp_tool_result"})
# The arguments by which a person recognises a call, in the order they are tried.
TELLING = ("command", "file_path", "notebook_path", "pattern", "path", "url", "query",
           "description", "skill", "subject", "prompt")  # fmt: skip
# What the program puts into a conversation; folded, because nobody said it.
SUBDUED = {
    "meta": "Note to the model",
    "notification": "Notification",
    "command_output": "Output of a command",
    "compact_summary": "Summary of the conversation so far",
    "synthetic": "Written by the program",
}
_COMMAND = re.compile(r"<command-(name|args)>(.*?)</command-\1>", re.DOTALL)
_TAG = re.compile(r"</?[a-z-]+>")
# Markdown's marks, which in one line of a list are noise.
_MARKS = re.compile(r"[*_`#>|]+")


@dataclass(slots=True)
class Result:
    """What a tool gave back. `more` is how many characters are on the message's own page only."""

    text: str
    is_error: bool
    more: int
    idx: int
    images: int = 0


@dataclass(slots=True)
class Part:
    """One thing said or done. `kind` chooses how the template shows it."""

    kind: str
    idx: int
    at: datetime
    message_id: Any
    first: bool = False
    html: SafeString | str = ""
    title: str = ""
    detail: str = ""
    more: int = 0
    result: Result | None = None
    thread: Thread | None = None


@dataclass(slots=True)
class Turn:
    """What one speaker said until another one spoke."""

    role: str
    idx: int
    at: datetime
    model: str = ""
    output_tokens: int = 0
    day: date | None = None
    parts: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class ConversationPage:
    turns: list[Turn]
    start: int
    end: int
    total: int

    @property
    def next(self) -> int | None:
        return self.end if self.end < self.total else None

    @property
    def previous(self) -> int | None:
        return max(0, self.start - PAGE) if self.start > 0 else None


def read_page(
    thread: Thread, start: int, threads: Sequence[Thread] = (), until: int | None = None
) -> ConversationPage:
    """Messages `start` to `start + PAGE`, or before `until`. Index message_idx_unique."""
    start = max(0, min(start, max(thread.message_count - 1, 0)))
    end = min(start + PAGE, thread.message_count)
    if until is not None:
        end = max(start, min(end, until))
    rows = list(
        Message.objects.filter(thread=thread, idx__gte=start - REACH, idx__lt=end + REACH)
        .order_by("idx")
        .defer("native_uuid", "native_parent_uuid", "created_at")
    )
    spawned = {t.metadata["tool_use_id"]: t for t in threads if t.metadata.get("tool_use_id")}
    builder = _Builder(rows, start, end, spawned)
    return ConversationPage(builder.turns(), start, end, thread.message_count)


def outline(thread: Thread) -> list[dict[str, Any]]:
    """What was asked, for jumping there: the first words of each message of a person."""
    rows = (
        Message.objects.filter(thread=thread, role="user")
        .order_by("idx")
        .annotate(words=Left("content", 160))
        .values("idx", "words", "occurred_at", "metadata__kind")
    )
    found = []
    for row in rows[:MAX_OUTLINE]:
        words = beginning(row["words"])
        if words and row["metadata__kind"] not in SUBDUED:
            found.append({"idx": row["idx"], "words": words, "at": row["occurred_at"]})
    return found


def command_of(text: str) -> str:
    """`/name args` out of the tags that wrap a slash command; '' where there are none."""
    found = {name: value.strip() for name, value in _COMMAND.findall(text)}
    return " ".join(part for part in (found.get("name"), found.get("args")) if part)


def beginning(text: str) -> str:
    """A prompt's first words as a title: a command as it was typed, without the tags around it."""
    return command_of(text) or " ".join(_TAG.sub(" ", text).split())


def one_line(text: str) -> str:
    """An answer's first words in a list, without Markdown's marks and line ends."""
    return " ".join(_MARKS.sub("", text).split())


class _Builder:
    """Puts the messages of one page together."""

    def __init__(
        self, rows: Sequence[Message], start: int, end: int, spawned: Mapping[str, Thread]
    ) -> None:
        self.rows = [row for row in rows if start <= row.idx < end]
        self.spawned = spawned
        self.called: dict[str, int] = {}
        self.results: dict[str, Result] = {}
        for row in rows:
            for block in _blocks(row):
                if block.get("type") in CALLS:
                    self.called.setdefault(str(block.get("id")), row.idx)
                elif block.get("type") in RESULTS:
                    self.results.setdefault(str(block.get("tool_use_id")), _result(row, block))
        self.start, self.end = start, end

    def turns(self) -> list[Turn]:
        found: list[Turn] = []
        last_day = None
        for row in self.rows:
            parts = list(self._parts(row))
            if not parts:
                continue
            parts[0].first = True
            role = "assistant" if row.role == "tool" else row.role
            if not found or found[-1].role != role:
                found.append(Turn(role=role, idx=row.idx, at=row.occurred_at))
                day = timezone.localtime(row.occurred_at).date()
                if day != last_day:
                    found[-1].day = last_day = day
            turn = found[-1]
            turn.parts += parts
            turn.model = turn.model or row.model
            turn.output_tokens += _tokens(row)
        return found

    def _parts(self, row: Message) -> Iterator[Part]:
        kind = str(row.metadata.get("kind") or "")
        if row.role == "system" or kind in SUBDUED:
            text = row.content or "\n\n".join(str(b.get("text") or "") for b in _blocks(row))
            text = _TAG.sub(" ", text).strip()
            if text:
                yield self._part(row, "note", text, title=SUBDUED.get(kind, "System"))
            return
        command = command_of(row.content) if row.role == "user" else ""
        if command:
            yield self._part(row, "command", command)
            return
        blocks = _blocks(row)
        if not blocks and row.content:
            yield self._part(row, "text", row.content)
        for block in blocks:
            yield from self._block(row, block)

    def _block(self, row: Message, block: Mapping[str, Any]) -> Iterator[Part]:
        kind = str(block.get("type") or "")
        if kind in CALLS:
            yield self._call(row, block)
        elif kind in RESULTS:
            if not self._shown_with_call(row, block):
                part = self._part(row, "result", "", title="Result of an earlier call")
                part.result = _result(row, block)
                yield part
        elif kind == "thinking":
            text = str(block.get("thinking") or "")
            if text.strip():
                yield self._part(row, "thinking", text)
        elif kind == "redacted_thinking":
            yield self._part(row, "aside", "Thinking, encrypted by its provider")
        elif kind == "text":
            text = str(block.get("text") or "")
            if text.strip():
                yield self._part(row, "text", text)
        elif kind in ("image", "document"):
            yield self._part(row, "aside", _media(kind, block))
        else:
            part = self._part(row, "block", "", title=kind or "unknown block")
            part.detail = _pretty(dict(block))
            yield part

    def _part(self, row: Message, kind: str, text: str, title: str = "") -> Part:
        shown, more = text[:MAX_TEXT], max(0, len(text) - MAX_TEXT)
        html: SafeString | str = shown
        if kind in ("text", "thinking"):
            html = render(shown)
        elif kind == "note":
            html = plain(shown)
        if kind == "note" and len(shown) < 100 and "\n" not in shown:
            kind = "aside"
            html = shown
        return Part(kind, row.idx, row.occurred_at, row.pk, html=html, title=title, more=more)

    def _call(self, row: Message, block: Mapping[str, Any]) -> Part:
        part = self._part(row, "call", "", title=str(block.get("name") or "tool"))
        arguments = block.get("input")
        part.detail = _pretty(arguments)
        part.html = telling(arguments)
        call_id = str(block.get("id"))
        part.result = self.results.get(call_id)
        part.thread = self.spawned.get(call_id)
        return part

    def _shown_with_call(self, row: Message, block: Mapping[str, Any]) -> bool:
        """Its call is on this page, or near enough on the page before."""
        called = self.called.get(str(block.get("tool_use_id")))
        return called is not None and (called >= self.start or row.idx - called <= REACH)


def _blocks(row: Message) -> list[Mapping[str, Any]]:
    """Only objects: a caller may have stored anything that is JSON."""
    blocks = row.blocks if isinstance(row.blocks, list) else []
    return [block for block in blocks if isinstance(block, Mapping)]


def _result(row: Message, block: Mapping[str, Any]) -> Result:
    content, images = block.get("content"), 0
    if isinstance(content, list):
        texts = []
        for item in content:
            if isinstance(item, Mapping) and item.get("type") == "image":
                images += 1
            else:
                text = item.get("text") if isinstance(item, Mapping) else item
                texts.append(str(text or ""))
        content = "\n".join(text for text in texts if text)
    text = content if isinstance(content, str) else _pretty(content)
    return Result(
        text=text[:MAX_RESULT],
        is_error=block.get("is_error") is True,
        more=max(0, len(text) - MAX_RESULT),
        idx=row.idx,
        images=images,
    )


def _media(kind: str, block: Mapping[str, Any]) -> str:
    source = block.get("source")
    media = source.get("media_type") if isinstance(source, Mapping) else ""
    name = block.get("title") or media or ""
    return f"{kind.capitalize()}{f' ({name})' if name else ''}, kept in the raw lines"


def telling(arguments: Any) -> str:
    """The argument by which a person recognises a call, in one line."""
    if isinstance(arguments, Mapping):
        for key in TELLING:
            value = arguments.get(key)
            if isinstance(value, str) and value.strip():
                return " ".join(value.split())[:200]
    return ""


def _pretty(value: Any) -> str:
    """JSON as people read it; the texts inside with their own line ends."""
    if value in (None, "", {}, []):
        return ""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text[:MAX_TEXT]


def _tokens(row: Message) -> int:
    value = row.usage.get("output_tokens") if isinstance(row.usage, Mapping) else 0
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
