"""The admin site: unfold's, under our name, with our own home, palette and workspace switch."""

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
        return [
            path("workspace/", switch, name="switch_workspace"),
            path("pings/new/", new_pings, name="new_pings"),
        ]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), **_views().shared_context(request)}

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Our own home: what is going on, each number leading to its rows."""
        context = {
            **self.each_context(request),
            "title": self.index_title,
            "subtitle": None,
            **_views().home_context(),
            **(extra_context or {}),
        }
        request.current_app = self.name
        return TemplateResponse(request, "admin/home.html", context)

    def search(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The command palette. Unfold's own keeps results per person, across workspaces."""
        response: HttpResponse = _views().palette(request)
        return response
