"""The page behind an invitation's link: a person sets a password and is in. Works without scripts.

A link that does not work (never made, used, expired, revoked) is answered like any address that is
not there.
"""

from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from config.lib.errors import Conflict, Invalid, NotFound
from config.lib.scope import workspace_scope
from contacts.models import Invitation, Workspace
from contacts.services import workspaces


@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def accept_invitation(request: HttpRequest, link: str) -> HttpResponse:
    """GET shows the form, POST joins the workspace and goes to the admin."""
    read = workspaces.read_invitation_link(link)
    if read is None:
        raise Http404
    workspace_id, invitation_id, digest = read
    try:
        if request.method == "POST":
            return _join(request, link)
        with workspace_scope(workspace_id):
            invitation = workspaces.open_invitation(invitation_id=invitation_id, digest=digest)
            return _page(request, invitation, {})
    except NotFound:
        raise Http404 from None


def _join(request: HttpRequest, link: str) -> HttpResponse:
    read = workspaces.read_invitation_link(link)
    assert read is not None
    workspace_id, invitation_id, digest = read
    password = request.POST.get("password", "")
    problems: dict[str, str] = {}
    if password != request.POST.get("again", ""):
        problems = {"again": "The two passwords differ."}
    try:
        with workspace_scope(workspace_id):
            if problems:
                raise Invalid(problems)
            user = workspaces.accept_invitation(
                invitation_id=invitation_id, digest=digest, password=password
            )
    except (Invalid, Conflict) as error:
        problems = error.errors if isinstance(error, Invalid) else {"password": error.detail}
        with workspace_scope(workspace_id):
            invitation = workspaces.open_invitation(invitation_id=invitation_id, digest=digest)
            return _page(request, invitation, problems, status=422)
    login(request, user)
    return redirect("admin:index")


def _page(
    request: HttpRequest, invitation: Invitation, problems: dict[str, str], *, status: int = 200
) -> HttpResponse:
    workspace = Workspace.objects.get(pk=invitation.workspace_id)
    context = {"invitation": invitation, "workspace": workspace, "problems": problems}
    response = render(request, "invite.html", context, status=status)
    # The address is a password until it is used.
    response["Referrer-Policy"] = "no-referrer"
    return response
