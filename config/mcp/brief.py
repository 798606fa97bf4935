"""Answers made short: an agent pays for every token it reads.

`concise` keeps what one decides by, leaves out what is empty, says ids as their short tails and
cuts long texts until the whole is within the budget. `detailed` is REST's answer as it is.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from memory.services.chunks import estimate_tokens

# Of a concise answer, about: what is asked for by a larger `limit` may cost more.
TOKENS = 1400
# To how many characters texts are cut, one after the other until the answer fits.
CUTS = (4000, 2000, 1000, 500, 250, 120, 60)
# Characters of a token: more than in any text.
FAR = 10
# Texts of others that may look like ids and are looked up whole.
_WHOLE = {"external_id", "conversation_id", "claude_session_id", "lease_id", "trace_id"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# As long as a time is at most, and one more.
MOMENT = len("2026-01-31T12:00:00.000000+00:00 ")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$")


def as_json(value: Any) -> str:
    """`value` as JSON. Whole numbers beyond 64 bits are stored, and orjson does not write them."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def tokens_of(value: Any) -> int:
    """About the tokens of `value` as JSON."""
    return estimate_tokens(as_json(value))


def fitted(make: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """`make(cut)` with the longest texts that fit TOKENS; the shortest where none does."""
    made = make(CUTS[0])
    text = as_json(made)
    # Most answers fit as they are. What is far too long is not counted: that is most of the work.
    if len(text) <= FAR * TOKENS and estimate_tokens(text) <= TOKENS:
        return made
    low, high = 1, len(CUTS) - 1
    while low < high:
        middle = (low + high) // 2
        if tokens_of(make(CUTS[middle])) <= TOKENS:
            high = middle
        else:
            low = middle + 1
    return make(CUTS[low])


def picked(row: dict[str, Any], names: Sequence[str], cut: int) -> dict[str, Any]:
    """The named fields of a row that say something, short."""
    shown = {name: short(row.get(name), cut, name) for name in names}
    return {name: value for name, value in shown.items() if value not in (None, "", [], {})}


def short(value: Any, cut: int, name: str = "") -> Any:
    """`value` with short ids, times to the second, texts cut, and nothing empty in objects."""
    if isinstance(value, str):
        if _UUID.fullmatch(value) and name not in _WHOLE:
            return value.replace("-", "")[-12:]
        if len(value) < MOMENT and _TIME.match(value):
            return value[: len("2026-01-31T12:00:00")] + "Z"
        return cut_text(value, cut)
    if isinstance(value, list):
        return [short(one, cut, name) for one in value]
    if isinstance(value, dict):
        return picked(value, [key for key in value if key != "short_id"], cut)
    return value


def cut_text(text: str, cut: int) -> str:
    """At most `cut` characters, and how many more there are."""
    if len(text) <= cut:
        return text
    return f"{text[:cut].rstrip()} … ({len(text) - cut:,} more characters)"
