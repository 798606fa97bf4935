"""Makes text and JSON from anywhere fit for PostgreSQL `text` and `jsonb`.

Neither takes NUL or a lone surrogate, `jsonb` takes no NaN or Infinity, and our JSON writer no
integer beyond 64 bits and no endless nesting. What does not fit is replaced by the documented
stand-in below and counted; the importers keep the raw line beside it, so nothing is lost. Not
for redacting secrets: the write funnel does that for every channel.
"""

import math
import re
from pathlib import Path
from typing import Any

# One stand-in for every character that cannot be stored (the Unicode REPLACEMENT CHARACTER).
REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# A single text beyond this is no longer read by anyone in one piece, and slows every list.
TEXT_LIMIT = 1_000_000
KEY_LIMIT = 500
# json.dumps and PostgreSQL both recurse; real data stays under 20 levels.
DEPTH_LIMIT = 100
_INT64 = 2**63

_TOO_DEEP = "[nested too deeply: kept in the raw line]"


def shown(path: Path) -> str:
    """A path as text: file names may hold bytes that are not UTF-8."""
    return Storable().text(str(path))


class Storable:
    """Cleans values and remembers what it had to change.

    One per source line. `replaced` counts characters, `cut` texts shortened, `dropped` numbers
    and branches that were replaced by null or a note.
    """

    __slots__ = ("cut", "dropped", "replaced")

    def __init__(self) -> None:
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
            value = f"{value[:limit]}\n[... {len(value) - limit:,} more characters in the raw line]"
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
            if math.isfinite(value):
                return value
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

    def _object(self, value: dict[Any, Any], limit: int, depth: int) -> dict[str, Any]:
        clean: dict[str, Any] = {}
        is_payload = value.get("type") == "base64"
        for key, item in value.items():
            name = self.text(str(key), KEY_LIMIT)
            if isinstance(item, str) and (name == "signature" or (is_payload and name == "data")):
                # Kilobytes nobody can read; whoever needs them finds them in the raw line.
                clean[name] = f"[{len(item):,} characters kept in the raw line]" if item else ""
            else:
                clean[name] = self.json(item, limit, depth + 1)
        return clean
