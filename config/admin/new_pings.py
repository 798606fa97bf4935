"""What open pages of the admin ask for every few seconds: pings that are new to the person.

In all workspaces the person is in, whichever the page shows: one scope after the other, so this
page is outside the middleware's. Workspaces without a browser channel cost one small query.
"""

from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse

from config.admin.scope import SESSION_KEY
from config.lib import clock
from config.lib.admin.show import change_url
from config.lib.scope import workspace_scope
from contacts.models import Membership
from contacts.selectors import memberships_of
from sessions.models import PingDelivery
from sessions.services.ping_deliveries import take_for_browser

# A flood of notifications tells nobody anything.
MOST_ITEMS, MOST_WORKSPACES = 20, 50
# Rows appear when their transaction commits, after the time they bear; the page knows which of
# them it has shown.
OVERLAP = timedelta(seconds=60)
LONGEST_BACK = timedelta(hours=1)
BODY = 240


def new_pings(request: HttpRequest) -> HttpResponse:
    """GET `after` (a cursor of an answer before): {cursor, items: [{id, title, body, severity,
    url}]}, newest first.

    Without a cursor nothing is new. Items of the last minute come again: tell them by their id.
    """
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    now = clock.now()
    after = _moment(request.GET.get("after", ""), now)
    found: list[tuple[datetime, dict[str, str]]] = []
    if after is not None:
        current = request.session.get(SESSION_KEY)
        for membership in memberships_of(int(request.user.pk or 0))[:MOST_WORKSPACES]:
            with workspace_scope(membership.workspace.id):
                rows = take_for_browser(after=after, limit=MOST_ITEMS)
                found += [(row.created_at, _item(row, membership, current)) for row in rows]
    found.sort(key=lambda pair: pair[0], reverse=True)
    cursor = (now - OVERLAP).isoformat()
    return JsonResponse({"cursor": cursor, "items": [item for _, item in found[:MOST_ITEMS]]})


def _item(row: PingDelivery, membership: Membership, current: str | None) -> dict[str, str]:
    """`current` is the workspace that pages show; a ping of another has its page only there."""
    ping = row.ping
    who = ping.agent.name if ping.agent is not None else "Somebody"
    here = str(membership.workspace_id) == current
    url = change_url(ping._meta.label_lower, ping.pk) if here else None
    return {
        "id": str(ping.id),
        "title": f"{who} · {membership.workspace.name}",
        "body": ping.message[:BODY],
        "severity": ping.severity,
        "url": url or "/admin/",
    }


def _moment(text: str, now: datetime) -> datetime | None:
    """A cursor, not older than an hour: who comes back tomorrow looks at the page instead."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return max(moment, now - LONGEST_BACK)
