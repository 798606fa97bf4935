"""Who is looking, at which workspace, and what their role lets them do.

The middleware (config/admin/scope.py) puts an Entry on the request; everything in the admin asks
it. Django's own permissions are not asked: a superuser is a member like any other here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from config.lib.actor import Actor
from contacts.models import Membership, Workspace
from contacts.models.workspace import Role


@dataclass(frozen=True, slots=True)
class Entry:
    """A signed-in person in one of their workspaces."""

    membership: Membership
    memberships: list[Membership]
    actor: Actor

    @property
    def workspace(self) -> Workspace:
        return self.membership.workspace

    @property
    def role(self) -> Role:
        return Role(self.membership.role)


def entry_of(request: HttpRequest) -> Entry | None:
    """None for the anonymous, and on the pages that need no workspace (signing in and out)."""
    found = getattr(request, "entry", None)
    return found if isinstance(found, Entry) else None


def require_entry(request: HttpRequest) -> Entry:
    entry = entry_of(request)
    if entry is None:
        raise PermissionDenied("no workspace was entered")
    return entry


def actor_of(request: HttpRequest) -> Actor:
    """Who is written into the Revisions of this request."""
    return require_entry(request).actor


def allows(request: HttpRequest, role: Role | None) -> bool:
    """Whether the person's role includes `role`; None is a thing nobody does in the admin."""
    entry = entry_of(request)
    return entry is not None and role is not None and entry.role.includes(role)


def page_of(admin: Any, view: Callable[..., HttpResponseBase]) -> Any:
    """A page below a model's, `view(admin, request, ...)`, for whoever may see its rows."""

    def run(request: HttpRequest, **found: Any) -> HttpResponseBase:
        if not admin.has_view_permission(request):
            raise PermissionDenied
        request.current_app = admin.admin_site.name
        return view(admin, request, **found)

    return admin.admin_site.admin_view(run)


def require_role(request: HttpRequest, role: Role) -> None:
    if not allows(request, role):
        raise PermissionDenied(f"this needs the role {role.label.lower()}")
