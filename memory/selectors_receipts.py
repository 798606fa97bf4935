"""Reads of receipts, their feedback, and golden queries."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from config.lib.db.lookup import find_row
from contacts.selectors import find_agent
from memory.models import Receipt, SearchFeedback

LIST_ORDER = ["-created_at", "-id"]
# Of one search; a list shows the rest.
MOST_FEEDBACK = 200


def list_receipts(
    *,
    agent: str | None = None,
    mode: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    empty: bool | None = None,
) -> QuerySet[Receipt]:
    """The newest first, by LIST_ORDER: index receipt_list, receipt_agent, receipt_mode
    or, for those without a hit, receipt_empty."""
    rows = Receipt.objects.defer("hits", "request", "filters")
    if agent is not None:
        rows = rows.filter(agent=find_agent(agent))
    if mode is not None:
        rows = rows.filter(mode=mode)
    if since is not None:
        rows = rows.filter(created_at__gte=since)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    if empty is not None:
        rows = rows.filter(hit_count=0) if empty else rows.filter(hit_count__gt=0)
    return rows


def get_receipt(text: str) -> Receipt:
    """By id or the end of it, with what was said of its hits first. Or NotFound."""
    row: Any = find_row(Receipt.objects.all(), text, what="search")
    row.feedback_given = list(row.feedback.order_by("id")[:MOST_FEEDBACK])
    return row


def list_feedback(*, verdict: str | None = None) -> QuerySet[SearchFeedback]:
    """The newest first, by -id: the primary key, or index searchfeedback_verdict."""
    rows = SearchFeedback.objects.all()
    return rows.filter(verdict=verdict) if verdict else rows
