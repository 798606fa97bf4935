"""The site's pages that belong to no one model: home, command palette, workspace switch."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from config.admin import home
from config.admin.new_pings import new_pings
from config.admin.palette import results
from config.admin.problems import page
from config.admin.scope import find, remember
from contacts.admin.access import entry_of, require_entry

__all__ = ["home_context", "new_pings", "palette", "shared_context", "switch_workspace"]

MAX_TERM = 200


def shared_context(request: HttpRequest) -> dict[str, Any]:
    """On every page: who is in which workspace."""
    return {"entry": entry_of(request)}


def home_context() -> dict[str, Any]:
    return home.glance()


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
    """GET `s`: what is named like it, as a list for the palette."""
    term = request.GET.get("s", "").replace("\x00", "").strip()[:MAX_TERM]
    if not term:
        return HttpResponse()
    context = {"results": results(term), "term": term}
    return TemplateResponse(
        request, "admin/palette.html", context, headers={"HX-Trigger": "search"}
    )
