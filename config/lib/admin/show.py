"""How values look in the admin: times, spans, sizes, states. Everything given is escaped.

Not for whole pages; templates reach the same functions through templatetags/remembrancer.py.
"""

import json
import uuid
from datetime import datetime
from typing import Any

from django.apps import apps
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from config.lib import clock
from config.lib.ids import short_id
from config.lib.spans import DAY, HOUR, MINUTE
from config.lib.text import visible

EMPTY = "–"
# Past this many days a date says more than a count of days.
RELATIVE_DAYS = 30

# State words to tones; a word that is not here is shown neutral.
TONES = {
    "active": "green",
    "tool_active": "blue",
    "idle": "amber",
    "ended": "grey",
    "offline": "grey",
    "success": "green",
    "failure": "red",
    "quarantined": "amber",
    "superseded": "grey",
    "archived": "grey",
    "erased": "red",
    "operator": "green",
    "verified": "blue",
    "agent": "grey",
    "external": "amber",
    "open": "green",
    "closed": "grey",
    "live": "green",
    "revoked": "red",
    "expired": "amber",
    "accepted": "green",
    "building": "amber",
    "retired": "grey",
    "create": "green",
    "update": "blue",
    "delete": "red",
    "owner": "violet",
    "user": "blue",
    "assistant": "violet",
    "tool": "grey",
    "system": "grey",
    "urgent": "red",
    "high": "amber",
    "normal": "blue",
    "low": "grey",
    "acknowledged": "blue",
    "resolved": "grey",
    "pending": "amber",
    "sent": "green",
}
# What agents report as gone wrong ends like this, whatever it begins with.
_BAD_ENDINGS = ("error", "failure", "failed", "denied")


def tone_of(word: str) -> str:
    if word.endswith(_BAD_ENDINGS):
        return "red"
    return TONES.get(word, "grey")


def badge(word: str, label: str = "", tone: str = "") -> SafeString:
    """A coloured word; the colour follows from the word unless given."""
    if not word:
        return format_html("{}", EMPTY)
    shown = label or word.replace("_", " ")
    return format_html('<span class="rm-badge rm-{}">{}</span>', tone or tone_of(word), shown)


def relative(moment: datetime, now: datetime | None = None) -> str:
    """`5 min ago`, `in 2 h`, or the date where it is far away."""
    seconds = ((now or clock.now()) - moment).total_seconds()
    distance = abs(seconds)
    if distance < MINUTE:
        return "just now" if seconds >= 0 else "in a moment"
    if distance < HOUR:
        text = f"{distance // MINUTE:.0f} min"
    elif distance < DAY:
        text = f"{distance // HOUR:.0f} h"
    elif distance < RELATIVE_DAYS * DAY:
        days = int(distance // DAY)
        text = f"{days} day{'s' if days > 1 else ''}"
    else:
        return f"{timezone.localtime(moment):%d %b %Y}"
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def exact(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S %Z}"


def when(moment: datetime | None) -> SafeString:
    """A relative time, with the exact one on hover."""
    if moment is None:
        return format_html("{}", EMPTY)
    return format_html(
        '<time class="rm-time" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        exact(moment),
        relative(moment),
    )


def short_number(value: int | None) -> str:
    """`950`, `12.3k`, `4.1M`."""
    if value is None:
        return EMPTY
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if abs(value) >= size:
            shown = f"{value / size:.1f}".removesuffix(".0")
            return f"{shown}{unit}"
    return str(value)


def identifier(value: uuid.UUID) -> SafeString:
    """The short id, with the whole one on hover and to copy."""
    return format_html('<code class="rm-id" title="{}">{}</code>', str(value), short_id(value))


def identifiers(value: uuid.UUID) -> SafeString:
    """The whole id and its short form, for a row's own page."""
    return format_html('<code class="rm-id">{}</code> <span class="rm-faint">short {}</span>',
                       str(value), short_id(value))  # fmt: skip


def json_block(value: Any) -> SafeString:
    """JSON as people read it."""
    if value in (None, "", [], {}):
        return format_html("{}", EMPTY)
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return format_html('<pre class="rm-code">{}</pre>', text)


def long_text(value: str) -> SafeString:
    """Text with its line breaks, as it is."""
    if not value:
        return format_html("{}", EMPTY)
    return format_html('<div class="rm-text">{}</div>', value)


def preview(text: str, *, mono: bool = False) -> SafeString:
    """The beginning of a text in a list, in two lines at most."""
    return include("admin/includes/preview.html", text=" ".join(visible(text).split()), mono=mono)


def tags(values: list[str]) -> SafeString:
    return format_html_join(" ", '<span class="rm-tag">{}</span>', ((value,) for value in values))


def link(url: str, label: object) -> SafeString:
    return format_html('<a class="rm-link" href="{}">{}</a>', url, label)


def named_row(row: dict[str, Any]) -> dict[str, Any]:
    """{model, id, ...} of a report, with what the model is called and the row's page."""
    name = str(apps.get_model(row["model"])._meta.verbose_name)
    return {**row, "what": name, "url": change_url(row["model"], row["id"])}


def change_url(label_lower: str, pk: object) -> str | None:
    """The page of a row by its model's label, if the admin has one: for reading, else its form."""
    for page in ("read", "change"):
        try:
            return reverse(f"admin:{label_lower.replace('.', '_')}_{page}", args=[pk])
        except NoReverseMatch:
            continue
    return None


def changelist_url(label_lower: str, query: str = "") -> str:
    url = reverse(f"admin:{label_lower.replace('.', '_')}_changelist")
    return f"{url}?{query}" if query else url


def include(template: str, **context: Any) -> SafeString:
    return render_to_string(template, context)
