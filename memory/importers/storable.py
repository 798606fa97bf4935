"""Makes text and JSON from anywhere fit for PostgreSQL `text` and `jsonb`.

Neither takes NUL or a lone surrogate, `jsonb` takes no NaN or Infinity, and our JSON writer no
integer beyond 64 bits and no endless nesting. What does not fit is replaced by the documented
stand-in below and counted; the importers keep the raw line beside it, so nothing is lost. Not
for redacting secrets (config/lib/redact.py), which comes before.
"""

import math
import re
from pathlib import Path
from typing import Any

import orjson

from config.lib.shorten import before_secret
from config.lib.text import MAX_JSON_BYTES, MAX_JSON_DEPTH

# One stand-in for every character that cannot be stored (the Unicode REPLACEMENT CHARACTER).
REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# A single text beyond this is no longer read by anyone in one piece, and slows every list.
TEXT_LIMIT = 1_000_000
KEY_LIMIT = 500
# Below what the write funnel takes, with room for the lists and objects around a cleaned value;
# real data stays under 20 levels.
DEPTH_LIMIT = MAX_JSON_DEPTH - 10
_INT64 = 2**63
# Up to here every whole number is a float.
_EXACT = 2**53

# To how many characters texts are cut, step by step, until a JSON value fits.
_FITTING_LIMITS = (100_000, 10_000, 1_000, 100)

_OUTLINED_BLOCKS = 1_000

_TOO_DEEP = "[nested too deeply: kept in the raw line]"


def shown(path: Path) -> str:
    """A path as text: file names may hold bytes that are not UTF-8."""
    return Storable().text(str(path))


def json_bytes(value: Any) -> int:
    """At least as many bytes as `value` takes as JSON text, however it is spaced."""
    encoded = orjson.dumps(value)
    if len(encoded) <= MAX_JSON_BYTES // 2:
        return len(encoded)
    return len(encoded) + encoded.count(b",") + encoded.count(b":")


def _outline(block: dict[str, Any]) -> dict[str, Any]:
    """A block's short fields."""
    names = ("type", "id", "name", "tool_use_id", "is_error")
    return {n: v[:100] if isinstance(v := block[n], str) else bool(v) for n in names if n in block}


class Storable:
    """Cleans values and remembers what it had to change.

    One per source line. `replaced` counts characters, `cut` texts shortened, `dropped` numbers
    and branches that were replaced by null or a note.
    """

    __slots__ = ("cut", "dropped", "raw_line", "replaced")

    def __init__(self, *, raw_line: bool = True) -> None:
        # Whether what is left out here is kept in a raw line; else nothing readable is left out.
        self.raw_line = raw_line
        self.replaced = 0
        self.cut = 0
        self.dropped = 0

    def text(self, value: str, limit: int = TEXT_LIMIT) -> str:
        """`value` without what cannot be stored, at most `limit` characters and a note."""
        # isascii() reads a flag, so nearly every text costs two checks and no scan.
        if "\x00" in value or not value.isascii():
            value, count = _UNSTORABLE.subn(REPLACEMENT, value)
            self.replaced += count
        if len(value) > limit:
            self.cut += 1
            where = " in the raw line" if self.raw_line else ""
            kept = before_secret(value, limit)
            value = f"{kept}\n[... {len(value) - len(kept):,} more characters{where}]"
        return value

    def json(self, value: Any, limit: int = TEXT_LIMIT, depth: int = 0) -> Any:
        """A copy of `value` that `jsonb` takes; base64 payloads and signatures become a note."""
        if isinstance(value, str):
            return self.text(value, limit)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if -_INT64 <= value < _INT64 else str(value)
        if isinstance(value, float):
            if abs(value) < _EXACT:
                return value
            if math.isfinite(value):
                # It would come back as a whole number, and not the same one.
                return self.json(int(value))
            self.dropped += 1
            return None
        if depth >= DEPTH_LIMIT:
            self.dropped += 1
            return _TOO_DEEP
        if isinstance(value, list):
            return [self.json(item, limit, depth + 1) for item in value]
        if isinstance(value, dict):
            return self._object(value, limit, depth)
        self.dropped += 1
        return self.text(str(value), limit)

    def fitted(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Clean content blocks whose JSON is small enough to be stored: texts cut as little as
        need be, and where that is not enough, only what kind of blocks they were."""
        if json_bytes(value) <= MAX_JSON_BYTES:
            return value
        self.cut += 1
        for limit in _FITTING_LIMITS:
            shorter: list[dict[str, Any]] = Storable().json(value, limit)
            if json_bytes(shorter) <= MAX_JSON_BYTES:
                return shorter
        outline = [_outline(block) for block in value[:_OUTLINED_BLOCKS]]
        outline.append({"type": "note", "text": f"[{len(value):,} blocks kept in the raw line]"})
        return outline

    def fitted_object(self, value: dict[str, Any]) -> dict[str, Any]:
        """A clean object whose JSON is small enough to be stored: texts cut as little as need be,
        and where that is not enough, a note of its size."""
        if json_bytes(value) <= MAX_JSON_BYTES:
            return value
        self.cut += 1
        for limit in _FITTING_LIMITS:
            shorter: dict[str, Any] = Storable(raw_line=self.raw_line).json(value, limit)
            if json_bytes(shorter) <= MAX_JSON_BYTES:
                return shorter
        return {"note": f"[an object of {json_bytes(value):,} bytes]"}

    def _object(self, value: dict[Any, Any], limit: int, depth: int) -> dict[str, Any]:
        clean: dict[str, Any] = {}
        is_payload = value.get("type") == "base64"
        for key, item in value.items():
            name = self.text(str(key), KEY_LIMIT)
            unread = self.raw_line and (name == "signature" or (is_payload and name == "data"))
            if isinstance(item, str) and unread:
                # Kilobytes nobody can read; whoever needs them finds them in the raw line.
                clean[name] = f"[{len(item):,} characters kept in the raw line]" if item else ""
            else:
                clean[name] = self.json(item, limit, depth + 1)
        return clean
