"""The pages of one's own sign-in: the code, the second factor, where one is signed in."""

import base64
import time
from typing import Any

from allauth.mfa.adapter import get_adapter
from django.contrib import admin, messages
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from config.lib.errors import DomainError, Invalid, TooMany
from config.signin import whereabouts
from config.signin.entry import come_in, enter, is_fresh, is_held_back, pending
from config.signin.forms import TOO_MANY
from config.signin.guard import is_refused
from config.signin.session import PASSWORD_AT, PROVEN, SECRET
from contacts.admin.access import require_entry
from contacts.admin.scope import outside
from contacts.services import factors

WRONG_CODE = "That code is not right, or was used before."
WRONG_PASSWORD = "This is not your password."  # noqa: S105  (what is said of one)


class SignIn(LoginView):
    """Django's; what follows a right password is ours."""

    def form_valid(self, form: Any) -> HttpResponse:
        return come_in(self.request, form.get_user(), self.get_success_url())


@never_cache
@sensitive_post_parameters("code")
def code(request: HttpRequest) -> HttpResponse:
    """After the password: GET asks for the code, POST `code` comes in."""
    waiting = pending(request)
    if waiting is None or factors.factor_of(waiting.user) is None:
        return redirect("admin:login")
    problem, wait = "", 0
    if request.method == "POST":
        try:
            if factors.prove(user=waiting.user, code=request.POST.get("code", "")[:40]):
                return enter(request, waiting.user, waiting.next_url, proven=True)
            problem = WRONG_CODE
        except TooMany as error:
            problem, wait = TOO_MANY, error.retry_after
    context = {**admin.site.each_context(request), "title": "Second factor", "problem": problem}
    response = TemplateResponse(request, "signin/code.html", context, status=429 if wait else 200)
    if wait:
        response["Retry-After"] = str(wait)
    return response


@sensitive_post_parameters("code", "password")
def second_factor(request: HttpRequest) -> HttpResponse:
    """One's own: GET shows it or how to set one up; POST `act` sets up, renews codes, removes."""
    if not factors.is_asked():
        raise Http404
    user = _person(request)
    problems: dict[str, str] = {}
    if request.method == "POST":
        with outside(request):
            problems, codes = _act(request, user)
        if codes:
            return _show(request, codes)
        if not problems:
            return redirect("admin:second_factor")
    factor, held_back = factors.factor_of(user), is_held_back(request)
    context = {
        **admin.site.each_context(request),
        "title": "Second factor",
        "layout": "unfold/layouts/unauthenticated.html" if held_back else "admin/base_site.html",
        "held_back": held_back,
        "factor": factor,
        "problems": problems,
        "asks_password": factor is not None or not is_fresh(request),
        "by_password": user.has_usable_password(),
    }
    if factor is not None:
        context["codes_left"] = factors.codes_left(user)
    elif user.has_usable_password():
        context |= _offer(request, user)
    return TemplateResponse(request, "signin/second_factor.html", context)


def _offer(request: HttpRequest, user: User) -> dict[str, Any]:
    """What the phone is given: as a picture, and to type in."""
    secret = request.session.get(SECRET)
    if not secret:
        secret = request.session[SECRET] = factors.new_secret()
    adapter = get_adapter()
    url = adapter.build_totp_url(user, secret)
    svg = base64.b64encode(adapter.build_totp_svg(url).encode()).decode()
    groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return {"qr": f"data:image/svg+xml;base64,{svg}", "secret": groups, "otpauth": url}


def _act(request: HttpRequest, user: User) -> tuple[dict[str, str], list[str]]:
    """(what was wrong, recovery codes to show); outside the workspace's transaction, because a
    wrong password is to be counted and the record is made in each of the person's workspaces."""
    act = request.POST.get("act", "")
    if act not in ("set_up", "codes", "remove"):
        raise Http404
    if (act != "set_up" or not is_fresh(request)) and not _is_password(request, user):
        return {f"password_{act}": TOO_MANY if is_refused(request) else WRONG_PASSWORD}, []
    actor = require_entry(request).actor
    try:
        if act == "set_up":
            return {}, _set_up(request, user)
        if act == "codes":
            return {}, factors.renew_codes(actor=actor, user=user)
        factors.remove(actor=actor, user=user)
    except Invalid as error:
        return dict(error.errors), []
    except DomainError as error:
        return {"code": error.detail}, []
    request.session.pop(PROVEN, None)
    messages.success(request, "Your second factor is removed.")
    return {}, []


def _is_password(request: HttpRequest, user: User) -> bool:
    password = request.POST.get("password", "")
    found = authenticate(request, username=user.get_username(), password=password)
    if found != user:
        return False
    request.session[PASSWORD_AT] = time.time()
    return True


def _set_up(request: HttpRequest, user: User) -> list[str]:
    codes = factors.set_up(
        actor=require_entry(request).actor, user=user,
        secret=request.session.get(SECRET, ""), code=request.POST.get("code", ""),
    )  # fmt: skip
    # A new id, as at every step that opens more; elsewhere the code is to be given from now on.
    request.session.cycle_key()
    request.session.pop(SECRET, None)
    request.session[PROVEN] = True
    whereabouts.end(whereabouts.others(request, user))
    return codes


def _show(request: HttpRequest, codes: list[str]) -> HttpResponse:
    """The codes, in the answer itself: no page shows them again."""
    context = {
        **admin.site.each_context(request),
        "title": "Recovery codes",
        "codes": codes,
    }
    return TemplateResponse(request, "signin/codes.html", context)


def sign_ins(request: HttpRequest) -> HttpResponse:
    """Where one is signed in; POST `end` ends one by its number, or `others`."""
    user = _person(request)
    if request.method == "POST":
        wanted = request.POST.get("end", "")
        found = whereabouts.others(request, user)
        if wanted != "others":
            found = found.filter(pk=int(wanted) if wanted.isdecimal() else 0)
        ended = whereabouts.end(found)
        messages.success(request, f"{ended} signed out." if ended else "It was ended already.")
        return redirect("admin:sign_ins")
    here = request.session.session_key
    shown = [
        {"row": one, "device": whereabouts.device(one.user_agent), "here": one.session_key == here}
        for one in whereabouts.sign_ins(user)
    ]
    context = {
        **admin.site.each_context(request),
        "title": "Where you are signed in",
        "sign_ins": shown,
        "password_url": reverse("admin:password_change") if user.has_usable_password() else "",
    }
    return TemplateResponse(request, "signin/sign_ins.html", context)


def _person(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User):
        raise Http404
    return user
