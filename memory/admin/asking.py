"""A search as the address of a page says it: read, checked, and written again with a change.

Every filter of SearchQuery has a name here; days and times without a zone are meant in the
workspace's. Not for searching (search_page.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import QueryDict
from pydantic import ValidationError

from config.lib import clock
from config.lib.errors import Invalid
from memory.search.schemas import MAX_LIMIT, SearchQuery

# Of a thread, shown folded beside each message that was found.
NEIGHBOURS = 2
LIMITS = (10, 25, 50, MAX_LIMIT)

WORDS = ("q", "mode", "dates", "min_trust", "agent", "project", "session", "conversation")
LISTS = ("kinds", "memory_kinds", "states")
# In the address -> in the query.
MOMENTS = {"from": "after", "to": "before", "as_of": "as_of"}
OTHERS = ("tags", "metadata", "limit")
NAMES = (*WORDS, *LISTS, *MOMENTS, *OTHERS)
# Not part of what is asked: the search that the page goes on with.
RECEIPT = "receipt"


@dataclass(slots=True)
class Asking:
    """What an address asks for. `given` has every name as the person wrote it, `errors` what is
    wrong with one, and `query` is None where something is, or where nothing was asked."""

    given: dict[str, list[str]]
    errors: dict[str, str] = field(default_factory=dict)
    query: SearchQuery | None = None

    @property
    def is_empty(self) -> bool:
        return not any(name in self.given for name in NAMES if name not in ("mode", "limit"))

    def one(self, name: str) -> str:
        return self.given.get(name, [""])[0]

    def address(self, **changes: Any) -> str:
        """The query string of this search, with other values for some names; None omits one."""
        wanted: dict[str, Any] = {**self.given, **changes}
        pairs = [(name, value) for name, value in wanted.items() if value not in (None, [], "")]
        return urlencode(pairs, doseq=True)

    def refuse(self, error: Invalid) -> None:
        """Notes what a search refused, at the name the person knows."""
        known = {inner: name for name, inner in MOMENTS.items()}
        for name, text in error.errors.items():
            first = name.split(".")[0].split("[")[0]
            self.errors[known.get(first, first)] = text
        self.query = None


def address_of(request: Mapping[str, Any]) -> str:
    """The query string of a search that was kept. What the page has no name for is left out."""
    outer = {inner: name for name, inner in MOMENTS.items()}
    pairs: list[tuple[str, Any]] = []
    for inner, value in request.items():
        name = outer.get(inner, inner)
        if name in NAMES and value not in (None, [], {}, ""):
            pairs.append((name, json.dumps(value) if isinstance(value, dict) else value))
    return urlencode(pairs, doseq=True)


def read(data: QueryDict, timezone: ZoneInfo) -> Asking:
    """What the address asks for; `errors` says what no search takes."""
    given = {
        name: kept
        for name in data
        if name != RECEIPT and (kept := [v.strip() for v in data.getlist(name) if v.strip()])
    }
    asking = Asking(given)
    unknown = [name for name in given if name not in NAMES]
    asking.errors = dict.fromkeys(unknown, "is nothing a search knows")
    if asking.is_empty:
        return asking
    body = _body(asking, timezone)
    if asking.errors:
        return asking
    try:
        query = SearchQuery.model_validate({**body, "neighbours": NEIGHBOURS})
        query.check()
    except ValidationError as error:
        asking.refuse(Invalid({str(one["loc"][0]): _said(one) for one in error.errors()}))
    except Invalid as error:
        asking.refuse(error)
    else:
        asking.query = query
    return asking


def _body(asking: Asking, timezone: ZoneInfo) -> dict[str, Any]:
    """The body of a search; notes in `errors` what cannot be read."""
    body: dict[str, Any] = {name: asking.one(name) for name in WORDS if name in asking.given}
    body |= {name: asking.given[name] for name in LISTS if name in asking.given}
    if "tags" in asking.given:
        tags = [tag.strip() for text in asking.given["tags"] for tag in text.split(",")]
        body["tags"] = [tag for tag in tags if tag]
    if "limit" in asking.given:
        body["limit"] = asking.one("limit")
    if "metadata" in asking.given:
        try:
            body["metadata"] = json.loads(asking.one("metadata"))
        except ValueError:
            asking.errors["metadata"] = 'must be JSON, such as {"ticket": "A-12"}'
    for name, inner in MOMENTS.items():
        if name in asking.given:
            try:
                body[inner] = _moment(asking.one(name), timezone, ends=name != "from")
            except (ValueError, OverflowError):
                asking.errors[name] = "must be a day or a time, such as 2026-01-31"
    return body


def _moment(text: str, timezone: ZoneInfo, *, ends: bool) -> datetime:
    """A time; of a day its beginning, or its end, which for today is now."""
    if len(text) == len("2026-01-31"):
        day = date.fromisoformat(text)
        if ends and day == clock.now().astimezone(timezone).date():
            return clock.now()
        moment = datetime.combine(day + timedelta(days=ends), time(), timezone)
    else:
        moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone)).astimezone(UTC)


def _said(error: Mapping[str, Any]) -> str:
    text = str(error["msg"])
    return text[:1].lower() + text[1:]
