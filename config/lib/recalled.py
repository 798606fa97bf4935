"""Recalled text: the one mark around what the product itself put into an agent's context.

An agent's transcript repeats what it was given. Whoever makes something of messages (the search
index, summaries, extraction) reads them by `without_recalled`, so that the store does not feed on
itself. Not for fencing what is untrusted inside the block (memory/search/context.py).
"""

import re
from typing import Any

OPEN, CLOSE = "<remembrancer-recall>", "</remembrancer-recall>"
NAME = "remembrancer-recall"
# As somebody may write it to end the block early; JSON's escapes of it end nothing.
_MARK = re.compile(rf"(?:<|&lt;)\s*(/?)\s*{NAME}\s*(?:>|&gt;)", re.IGNORECASE)
# A block that was cut off reaches to the end. Gemini CLI escapes the brackets of what hooks add.
_BLOCK = re.compile(
    rf"<{NAME}>.*?(?:</{NAME}>|\Z)|&lt;{NAME}&gt;.*?(?:&lt;/{NAME}&gt;|\Z)", re.DOTALL
)
_FIRST_MARK = re.compile(rf"(?:<|&lt;)(/?){NAME}(?:>|&gt;)")
# Gemini CLI puts its own mark around what hooks add.
_EMPTY = re.compile(r"<hook_context>\s*</hook_context>")


def as_recalled(text: str) -> str:
    """`text` inside the mark. A mark that stands in it loses its brackets."""
    return f"{OPEN}\n{without_mark(text).strip()}\n{CLOSE}"


def without_mark(text: str) -> str:
    """`text` with the brackets of each mark in it gone: neither does it begin a block, nor end."""
    return _MARK.sub(r"(\1remembrancer-recall)", text) if NAME in text.lower() else text


def inside(text: str) -> str:
    """What `as_recalled` was given, of a text that is its block; any other text as it is."""
    if text.startswith(OPEN) and text.endswith(CLOSE):
        return text[len(OPEN) : -len(CLOSE)].strip()
    return text


def as_recalled_object(value: dict[str, Any]) -> dict[str, Any]:
    """A JSON object whose text begins and ends with the mark: what an agent's tool answered comes
    back in its transcript as that text."""
    return {"begin": OPEN, **_harmless(value), "end": CLOSE}


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return without_mark(value)
    if isinstance(value, list):
        return [_harmless(one) for one in value]
    if isinstance(value, dict):
        return {_harmless(name): _harmless(one) for name, one in value.items()}
    return value


def without_recalled(text: str) -> str:
    """`text` without any block that `as_recalled` made."""
    if NAME not in text:
        return text
    left, blocks = _BLOCK.subn("", text)
    return _EMPTY.sub("", left).strip() if blocks else text


def ends_without_recalled(head: str, tail: str) -> str:
    """The same of the beginning and the end of a text whose middle was not read: a block that began
    there ends in the tail."""
    mark = _FIRST_MARK.search(tail)
    if mark is not None and mark[1]:
        tail = tail[mark.end() :]
    return f"{without_recalled(head)}\n\n{without_recalled(tail)}"
