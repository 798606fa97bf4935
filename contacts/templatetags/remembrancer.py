"""The admin's ways of showing values, for templates: `{% load remembrancer %}`."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils.safestring import SafeString

from config.lib import spans
from config.lib.admin import show
from config.lib.text import visible as text_visible

register = template.Library()


@register.filter
def when(moment: datetime | None) -> SafeString:
    return show.when(moment)


@register.filter
def exact(moment: datetime | None) -> str:
    return show.exact(moment) if moment else show.EMPTY


@register.filter
def clock_time(moment: datetime | None) -> str:
    """Hours and minutes; the date is said elsewhere on the page."""
    return show.exact(moment)[11:16] if moment else ""


@register.filter
def span(length: timedelta | None) -> str:
    return spans.span(length) if length is not None else show.EMPTY


@register.filter
def short_number(value: int | None) -> str:
    return show.short_number(value)


@register.filter
def grouped(value: int | None) -> str:
    """`12,345`."""
    return show.EMPTY if value is None else f"{value:,}"


@register.filter
def badge(word: str) -> SafeString:
    return show.badge(word)


@register.filter
def json_block(value: Any) -> SafeString:
    return show.json_block(value)


@register.filter
def short_id(value: Any) -> SafeString:
    return show.identifier(value)


@register.filter
def counted(value: int) -> str:
    """A bounded count: `1,234`, or `10,000+` where the counting was stopped."""
    return str(value) if type(value) is not int else f"{value:,}"


@register.filter
def percent(value: float) -> int:
    """A whole number from 0 to 100, for the width of a bar."""
    return min(100, max(0, round(value)))


@register.filter
def humanized(value: str) -> str:
    """A stored word as people read it: `learning pattern`."""
    return value.replace("_", " ")


@register.filter
def visible(text: object) -> str:
    """Stored text as a heading or a name: on one line, without what turns or hides it."""
    return "" if text is None else " ".join(text_visible(str(text)).split())


@register.filter
def base_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


@register.filter
def session_duration(session: Any) -> str:
    """From its start to its end, or to its last sign of life."""
    return spans.span((session.ended_at or session.last_seen_at) - session.started_at)
