"""What goes to a model as data, and the JSON in what it says. No network here."""

import json
import re
import secrets
from typing import Any

_FENCED = re.compile(r"^```(?:json)?\s*\n(.*)\n\s*```$", re.DOTALL)


def between_marks(what: str, body: str, *, mark: str | None = None, note: str = "") -> str:
    """`body` as data, between marks that are random, so that it cannot hold them, unless a test
    names one; `what` it is and a `note` stand before."""
    mark = mark or secrets.token_hex(12)
    return f"{what}, between the marks {mark}.{note}\n<{mark}>\n{body}\n</{mark}>"


def read_json(answer: Any) -> Any:
    """A model's answer as JSON: what is no text as it is, a text (perhaps fenced) parsed. Raises
    ValueError for a text that is no JSON."""
    if not isinstance(answer, str):
        return answer
    text = answer.strip()
    fenced = _FENCED.match(text)
    try:
        return json.loads(fenced[1] if fenced else text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
