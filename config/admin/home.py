"""The home page: what is going on in the workspace, at a glance.

Every number leads to the rows behind it, and is counted to a limit: the page costs the same in a
workspace of a thousand rows and of a million.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Left

from config.lib import clock
from config.lib.admin import show
from contacts.admin.listing import bounded_count
from memory.models import Memory
from memory.models.memory import MemoryState
from memory.models.passage import Lane
from memory.selectors_attention import needs_attention
from memory.selectors_spaces import waiting_passages
from sessions.models import Session, SessionEvent
from sessions.services.events import ERROR_TYPES

DAY = timedelta(days=1)
RECENT, LIVE, WAITING, NEEDED = 8, 8, 5, 8


@dataclass(frozen=True, slots=True)
class Number:
    """A count with the list it counts. `tone` colours it when it is not zero."""

    label: str
    value: int
    url: str
    icon: str
    hint: str
    tone: str = "grey"


def glance() -> dict[str, Any]:
    """Template context. Seven queries beside those of needs_attention, each bounded and by an
    index."""
    now = clock.now()
    attention = needs_attention(per_kind=NEEDED)
    beyond = [one.more for one in attention.more]
    return {
        "needed": attention.items[:NEEDED],
        "needed_more": len(attention.items[NEEDED:]) + sum(beyond),
        "needed_at_least": any(one.at_least for one in attention.more),
        "numbers": [_active(), _review(), _errors(now - DAY), _pending()],
        "live": list(_sessions(ended_at=None).order_by("-last_seen_at", "-id")[:LIVE]),
        "recent": list(_sessions().order_by("-started_at", "-id")[:RECENT]),
        "waiting": list(_waiting()),
        "now": now,
    }


def _active() -> Number:
    """Index session_active."""
    count = bounded_count(Session.objects.filter(ended_at=None))
    url = show.changelist_url("agent_sessions.session", "ended_at__isnull=True")
    return Number("Active sessions", count, url, "play_circle", "not ended yet", "green")


def _review() -> Number:
    """Index memory_state."""
    count = bounded_count(Memory.objects.filter(state=MemoryState.QUARANTINED))
    url = show.changelist_url("memory.memory", "state__exact=quarantined")
    return Number("To review", count, url, "rate_review", "memories in quarantine", "amber")


def _errors(since: Any) -> Number:
    """Index event_type."""
    count = bounded_count(
        SessionEvent.objects.filter(event_type__in=ERROR_TYPES, occurred_at__gte=since)
    )
    types = ",".join(sorted(ERROR_TYPES))
    query = f"event_type__in={types}&occurred_at_from={since:%Y-%m-%d}"
    url = show.changelist_url("agent_sessions.sessionevent", query)
    return Number("Errors", count, url, "error", "events in 24 hours", "red")


def _pending() -> Number:
    """Index passage_pending."""
    waiting = waiting_passages().filter(lane__in=(Lane.INTERACTIVE, Lane.BULK))
    count = bounded_count(waiting)
    url = show.changelist_url("memory.passage", "embedded=pending")
    return Number("To embed", count, url, "hub", "found by words meanwhile", "blue")


def _sessions(**where: Any) -> QuerySet[Session]:
    """Rows for a list: titles, no bodies."""
    return (
        Session.objects.filter(**where)
        .select_related("agent", "project")
        .annotate(asked=Left("prompt", 160))
        .only(
            "name",
            "current_state",
            "status_text",
            "outcome",
            "last_seen_at",
            "started_at",
            "ended_at",
            "message_count",
            "error_count",
            "host",
            "branch",
            "workspace_id",
            "context_used_percent",
            "agent__name",
            "agent__workspace_id",
            "project__title",
            "project__workspace_id",
        )
    )


def _waiting() -> QuerySet[Memory]:
    """What waits for a person, oldest first. Index memory_state."""
    rows = Memory.objects.filter(state=MemoryState.QUARANTINED).order_by("recorded_at", "id")
    rows = rows.annotate(beginning=Left("text", 200))
    return rows.only("kind", "trust", "recorded_at", "confidence", "workspace_id")[:WAITING]
