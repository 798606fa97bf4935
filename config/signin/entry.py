"""Coming in with a password: at once, or after the code where a second factor was set up.

All ways in that begin with a password (the sign-in page, an invitation) end in `come_in`.
"""

import time
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model, login, logout
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from config.signin.session import BY_SSO, PASSWORD_AT, PENDING, PROVEN
from contacts.services import factors

BACKEND = "django.contrib.auth.backends.ModelBackend"
# How long the code may be in coming.
PENDING_SECONDS = 600
# So long after a password nothing that changes how one signs in asks for it again.
FRESH_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Pending:
    """Who gave their password and has the code to give."""

    user: User
    next_url: str


def come_in(request: HttpRequest, user: User, next_url: str) -> HttpResponse:
    """What follows a right password: where they wanted to go, or the page asking for the code."""
    if not factors.is_asked() or factors.factor_of(user) is None:
        return enter(request, user, next_url)
    request.session.cycle_key()
    request.session[PENDING] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "at": time.time(),
        "next": next_url,
    }
    return redirect("admin:second_factor_code")


def enter(request: HttpRequest, user: User, next_url: str, *, proven: bool = False) -> HttpResponse:
    """Signed in, by a password and, where `proven`, by a code; the session has a new id."""
    login(request, user, backend=BACKEND)
    for mark in (BY_SSO, PROVEN, PENDING):
        request.session.pop(mark, None)
    request.session[PASSWORD_AT] = time.time()
    if proven:
        request.session[PROVEN] = True
    return redirect(next_url)


def pending(request: HttpRequest) -> Pending | None:
    """None where nobody waits for a code here: also when it took too long, or the password or
    the account is another meanwhile."""
    held = request.session.get(PENDING)
    if not held or time.time() - held["at"] > PENDING_SECONDS:
        return None
    user = get_user_model()._default_manager.filter(pk=held["user"], is_active=True).first()
    if user is None or not constant_time_compare(held["hash"], user.get_session_auth_hash()):
        return None
    return Pending(user, held["next"])


def is_fresh(request: HttpRequest) -> bool:
    """Whether the password was given just now."""
    return bool(time.time() - request.session.get(PASSWORD_AT, 0) < FRESH_SECONDS)


def is_held_back(request: HttpRequest) -> bool:
    """Whether a second factor is required of this person, who came without one."""
    session = request.session
    return settings.SECOND_FACTOR == "required" and not (session.get(BY_SSO) or session.get(PROVEN))


def lead(request: HttpRequest, user: User) -> HttpResponse | None:
    """Where somebody who is held back goes instead: to set one up, or, if they have one, to sign
    in with it. None: on."""
    if not is_held_back(request):
        return None
    if factors.factor_of(user) is not None:
        logout(request)
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    wanted = reverse("admin:second_factor")
    return None if request.path == wanted else redirect(wanted)
