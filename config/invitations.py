"""The page behind an invitation's link: a person sets a password and is in. Works without scripts.

A link that does not work (never made, used, expired, revoked) is answered like any address that is
not there.
"""

import uuid

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from config.lib.errors import Conflict, Invalid, NotFound
from config.lib.scope import workspace_scope
from config.signin.entry import come_in
from config.signin.forms import TOO_MANY
from config.signin.guard import is_refused
from contacts.models import Workspace
from contacts.services import workspaces


@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def accept_invitation(request: HttpRequest, link: str) -> HttpResponse:
    """GET shows the form, POST joins the workspace and goes to the admin."""
    read = workspaces.read_invitation_link(link)
    if read is None:
        raise Http404
    try:
        if request.method == "POST":
            return _join(request, *read)
        return _page(request, *read)
    except NotFound:
        raise Http404 from None


def _join(
    request: HttpRequest, workspace_id: uuid.UUID, invitation_id: uuid.UUID, digest: bytes
) -> HttpResponse:
    password = request.POST.get("password", "")
    if password != request.POST.get("again", ""):
        problems = {"again": "The two passwords differ."}
        return _page(request, workspace_id, invitation_id, digest, problems)
    account = _holder(request, workspace_id, invitation_id, digest, password)
    if is_refused(request):
        return _page(request, workspace_id, invitation_id, digest, {"password": TOO_MANY})
    try:
        with workspace_scope(workspace_id):
            user = workspaces.accept_invitation(
                invitation_id=invitation_id, digest=digest, password=password, account=account
            )
    except Invalid as error:
        return _page(request, workspace_id, invitation_id, digest, error.errors)
    except Conflict as error:
        return _page(request, workspace_id, invitation_id, digest, {"password": error.detail})
    return come_in(request, user, reverse("admin:index"))


def _holder(
    request: HttpRequest,
    workspace_id: uuid.UUID,
    invitation_id: uuid.UUID,
    digest: bytes,
    password: str,
) -> User | None:
    """Whose account the invited address is, if this is its password: looked at as at sign-in.

    Outside the scope, which a wrong password rolls back: the failure is to be counted.
    """
    with workspace_scope(workspace_id):
        email = workspaces.open_invitation(invitation_id=invitation_id, digest=digest).email
    if not get_user_model()._default_manager.filter(username=email).exists():
        return None
    return authenticate(request, username=email, password=password)


def _page(
    request: HttpRequest,
    workspace_id: uuid.UUID,
    invitation_id: uuid.UUID,
    digest: bytes,
    problems: dict[str, str] | None = None,
) -> HttpResponse:
    """The form, with what was wrong with it; NotFound where the link does not work."""
    with workspace_scope(workspace_id):
        context = {
            "invitation": workspaces.open_invitation(invitation_id=invitation_id, digest=digest),
            "workspace": Workspace.objects.get(pk=workspace_id),
            "problems": problems or {},
            "sso": settings.OIDC_NAME if settings.OIDC_URL else "",
            "link": request.resolver_match.kwargs["link"] if request.resolver_match else "",
        }
        response = render(request, "invite.html", context, status=422 if problems else 200)
    # The address is a password until it is used.
    response["Referrer-Policy"] = "no-referrer"
    return response
