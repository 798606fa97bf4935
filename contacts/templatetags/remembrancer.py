"""The admin's ways of showing values, for templates: `{% load remembrancer %}`."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils.safestring import SafeString

from config.lib.admin import show

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
    return show.span(length) if length is not None else show.EMPTY


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
