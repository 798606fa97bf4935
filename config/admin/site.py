"""The admin site: unfold's, under our name, with our own home, search and workspace switch."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.sites import UnfoldAdminSite

# Jobs carry ids of every workspace; their tables are no page of one.
NOT_SHOWN = {"procrastinate"}


class RemembrancerAdminSite(UnfoldAdminSite):
    site_title = "Remembrancer"
    site_header = "Remembrancer"
    index_title = "At a glance"
    enable_nav_sidebar = True

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        models: Iterable[type[Model]] = (
            model_or_iterable if isinstance(model_or_iterable, Iterable) else [model_or_iterable]
        )
        ours = [model for model in models if model._meta.app_label not in NOT_SHOWN]
        super().register(ours, admin_class, **options)

    def extra_urls(self) -> list[URLPattern]:
        return [path("workspace/", self.admin_view(self.switch_workspace), name="switch_workspace")]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        from contacts.admin.access import entry_of

        return {**super().each_context(request), "entry": entry_of(request)}

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Our own home: what is going on, each number leading to its rows."""
        from config.admin.home import glance

        context = {
            **self.each_context(request),
            "title": self.index_title,
            "subtitle": None,
            **glance(),
            **(extra_context or {}),
        }
        request.current_app = self.name
        return TemplateResponse(request, "admin/home.html", context)

    def switch_workspace(self, request: HttpRequest) -> HttpResponse:
        """POST `workspace`: from the next request on, everything is about that one."""
        from config.admin.problems import page
        from config.admin.scope import find, remember
        from contacts.admin.access import require_entry

        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        chosen = find(require_entry(request), request.POST.get("workspace", ""))
        if chosen is None:
            return page(request, 404, "No such workspace", "You are no member of it.")
        remember(request, chosen)
        return HttpResponseRedirect(reverse("admin:index"))

    def search(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The command palette. Unfold's own keeps results per person, across workspaces."""
        from config.admin.palette import results

        term = request.GET.get("s", "").replace("\x00", "").strip()[:200]
        if not term:
            return HttpResponse()  # type: ignore[return-value]
        found = results(term)
        context = {"results": found, "term": term, "command_show_history": False}
        return TemplateResponse(
            request, "admin/palette.html", context, headers={"HX-Trigger": "search"}
        )
