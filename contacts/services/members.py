"""Members after they came: roles, leaving, and invitations taken back."""

import uuid
from collections.abc import Mapping

import structlog
from django.contrib.auth.models import User

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict
from config.lib.scope import workspace_scope
from contacts.models import Invitation, Membership, Workspace
from contacts.models.workspace import Role
from contacts.selectors import memberships_of
from contacts.services import funnel
from contacts.services.workspaces import add_member

log = structlog.get_logger()
# Why a membership follows a group, in its history.
GROUP_GIVES, GROUP_GONE = "a group of single sign-on gives it", "no group of theirs gives it now"


def change_role(
    *,
    actor: Actor,
    membership_id: uuid.UUID,
    role: str,
    expected_version: int | None = None,
    reason: str = "",
) -> Membership:
    """Give a member another role. Conflict when the workspace would have no owner left."""
    membership = _locked(membership_id)
    if role != Role.OWNER:
        _keep_an_owner(membership)
    return funnel.update(
        membership, {"role": role}, actor=actor, expected_version=expected_version, reason=reason
    )


def remove_member(*, actor: Actor, membership_id: uuid.UUID, reason: str = "") -> None:
    """Let a member go; the account stays. Conflict when they are the last owner."""
    membership = _locked(membership_id)
    _keep_an_owner(membership)
    funnel.delete(membership, actor=actor, reason=reason)


def follow_groups(*, actor: Actor, user: User, roles: Mapping[str, str]) -> None:
    """Make a person's memberships those that their groups give: `roles` by workspaces' slugs.

    A membership that a person gave stays what it is. The last owner of a workspace stays one, which
    is logged. Opens a scope for each workspace.
    """
    held = memberships_of(user.pk)
    for membership in held:
        role = roles.get(membership.workspace.slug)
        if not membership.by_group or role == membership.role:
            continue
        try:
            with workspace_scope(membership.workspace.id):
                if role is None:
                    remove_member(actor=actor, membership_id=membership.pk, reason=GROUP_GONE)
                else:
                    change_role(
                        actor=actor, membership_id=membership.pk, role=role, reason=GROUP_GIVES
                    )
        except Conflict as error:
            log.warning(
                "membership_outlives_its_group", workspace=membership.workspace.slug,
                account=user.get_username(), cause=error.code,
            )  # fmt: skip
    there = {membership.workspace.slug for membership in held}
    for workspace in Workspace.objects.filter(slug__in=roles.keys() - there):
        with workspace_scope(workspace.id):
            add_member(
                actor=actor, user=user, role=roles[workspace.slug], by_group=True,
                reason=GROUP_GIVES,
            )  # fmt: skip


def revoke_invitation(*, actor: Actor, invitation_id: uuid.UUID, reason: str = "") -> Invitation:
    """From now on the link opens nothing. Conflict when it was used or revoked before."""
    invitation = funnel.get_row(Invitation, invitation_id, lock=True)
    if invitation.accepted_at is not None:
        raise Conflict("This invitation was accepted; remove the member instead.", code="accepted")
    if invitation.revoked_at is not None:
        raise Conflict("This invitation is revoked already.", code="already_revoked")
    return funnel.update(
        invitation, {"revoked_at": clock.now()}, actor=actor, action="revoke", reason=reason
    )


def _locked(membership_id: uuid.UUID) -> Membership:
    """The membership, with every owner's locked in one order: two owners cannot both go at once."""
    list(Membership.objects.filter(role=Role.OWNER).order_by("id").select_for_update())
    return funnel.get_row(Membership, membership_id, lock=True, what="member")


def _keep_an_owner(membership: Membership) -> None:
    if membership.role != Role.OWNER:
        return
    others = Membership.objects.filter(role=Role.OWNER).exclude(pk=membership.pk)
    if not others.exists():
        raise Conflict("This is the workspace's last owner; make another one first.",
                       code="last_owner")  # fmt: skip
