"""Where a person is signed in: device, address, and when it was last seen.

The rows are django-allauth's (usersessions). Its own middleware writes one at every request; here
each process writes it every few minutes. When that was stands in its memory and not in the session:
of two requests at once, one would save the session over what the other changed.
"""

import re
from datetime import timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from config.signin.address import client_address

EVERY_SECONDS = 300
LONGEST_AGENT = 200
# The first that is found: each browser also names those it wants to be taken for.
BROWSERS = {
    "Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "FxiOS": "Firefox", "CriOS": "Chrome",
    "HeadlessChrome": "Chrome", "Chrome": "Chrome", "Safari": "Safari",
}  # fmt: skip
SYSTEMS = {
    "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows",
    "Mac OS X": "macOS", "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip


def note(request: HttpRequest, user: User) -> None:
    """Write this session's sign of life, if that is due."""
    key = request.session.session_key
    if not key or not cache.add(f"seen:{key}", True, timeout=EVERY_SECONDS):
        return
    UserSession.objects.update_or_create(
        session_key=key,
        defaults={
            "user": user,
            "ip": client_address(request),
            "user_agent": request.headers.get("User-Agent", "")[:LONGEST_AGENT],
            "last_seen_at": timezone.now(),
        },
    )


def came_in(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Receives Django's user_logged_in, which comes when the session has its new id."""
    # From now, not from when something was last written into it.
    ends = timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    request.session.set_expiry(ends)
    UserSession.objects.purge_and_list(user)
    note(request, user)


def went_out(sender: Any, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    """Receives Django's user_logged_out, which comes while the session has its id still."""
    if request.session.session_key:
        UserSession.objects.filter(session_key=request.session.session_key).delete()


def sign_ins(user: User) -> list[UserSession]:
    """Those that are open still, last seen first."""
    found = UserSession.objects.purge_and_list(user)
    return sorted(found, key=lambda one: one.last_seen_at, reverse=True)


def end(sessions: QuerySet[Any]) -> int:
    """Sign these out, wherever they are; how many."""
    ended = 0
    for one in sessions:
        one.end()
        ended += 1
    return ended


def others(request: HttpRequest, user: User) -> QuerySet[Any]:
    """All sign-ins of a person but this one."""
    found: QuerySet[Any] = UserSession.objects.filter(user_id=user.pk)
    return found.exclude(session_key=request.session.session_key)


def device(user_agent: str) -> str:
    """Such as `Firefox on Linux`: what a browser says of itself, which may be untrue."""
    browser = next((name for sign, name in BROWSERS.items() if f"{sign}/" in user_agent), "")
    system = next((name for sign, name in SYSTEMS.items() if sign in user_agent), "")
    said = " on ".join(part for part in (browser, system) if part)
    return said or re.sub(r"[^ -~]", "", user_agent)[:40] or "Unknown device"
