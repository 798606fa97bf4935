"""Reads the conversation out of a line: who speaks, what kind of message, what text.

Which lines are messages: `user`, `assistant`, `system` of subtype `local_command` (what a
person's slash command printed), and `attachment` of type `queued_command` (what a person typed
while the agent worked; newer versions write no other line for it). All else is an event or is
kept raw, see `events.py`. Not for tokens, threads or identity: `session.py` adds those.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from config.lib.recalled import without_recalled
from config.lib.shorten import before_secret
from memory.importers.claude_code.records import Kind, Role
from memory.importers.storable import Storable

# The arguments by which a person recognises a call, in the order they are tried.
_TELLING_ARGUMENTS = (
    "command",
    "cmd",
    "file_path",
    "notebook_path",
    "pattern",
    "path",
    "url",
    "query",
    "description",
    "skill",
    "subject",
    "prompt",
)
_CALL_TEXT_LIMIT = 500
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_COMMAND_TAG = re.compile(r"<command-(name|args)>(.*?)</command-\1>", re.DOTALL)

_REMINDER = "<system-reminder>"
# What stands as the model of lines that the program wrote itself.
SYNTHETIC_MODEL = "<synthetic>"
# How the program marks what it writes in the user's name; the first that fits decides.
_USER_MARKS: tuple[tuple[str, Role, Kind], ...] = (
    ("<command-name>", Role.USER, Kind.COMMAND),
    ("<command-message>", Role.USER, Kind.COMMAND),
    ("<bash-input>", Role.USER, Kind.COMMAND),
    ("<local-command-stdout>", Role.SYSTEM, Kind.COMMAND_OUTPUT),
    ("<local-command-stderr>", Role.SYSTEM, Kind.COMMAND_OUTPUT),
    ("<bash-stdout>", Role.SYSTEM, Kind.COMMAND_OUTPUT),
    ("<bash-stderr>", Role.SYSTEM, Kind.COMMAND_OUTPUT),
    ("<local-command-caveat>", Role.SYSTEM, Kind.META),
    ("<task-notification>", Role.SYSTEM, Kind.NOTIFICATION),
    (_REMINDER, Role.SYSTEM, Kind.NOTIFICATION),
    ("[Request interrupted by user", Role.USER, Kind.INTERRUPTION),
)
# Blocks that an editor or the program puts before what the person typed.
_INJECTED = ("<ide_opened_file>", "<ide_selection>", "<ide_diagnostics>", _REMINDER)
# The same as Codex's editor writes it, and what it puts before the person's own words.
_EDITOR_CONTEXT, _EDITOR_REQUEST = "# Context from my IDE setup:", "## My request for Codex:"
_THINKING_TYPES = frozenset({"thinking", "redacted_thinking"})
_CALL_TYPES = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


@dataclass(frozen=True, slots=True)
class Utterance:
    """The message in a line, before it is given its place and identity."""

    role: Role
    kind: Kind
    content: str
    blocks: list[dict[str, Any]]


def read_utterance(line: dict[str, Any], clean: Storable) -> Utterance | None:
    """The message that `line` is, or None where it is none."""
    match line.get("type"):
        case "user":
            return _user(line, clean)
        case "assistant":
            return _assistant(line, clean)
        case "system" if line.get("subtype") == "local_command":
            return _local_command(line, clean)
        case "attachment":
            return _queued_command(line, clean)
    return None


def _user(line: dict[str, Any], clean: Storable) -> Utterance | None:
    blocks = _blocks_of(line, clean)
    if blocks is None:
        return None
    content = text_of(blocks, clean)
    said = "\n\n".join(_string(b.get("text")) for b in blocks if b.get("type") == "text")
    role, kind = _marked(said)
    if line.get("isCompactSummary") is True:
        role, kind = Role.SYSTEM, Kind.COMPACT_SUMMARY
    elif any(block.get("type") == "tool_result" for block in blocks):
        # Results often come with a note of the program; only words of the person outweigh them.
        if not said.strip() or kind is not Kind.PROMPT:
            role, kind = Role.TOOL, Kind.TOOL_RESULT
    elif line.get("isMeta") is True:
        role, kind = Role.SYSTEM, Kind.META
    return Utterance(role, kind, content, blocks)


def _marked(content: str) -> tuple[Role, Kind]:
    start = content.lstrip()
    for mark, role, kind in _USER_MARKS:
        if start.startswith(mark):
            # A reminder is often followed by what the person typed; then it is a prompt.
            if mark == _REMINDER and _without_injections(start):
                return Role.USER, Kind.PROMPT
            return role, kind
    return Role.USER, Kind.PROMPT


def _assistant(line: dict[str, Any], clean: Storable) -> Utterance | None:
    blocks = _blocks_of(line, clean)
    if blocks is None:
        return None
    content = text_of(blocks, clean)
    types = {_string(block.get("type")) for block in blocks}
    message = line["message"]
    if line.get("isApiErrorMessage") is True:
        kind = Kind.API_ERROR
    elif message.get("model") == SYNTHETIC_MODEL:
        kind = Kind.SYNTHETIC
    elif types and types <= _THINKING_TYPES:
        kind = Kind.THINKING
    elif types and types <= _CALL_TYPES:
        kind = Kind.TOOL_CALL
    else:
        kind = Kind.REPLY
    return Utterance(Role.ASSISTANT, kind, content, blocks)


def _local_command(line: dict[str, Any], clean: Storable) -> Utterance | None:
    content = line.get("content")
    if not isinstance(content, str) or not content.strip():
        return None
    blocks: list[dict[str, Any]] = [{"type": "text", "text": clean.text(content)}]
    role, kind = _marked(content)
    if kind is not Kind.COMMAND:
        role, kind = Role.SYSTEM, Kind.COMMAND_OUTPUT
    return Utterance(role, kind, text_of(blocks, clean), blocks)


def _queued_command(line: dict[str, Any], clean: Storable) -> Utterance | None:
    attachment = line.get("attachment")
    if not isinstance(attachment, dict) or attachment.get("type") != "queued_command":
        return None
    blocks = _as_blocks(attachment.get("prompt"), clean)
    if not blocks:
        return None
    content = text_of(blocks, clean)
    role, kind = _marked(content)
    origin = attachment.get("origin")
    spoken_by = origin.get("kind") if isinstance(origin, dict) else None
    if attachment.get("commandMode") == "task-notification" or spoken_by not in (None, "human"):
        role, kind = Role.SYSTEM, Kind.NOTIFICATION
    return Utterance(role, kind, content, blocks)


def _blocks_of(line: dict[str, Any], clean: Storable) -> list[dict[str, Any]] | None:
    message = line.get("message")
    return _as_blocks(message.get("content"), clean) if isinstance(message, dict) else None


def _as_blocks(content: Any, clean: Storable) -> list[dict[str, Any]] | None:
    """`content` as a list of objects with a type: a plain text is one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": clean.text(content)}]
    if not isinstance(content, list):
        return None
    blocks: list[dict[str, Any]] = []
    for item in content:
        if isinstance(item, str):
            blocks.append({"type": "text", "text": clean.text(item)})
        elif isinstance(item, dict):
            blocks.append(clean.json(item))
        else:
            blocks.append({"type": "unknown", "value": clean.json(item)})
    return blocks


def text_of(blocks: list[dict[str, Any]], clean: Storable) -> str:
    """What a reader sees of the blocks; thinking only where there is nothing else."""
    parts = [text for block in blocks if (text := _block_text(block))]
    if not parts:
        thoughts = (block for block in blocks if block.get("type") == "thinking")
        parts = [text for block in thoughts if (text := _string(block.get("thinking")))]
    text = "\n\n".join(parts)
    if "\x1b" in text:
        # Colours of a terminal: the blocks keep them, a search or a page has no use for them.
        text = _ANSI.sub("", text)
    return clean.text(text)


def _block_text(block: dict[str, Any]) -> str:
    kind = _string(block.get("type"))
    if kind == "text":
        return _string(block.get("text"))
    if kind in _THINKING_TYPES:
        return ""
    if kind in _CALL_TYPES:
        return describe_call(_string(block.get("name")), block.get("input"))
    if kind == "tool_result":
        return result_text(block.get("content"))
    if kind in ("image", "document"):
        source = block.get("source")
        media = _string(source.get("media_type")) if isinstance(source, dict) else ""
        return f"[{kind}: {_string(block.get('title')) or media}]" if media else f"[{kind}]"
    return _string(block.get("text")) or f"[{kind or 'unknown block'}]"


def result_text(content: Any) -> str:
    """The text of a tool's result, which is a text, or blocks, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (_block_text(item) if isinstance(item, dict) else _string(item) for item in content)
        return "\n".join(text for text in texts if text)
    return ""


def describe_call(name: str, arguments: Any) -> str:
    """A tool call in one line: its name and the argument that tells most."""
    if isinstance(arguments, dict):
        for key in _TELLING_ARGUMENTS:
            value = arguments.get(key)
            if isinstance(value, list):
                # A command as its words.
                value = " ".join(word for word in value if isinstance(word, str))
            if value and isinstance(value, str):
                return f"{name}: {before_secret(value, _CALL_TEXT_LIMIT)}"
    return name


def spoken_text(blocks: list[dict[str, Any]]) -> str:
    """What the person typed: the text blocks without what was put before them."""
    texts = (_string(block.get("text")) for block in blocks if block.get("type") == "text")
    return "\n\n".join(part for text in texts if (part := _without_injections(text)))


def _without_injections(text: str) -> str:
    text = without_recalled(text).strip()
    if text.startswith(_EDITOR_CONTEXT):
        text = text.partition(_EDITOR_REQUEST)[2].strip() or text
    for mark in _INJECTED:
        closing = f"</{mark[1:]}"
        while text.startswith(mark):
            _, found, rest = text.partition(closing)
            if not found:
                return ""
            text = rest.strip()
    return text


def command_line(content: str) -> str:
    """`/name args` out of the tags that wrap a slash command; '' where there are none."""
    tags = {name: value.strip() for name, value in _COMMAND_TAG.findall(content)}
    return " ".join(part for part in (tags.get("name"), tags.get("args")) if part)


def content_blocks(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The raw content blocks of a user or assistant line, as counted by naive readers."""
    message = line.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        yield from (block for block in content if isinstance(block, dict))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
