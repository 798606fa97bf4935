"""The admin site: unfold's, with our own home, search, command palette and workspace switch."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

# Secrets of second factors, sign-ins of everybody, tokens.
ALLAUTH = {"account", "mfa", "socialaccount", "usersessions"}
# Jobs carry ids of every workspace; their tables are no page of one.
NOT_SHOWN = {"procrastinate", *ALLAUTH}


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
            path("second-factor/code/", _views().code, name="second_factor_code"),
            path("second-factor/", self.admin_view(_views().second_factor), name="second_factor"),
            path("sign-ins/", self.admin_view(_views().sign_ins), name="sign_ins"),
            *_views().review_urls(self),
        ]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), **_views().shared_context(request)}

    @method_decorator(never_cache)
    @login_not_required
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's page, with a view of ours behind it: a second factor may follow."""
        start = reverse("admin:index", current_app=self.name)
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(start)
        context = {
            **self.each_context(request),
            "title": "Log in",
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            **(extra_context or {}),
        }
        if "next" not in request.GET and "next" not in request.POST:
            context["next"] = start
        request.current_app = self.name
        view = _views().SignIn.as_view(
            extra_context=context,
            authentication_form=self.login_form,
            template_name="admin/login.html",
        )
        response: HttpResponse = view(request)
        return response

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
