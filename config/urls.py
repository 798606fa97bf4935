"""All addresses, and what answers where there is none."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views import defaults
from django.views.generic import RedirectView

from config import errors, install
from config.api import api
from config.invitations import accept_invitation
from config.mcp.urls import urlpatterns as mcp
from config.middleware import API

# Whose callers are programs: what fails there is answered in JSON.
PROGRAMS = (API, "/mcp", "/.well-known/")
admin.autodiscover()
urlpatterns = [
    path("", RedirectView.as_view(url="/admin/"), name="home"),
    path("api/v1/", api.urls),
    path("admin/", admin.site.urls),
    *mcp,
    path("install", install.script, name="install"),
    path("install/remember.py", install.program),
    path("invite/<str:link>", accept_invitation, name="invitation"),
]

if settings.OIDC_URL:
    # allauth's adapters look for settings and models that are only there with it.
    from allauth.socialaccount.providers.openid_connect.views import callback

    from config.signin.sso import start

    # The provider is told the callback's address, which allauth makes from these names.
    urlpatterns += [
        path("sso/<slug:provider_id>/start/", start, name="openid_connect_login"),
        path("sso/<slug:provider_id>/callback/", callback, name="openid_connect_callback"),
    ]


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(PROGRAMS):
        return errors.bad_request(request, exception)
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(PROGRAMS):
        return errors.problem(request, 403)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(PROGRAMS):
        return errors.not_found(request, exception)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(PROGRAMS):
        return errors.problem(request, 500, errors.OUR_FAULT, code="unexpected")
    return defaults.server_error(request)


handler400 = bad_request
handler403 = permission_denied
handler404 = not_found
handler500 = server_error
