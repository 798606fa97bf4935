"""The admin site: unfold's, with our own home, search, command palette and workspace switch."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.sites import UnfoldAdminSite

# Jobs carry ids of every workspace; their tables are no page of one.
NOT_SHOWN = {"procrastinate"}


def _views() -> Any:
    """Imported late: what they import registers itself with the site that is being made here."""
    from config.admin import views

    return views


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
        switch = self.admin_view(_views().switch_workspace)
        new_pings = self.admin_view(_views().new_pings)
        palette = self.admin_view(_views().palette)
        feedback = self.admin_view(_views().search_feedback)
        return [
            path("workspace/", switch, name="switch_workspace"),
            path("pings/new/", new_pings, name="new_pings"),
            path("palette/", palette, name="palette"),
            path("search/feedback/", feedback, name="search_feedback"),
            *_views().review_urls(self),
        ]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), **_views().shared_context(request)}

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Our own home: what is going on, each number leading to its rows. With `fragment`, what
        an open page asks for to renew itself: its panels, the charts only where that is `all`."""
        request.current_app = self.name
        wanted = request.GET.get("fragment")
        if wanted:
            found = _views().home_context(request, activity=wanted == "all")
            context = {**found, **(extra_context or {})}
            return TemplateResponse(request, "admin/home/fragment.html", context)
        context = {
            **self.each_context(request),
            "title": self.index_title,
            "subtitle": None,
            **_views().home_context(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/home.html", context)

    def search(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The search page. Unfold's own is its command palette; ours has an address of its own."""
        context = {**self.each_context(request), **(extra_context or {})}
        request.current_app = self.name
        response: HttpResponse = _views().search_page(request, context)
        return response
