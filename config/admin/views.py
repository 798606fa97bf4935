"""The site's pages that belong to no one model: home, search, command palette, workspace switch."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from config.admin import home
from config.admin.new_pings import new_pings
from config.admin.palette import groups
from config.admin.problems import page
from config.admin.scope import find, remember
from config.signin.pages import SignIn, code, second_factor, sign_ins
from contacts.admin.access import entry_of, require_entry
from memory.admin.review import review_urls
from memory.admin.search_page import feedback as search_feedback
from memory.admin.search_page import search_page

__all__ = [
    "SignIn", "code", "home_context", "new_pings", "palette", "review_urls", "search_feedback",
    "search_page", "second_factor", "shared_context", "sign_ins", "switch_workspace",
]  # fmt: skip

MAX_TERM = 200


def shared_context(request: HttpRequest) -> dict[str, Any]:
    """On every page: who is in which workspace, and how else one signs in."""
    return {"entry": entry_of(request), "sso": settings.OIDC_NAME if settings.OIDC_URL else ""}


def home_context(request: HttpRequest, *, activity: bool = True) -> dict[str, Any]:
    return home.glance(request, activity=activity)


def switch_workspace(request: HttpRequest) -> HttpResponse:
    """POST `workspace`: from the next request on, everything is about that one."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    chosen = find(require_entry(request), request.POST.get("workspace", ""))
    if chosen is None:
        return page(request, 404, "No such workspace", "You are no member of it.")
    remember(request, chosen)
    return HttpResponseRedirect(reverse("admin:index"))


def palette(request: HttpRequest) -> HttpResponse:
    """GET `s`: what is named like it or found by it, as a list for the palette."""
    term = request.GET.get("s", "").replace("\x00", "").strip()[:MAX_TERM]
    return TemplateResponse(request, "admin/palette.html", {"groups": groups(request, term)})
