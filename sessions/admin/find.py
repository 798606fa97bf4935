"""Finding words in a whole thread, on the server: a page holds only what was loaded yet.

Looks at what people see: text, thinking, tools' names, inputs and results. Not for searching over
sessions, which the search page does.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Case, F, Func, Q, TextField, Value, When
from django.db.models.functions import Greatest, Lower, StrIndex, Substr
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from sessions.admin.frame import find_session, frame, number, words
from sessions.models import Message, Thread

MAX_WORDS = 200
# Matches in one answer, and messages one request looks through: a longer thread goes on.
MATCHES, WINDOW = 200, 10_000
BEFORE, EXCERPT = 60, 200


@dataclass(frozen=True, slots=True)
class Match:
    """`pieces` are (whether it is what was looked for, text)."""

    idx: int
    role: str
    at: datetime
    pieces: list[tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class Found:
    """`next` is the message to go on from, where there is more to look through."""

    matches: list[Match]
    next: int | None


def find_in(thread: Thread, text: str, start: int = 0) -> Found:
    """Messages from `start` on that hold `text` in any case. One query; message_idx_unique."""
    literal = json.dumps(text, ensure_ascii=False)
    like = f'like_regex {literal} flag "iq"'
    seen = (
        f"$[*] ? (@.text {like} || @.thinking {like} || @.name {like}"
        f" || exists(@.input.** ? (@ {like})) || exists(@.content ? (@ {like}))"
        f" || exists(@.content[*].text ? (@ {like})))"
    )
    in_blocks = Func(
        F("blocks"), Value(seen), output_field=BooleanField(),
        template="jsonb_path_exists(%(expressions)s::jsonpath)",
    )  # fmt: skip
    first = Func(
        F("blocks"), Value(f"$[*].** ? (@ {like})"), output_field=TextField(),
        template="(jsonb_path_query_first(%(expressions)s::jsonpath) #>> '{}')",
    )  # fmt: skip
    in_content = Q(content__icontains=text)
    end = start + WINDOW
    rows = (
        Message.objects.filter(thread=thread, idx__gte=start, idx__lt=end)
        .alias(in_blocks=in_blocks)
        .filter(in_content | Q(in_blocks=True))
        .order_by("idx")
        .annotate(
            excerpt=Case(
                When(in_content, then=_around(F("content"), text)), default=_around(first, text)
            )
        )
        .values_list("idx", "role", "occurred_at", "excerpt")
    )
    found = [Match(idx, role, at, _pieces(hit or "", text))
             for idx, role, at, hit in rows[: MATCHES + 1]]  # fmt: skip
    if len(found) > MATCHES:
        return Found(found[:MATCHES], found[MATCHES].idx)
    return Found(found, end if end < thread.message_count else None)


def _around(source: Any, text: str) -> Substr:
    place = StrIndex(Lower(source), Lower(Value(text)))
    return Substr(source, Greatest(place - BEFORE, Value(1)), EXCERPT)


def _pieces(excerpt: str, text: str) -> list[tuple[bool, str]]:
    excerpt = " ".join(excerpt.split())
    parts = re.split(f"({re.escape(' '.join(text.split()))})", excerpt, flags=re.IGNORECASE)
    return [(at % 2 == 1, part) for at, part in enumerate(parts) if part]


def find_view(admin: Any, request: HttpRequest, thread: Thread) -> HttpResponse:
    """`?q=` the words, `?from=` a message; `?part=1` only the list, for the page one reads."""
    text = words(request, "q", MAX_WORDS)
    start = number(request, "from")
    found = find_in(thread, text, start) if text else Found([], None)
    url = reverse("admin:agent_sessions_thread_find", args=[thread.pk])
    context: dict[str, Any] = {
        "thread": thread,
        "found": found,
        "find": text,
        "start": start,
        "reading_url": reverse("admin:agent_sessions_thread_conversation", args=[thread.pk]),
        "on": f"{url}?{urlencode({'q': text, 'from': str(found.next)})}" if found.next else "",
    }
    if "part" in request.GET:
        return TemplateResponse(request, "admin/agent_sessions/find_part.html", context)
    session = find_session(thread.session_id)
    context = {**frame(admin, request, session, "conversation"), **context}
    return TemplateResponse(request, "admin/agent_sessions/find.html", context)
