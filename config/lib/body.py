"""From a request's bytes to JSON. What cannot be read is refused, saying why and where.

Not for what may be stored: that is config/lib/text.py, which can name the field.
"""

import json
import re
from typing import Any

import orjson

# Documents of people and agents are far flatter. What is stored has a limit of its own, below
# this one, whose error can name the field.
MAX_DEPTH = 100

# orjson reads a whole number beyond 64 bits as a float: digits would be lost in silence.
_LONG_NUMBER = re.compile(rb"[:,\[\s]-?[0-9]{19}")


# Where the request's environment says that its body broke off, and how.
BROKEN_BODY = "remembrancer.broken_body"


class UnreadableBody(Exception):
    """Not a JSON document that can be taken; the text says why and where."""


def parse_json(body: bytes) -> Any:
    """The document in `body`, or UnreadableBody.

    orjson reads it; where that refuses or would lose digits, the standard library does: it takes
    lone surrogates, so that the answer can name their field, and says line and column.
    """
    value = _parse(body)
    # Depth cannot exceed the count of opening brackets, which is quicker to get.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    return value


def _parse(body: bytes) -> Any:
    if not _LONG_NUMBER.search(body):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            if "depth limit" in error.msg:
                raise _too_deep() from None
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise UnreadableBody(
            f"The body is not UTF-8: byte {error.start} ({body[error.start]:#04x}) begins no "
            "character."
        ) from None
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_float)
    except json.JSONDecodeError as error:
        raise UnreadableBody(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        # Python's own limit on the digits of a number.
        raise UnreadableBody(f"The body is not JSON that can be taken: {error}.") from None


def _refuse(constant: str) -> Any:
    raise UnreadableBody(f"The body is not JSON: {constant} is no JSON value; send null.")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise UnreadableBody(f"The body holds the number {text[:40]}, which is too large to keep.")
    return value


def _too_deep() -> UnreadableBody:
    return UnreadableBody(
        f"The body is nested too deep: at most {MAX_DEPTH} levels of arrays and objects are taken."
    )


def _check_depth(value: Any) -> None:
    """Level by level, without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
