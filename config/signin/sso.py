"""Single sign-on by OpenID Connect, with django-allauth; only where REMEMBRANCER_OIDC_URL is set.

The provider says who somebody is. Who they are here: the account that signed in by it before, else
the account named by the address that the provider verified, else, with an invitation for that very
address or with a group that gives a role, a new one. Nobody becomes a member of anything otherwise.
"""

from typing import Any

import requests
import structlog
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from config.admin import problems
from config.lib.actor import Actor
from config.lib.errors import DomainError
from config.lib.scope import workspace_scope
from contacts.models.workspace import Role
from contacts.services import members, workspaces

PROVIDER = "oidc"
BY_PROVIDER = Actor(kind="system", id=PROVIDER, label="single sign-on", channel="admin")
log = structlog.get_logger()
# Of the session: the invitation with which somebody went to the provider.
INVITATION = "invitation"


@never_cache
@require_POST
def start(request: HttpRequest, provider_id: str) -> HttpResponse:
    """To the provider, by a page: a policy about forms would hold for a form's redirects too."""
    if provider_id != PROVIDER:
        raise Http404
    request.session[INVITATION] = request.POST.get("invitation", "")
    wanted = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        wanted = reverse("admin:index")
    try:
        provider = get_adapter().get_provider(request, provider_id)
        answer = provider.redirect(request, process=AuthProcess.LOGIN, next_url=wanted)
    except (requests.RequestException, KeyError, ValueError) as error:
        log.warning("oidc_provider_unreachable", cause=type(error).__name__)
        return problems.page(
            request, 503, "Single sign-on cannot be reached",
            "Nothing was changed; try again shortly, or sign in with a password.", retry_after=30,
        )  # fmt: skip
    if answer.status_code != 302:
        return answer
    context = {"url": answer["Location"], "name": settings.OIDC_NAME}
    return render(request, "signin/going.html", context)


def refuse(request: HttpRequest, title: str, text: str) -> ImmediateHttpResponse:
    """To be raised: the page that says why somebody does not get in."""
    return ImmediateHttpResponse(problems.page(request, 403, title, text))


class Adapter(DefaultSocialAccountAdapter):
    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Choose the account, or refuse; allauth signs in whoever `sociallogin.user` is then."""
        email = verified_email(sociallogin)
        known = sociallogin.user if sociallogin.is_existing else None
        user = known or (_named(email) if email else None)
        link = request.session.pop(INVITATION, "")
        roles = roles_of(groups_of(sociallogin))
        if link:
            user = _join(request, link, email, user)
        elif user is None and email and roles:
            user = workspaces.create_account(email=email)
        if user is None or not user.is_active or not user.is_staff:
            raise refuse(
                request, "No account for you here",
                f"{settings.OIDC_NAME} knows you, this installation does not. Ask an owner of a "
                "workspace for an invitation, and open its link.",
            )  # fmt: skip
        if settings.OIDC_ROLES:
            members.follow_groups(actor=BY_PROVIDER, user=user, roles=roles)
        if known is None:
            sociallogin.connect(request, user)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        log.warning("oidc_refused", error=str(error), cause=type(exception).__name__)
        raise refuse(
            request, "That did not work",
            f"{settings.OIDC_NAME} did not sign you in, or the page was too old. Try again from "
            "the sign-in page.",
        )  # fmt: skip


def verified_email(sociallogin: Any) -> str:
    """The address that the provider says it verified, in small letters, or nothing."""
    for one in sociallogin.email_addresses:
        # A claim, as it came: some write it as a word.
        if one.verified is True or str(one.verified).lower() == "true":
            return str(one.email).strip().casefold()
    return ""


def groups_of(sociallogin: Any) -> set[str]:
    """The groups that the provider names, in either of its answers; a claim that is missing names
    none, because some leave it out for somebody who is in no group."""
    said = sociallogin.account.extra_data
    for answer in (said.get("userinfo"), said.get("id_token"), said):
        named = (answer or {}).get(settings.OIDC_GROUPS_CLAIM)
        if named is not None:
            return {str(one) for one in named} if isinstance(named, list) else {str(named)}
    return set()


def roles_of(groups: set[str]) -> dict[str, str]:
    """By workspace's slug, the highest of the roles that these groups give there."""
    roles: dict[str, str] = {}
    for group, slug, role in settings.OIDC_ROLES:
        if group in groups and not (slug in roles and Role(roles[slug]).includes(Role(role))):
            roles[slug] = role
    return roles


def _named(email: str) -> User | None:
    found: User | None = get_user_model()._default_manager.filter(username=email).first()
    return found


def _join(request: HttpRequest, link: str, email: str, user: User | None) -> User:
    read = workspaces.read_invitation_link(link)
    try:
        if read is None or not email:
            raise refuse(
                request, "This invitation cannot be accepted",
                f"{settings.OIDC_NAME} named no address of yours that it verified.",
            )  # fmt: skip
        workspace_id, invitation_id, digest = read
        with workspace_scope(workspace_id):
            return workspaces.accept_invitation(
                invitation_id=invitation_id, digest=digest, account=user, proven_email=email
            )
    except DomainError as error:
        raise refuse(request, "This invitation cannot be accepted", error.detail) from None
