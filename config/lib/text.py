"""What text and JSON from outside may hold, checked once, in the write funnel.

PostgreSQL's text and jsonb refuse NUL and lone surrogates; deep JSON exhausts its stack. We say
so ourselves, with the field's path, instead of letting a statement fail. And what of stored text
may be shown to an agent or in a terminal.
"""

import json
import re
from typing import Any

import orjson

MAX_JSON_DEPTH = 64
MAX_JSON_BYTES = 1024 * 1024
# Not orjson alone, which writes NaN as null without a word, and takes what JSON does not have.
_QUICK = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode
# Controls but for tab and line feed, separators that only some take for line ends, what turns the
# direction of others, and tags: letters that a model reads and nobody sees.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e0fff]+"
)
# Of no width, in words that are to look like others. Joiners and variation selectors belong to
# scripts and emoji, one or two at a time; more spell something that nobody sees.
_NO_WIDTH = re.compile(
    "[\xad\u061c\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\ufeff]+"
    "|[\u200c\u200d\ufe00-\ufe0f]{3,}"
)


def visible(text: str) -> str:
    """`text` with a space for each run of what a terminal obeys, or what hides or turns text, and
    without what has no width. Line feeds and tabs stay."""
    return text if text.isascii() and text.isprintable() else _seen(text)


def _seen(text: str) -> str:
    return _NO_WIDTH.sub("", _UNSEEN.sub(" ", text))


def text_problem(value: str) -> str | None:
    """Why `value` cannot be stored, or None."""
    if "\x00" in value:
        return f"holds a NUL character at position {value.index(chr(0))}; remove it"
    if value.isascii():
        return None
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"holds a lone surrogate at position {error.start}; send valid Unicode"
    return None


def json_problem(value: Any, *, max_bytes: int = MAX_JSON_BYTES) -> tuple[str, str] | None:
    """(path below the field, what is wrong), or None. The path is like `.a[3].b`, or empty."""
    if not value and value in ({}, []):
        return None
    if _is_plain(value, max_bytes):
        return None
    try:
        encoded = _encode(value).encode()
    except (TypeError, ValueError, RecursionError):
        return _slow_problem(value) or ("", "is not JSON")
    if len(encoded) > max_bytes:
        return "", f"has {len(encoded):,} bytes as JSON; at most {max_bytes:,} are kept"
    # A NUL is written as backslash-u0000, so where that is absent the walk can be spared; depth
    # cannot exceed the count of opening brackets.
    if b"\\u0000" in encoded or encoded.count(b"[") + encoded.count(b"{") > MAX_JSON_DEPTH:
        return _slow_problem(value)
    return None


def _is_plain(value: Any, max_bytes: int) -> bool:
    """Whether nothing can be wrong with it, which one quick look at nearly every value shows: its
    text is far from too long, and has neither a null, a NUL nor many levels."""
    try:
        encoded = orjson.dumps(value, option=_QUICK)
    except (TypeError, RecursionError):
        return False
    return (
        # Blanks between the parts, which count, are fewer than the parts themselves.
        len(encoded) <= max_bytes // 2
        and b"null" not in encoded
        and b"\\u0000" not in encoded
        and encoded.count(b"[") + encoded.count(b"{") <= MAX_JSON_DEPTH
    )


def _slow_problem(value: Any) -> tuple[str, str] | None:
    todo: list[tuple[str, Any, int]] = [("", value, 1)]
    while todo:
        path, item, depth = todo.pop()
        if isinstance(item, str):
            problem = text_problem(item)
            if problem:
                return path, problem
            continue
        if isinstance(item, float) and (item != item or item in (float("inf"), float("-inf"))):
            return path, "is NaN or infinite, which JSON does not have"
        if isinstance(item, (dict, list)) and depth > MAX_JSON_DEPTH:
            return path[:200], f"is nested deeper than {MAX_JSON_DEPTH} levels"
        if isinstance(item, dict):
            for key, child in item.items():
                problem = text_problem(str(key))
                if problem:
                    return path, f"has a key that {problem}"
                todo.append((f"{path}.{key}", child, depth + 1))
        elif isinstance(item, list):
            todo.extend((f"{path}[{i}]", child, depth + 1) for i, child in enumerate(item))
        elif not (item is None or isinstance(item, (bool, int, float))):
            return path, f"is a {type(item).__name__}, which JSON does not have"
        elif isinstance(item, int) and not isinstance(item, bool) and abs(item) > 10**300:
            return path, "is a number too large to keep"
    return None
