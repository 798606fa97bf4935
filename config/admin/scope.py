"""The edge of an admin request: who is in which workspace, in one transaction to the last byte.

Everything below /admin/ that a signed-in person asks for runs in one workspace scope, templates
included; a page that asks a model in between leaves it for that (contacts/admin/scope.py). An
answer of 400 or more rolls back. Not for signing in and out, which belong to no workspace, and
not for the API (config/middleware.py).
"""

import uuid
from collections.abc import Callable

from django.contrib.auth.models import AnonymousUser, User
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token

from config.admin import problems
from config.lib.actor import Actor
from config.lib.errors import DomainError, Exhausted
from config.signin.entry import lead
from config.signin.whereabouts import note
from contacts.admin.access import Entry
from contacts.admin.scope import RequestScope
from contacts.models import Membership
from contacts.selectors import memberships_of

View = Callable[[HttpRequest], HttpResponse]
ADMIN = "/admin/"
# Pages that know no workspace and read nothing but accounts, and one that enters each in turn.
OUTSIDE = frozenset(
    {
        "/admin/login/", "/admin/second-factor/code/", "/admin/logout/", "/admin/jsi18n/",
        "/admin/pings/new/",
    }
)  # fmt: skip
# Of these, what tells of workspaces: not for somebody who is still to set up a second factor.
TELLS = "/admin/pings/new/"
SESSION_KEY = "workspace"


class AdminScope:
    """Django middleware; the last one, so that nothing of the answer is made outside the scope."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        outside = request.path in OUTSIDE
        if not request.path.startswith(ADMIN) or (outside and request.path != TELLS):
            return self.get_response(request)
        try:
            user = request.user
            if not user.is_authenticated or not user.is_staff:
                return self.get_response(request)
            elsewhere = lead(request, user)
            if elsewhere is not None or outside:
                return elsewhere or self.get_response(request)
            note(request, user)
            entry = choose(request, user)
        except DatabaseError as error:
            return problems.database(request, error)
        if entry is None:
            return problems.no_membership(request)
        request.entry = entry  # type: ignore[attr-defined]
        request.workspace = entry.workspace  # type: ignore[attr-defined]
        request.membership = entry.membership  # type: ignore[attr-defined]
        request.actor = entry.actor  # type: ignore[attr-defined]
        scope = request.scope = RequestScope(entry.workspace.id)  # type: ignore[attr-defined]
        try:
            with scope:
                response = self.get_response(request)
                if response.status_code >= 400:
                    scope.refuse()
        except DatabaseError as error:
            # Opening the scope or committing it can fail too; nothing was written then.
            return problems.database(request, error)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """A view's or template's exception as a page; None leaves it to Django."""
        if not request.path.startswith(ADMIN):
            return None
        if isinstance(error, DatabaseError):
            return problems.database(request, error)
        if isinstance(error, DomainError | Exhausted):
            return problems.domain(request, error)
        return problems.http(request, error)


def choose(request: HttpRequest, user: User | AnonymousUser) -> Entry | None:
    """The workspace the person chose last, else their first; None where they have none."""
    memberships = memberships_of(int(user.pk or 0))
    if not memberships:
        return None
    wanted = request.session.get(SESSION_KEY)
    chosen = next((m for m in memberships if str(m.workspace_id) == wanted), None)
    if chosen is None:
        chosen = memberships[0]
        remember(request, chosen)
    actor = Actor(
        kind="user",
        id=str(user.pk),
        label=user.get_username(),
        channel="admin",
        request_id=getattr(request, "request_id", ""),
    )
    return Entry(membership=chosen, memberships=memberships, actor=actor)


def remember(request: HttpRequest, membership: Membership) -> None:
    """This one from now on; forms that were opened in another one are refused.

    A form says what to do and not where: "add a task", or "all that match", of a tab that stands
    open would be done in the workspace that another tab chose since.
    """
    wanted = str(membership.workspace_id)
    if request.session.get(SESSION_KEY, wanted) != wanted:
        rotate_token(request)
    request.session[SESSION_KEY] = wanted


def find(entry: Entry, workspace_id: str) -> Membership | None:
    """The person's own membership in a workspace named by a form."""
    try:
        wanted = uuid.UUID(workspace_id)
    except ValueError:
        return None
    return next((m for m in entry.memberships if m.workspace_id == wanted), None)
