"""Workspaces and the people in them."""

import hashlib
import re
import secrets
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Forbidden, Invalid, NotFound
from config.lib.ids import new_id
from config.lib.scope import current_workspace_id, workspace_scope
from contacts.models import Invitation, Membership, Workspace
from contacts.models.workspace import MAX_EMAIL, Role
from contacts.preferences import check_settings, is_timezone
from contacts.services import funnel, redaction

INVITATION_LIFETIME = timedelta(days=7)
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def create_workspace(
    *, actor: Actor, slug: str, name: str = "", timezone: str = "UTC"
) -> Workspace:
    """A new, empty workspace. Opens its own scope, since it makes what scopes are about."""
    if not _SLUG.fullmatch(slug) or len(slug) > 60:
        raise Invalid({"slug": "lower-case letters, digits and single hyphens, at most 60"})
    if not is_timezone(timezone):
        raise Invalid({"timezone": f"{timezone[:60]!r} is not an IANA time zone"})
    workspace = Workspace(
        id=new_id(), slug=slug, name=name or slug, settings={"timezone": timezone}
    )
    funnel.check(workspace)
    try:
        with workspace_scope(workspace.id):
            workspace.save(force_insert=True)
            funnel.record(
                workspace, "create", actor=actor, before={}, after={"slug": slug, "name": name}
            )
    except IntegrityError:
        raise Conflict(f"There is a workspace {slug!r} already.", code="slug_taken") from None
    return workspace


def adopt_workspace(values: Mapping[str, Any]) -> Workspace:
    """The workspace as another database of ours had it, with its id, made unless it is here; its
    history comes with its rows. Raises Invalid, and Conflict where the slug is another one's."""
    fields = Workspace._meta.concrete_fields
    try:
        workspace = Workspace(**{f.attname: f.to_python(values[f.attname]) for f in fields})
    except (KeyError, ValidationError) as error:
        raise Invalid({"workspace": f"cannot be read: {error}"}) from None
    if not _SLUG.fullmatch(workspace.slug):
        raise Invalid({"slug": "lower-case letters, digits and single hyphens"})
    funnel.check(workspace)
    found = Workspace.objects.filter(pk=workspace.pk).first()
    if found is not None:
        return found
    try:
        with workspace_scope(workspace.id):
            workspace.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            f"There is another workspace {workspace.slug!r} here.", code="slug_taken"
        ) from None
    return workspace


def update_workspace(
    *,
    actor: Actor,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Workspace:
    """Rename the current workspace, or merge `settings` into its own; a None removes its key."""
    workspace = Workspace.objects.select_for_update().get(pk=current_workspace_id())
    merged = {**workspace.settings, **(settings or {})}
    merged = {key: value for key, value in merged.items() if value is not None}
    # Only what is being set: a key of ours that a caller had used before stays where it is.
    check_settings({key: merged[key] for key in settings or {} if key in merged})
    # A name that nobody touches is not looked at: a new pattern must not stand in its own way.
    wanted = {"settings": merged} | ({} if name is None else {"name": name})
    before = {key: getattr(workspace, key) for key in wanted}
    for key, value in wanted.items():
        setattr(workspace, key, value)
    funnel.check(workspace, only=wanted)
    wanted = {key: getattr(workspace, key) for key in wanted}
    differing = [key for key in wanted if wanted[key] != before[key]]
    if not differing:
        return workspace
    workspace.updated_at = clock.now()
    workspace.save(update_fields=[*differing, "updated_at"])
    funnel.record(
        workspace,
        "update",
        actor=actor,
        before={key: before[key] for key in differing},
        after={key: wanted[key] for key in differing},
        reason=reason,
    )
    redaction.forget_extra(workspace.pk)
    return workspace


def add_member(
    *, actor: Actor, user: User, role: str = Role.VIEWER, by_group: bool = False, reason: str = ""
) -> Membership:
    """Let a person in. Conflict when they are in already."""
    if Membership.objects.filter(user_id=user.pk).exists():
        raise Conflict(f"{user} is a member already.", code="already_member")
    membership = Membership(user=user, role=role, by_group=by_group)
    return funnel.create(membership, actor=actor, reason=reason)


def invite_person(*, actor: Actor, email: str, role: str = Role.VIEWER) -> tuple[Invitation, str]:
    """An invitation and the secret part of its link, shown once."""
    email = email.strip().casefold()
    if len(email) > MAX_EMAIL:
        raise Invalid({"email": f"has {len(email)} characters; at most {MAX_EMAIL} are kept"})
    if actor.kind == "key" and role == Role.OWNER:
        raise Forbidden("Owners are invited by people, not by keys.", code="owner_by_person")
    if Membership.objects.filter(user__username=email).exists():
        raise Conflict(f"{email} is a member already.", code="already_member")
    secret = secrets.token_urlsafe(32)
    invitation = Invitation(
        email=email,
        role=role,
        digest=hashlib.sha256(secret.encode()).digest(),
        expires_at=clock.now() + INVITATION_LIFETIME,
    )
    funnel.create(invitation, actor=actor)
    return invitation, f"{current_workspace_id().hex}.{invitation.id.hex}.{secret}"


def read_invitation_link(link: str) -> tuple[uuid.UUID, uuid.UUID, bytes] | None:
    """(workspace, invitation, digest of the secret) of a link's last part, or None."""
    try:
        workspace, invitation, secret = link.split(".")
        return uuid.UUID(workspace), uuid.UUID(invitation), hashlib.sha256(secret.encode()).digest()
    except (ValueError, UnicodeEncodeError):
        return None


def open_invitation(*, invitation_id: uuid.UUID, digest: bytes, lock: bool = False) -> Invitation:
    """The invitation if its link still works; NotFound, the same for every reason, if not."""
    try:
        invitation = funnel.get_row(Invitation, invitation_id, lock=lock)
    except NotFound:
        raise NotFound("open invitation for this link") from None
    live = (
        secrets.compare_digest(bytes(invitation.digest), digest)
        and invitation.accepted_at is None
        and invitation.revoked_at is None
        and invitation.expires_at > clock.now()
    )
    if not live:
        raise NotFound("open invitation for this link")
    return invitation


def accept_invitation(
    *,
    invitation_id: uuid.UUID,
    digest: bytes,
    password: str = "",
    account: User | None = None,
    proven_email: str = "",
) -> User:
    """Make the person's account and their membership, once.

    A person who has an account already proved, by its password, that it is theirs: `account`. Who
    proved their address elsewhere (`proven_email`, by single sign-on) needs no password here.
    """
    invitation = open_invitation(invitation_id=invitation_id, digest=digest, lock=True)
    if proven_email and proven_email != invitation.email:
        raise Forbidden("This invitation is for another address.", code="other_address")
    users = get_user_model()._default_manager
    user = account if proven_email and account else users.filter(username=invitation.email).first()
    if user is None and proven_email:
        user = create_account(email=proven_email)
    elif user is None:
        user = users.model(username=invitation.email, email=invitation.email, is_staff=True)
        _choose_password(user, password)
        user.save()
    elif not proven_email and user != account:
        raise Invalid({"password": "this address has an account; give its present password"})
    actor = Actor(kind="user", id=str(user.pk), label=user.get_username(), channel="admin")
    add_member(actor=actor, user=user, role=invitation.role)
    funnel.update(invitation, {"accepted_at": clock.now()}, actor=actor, action="accept")
    return user


def create_account(*, email: str) -> User:
    """An account without a password, named by an address that single sign-on proved."""
    users = get_user_model()._default_manager
    user = users.model(username=email, email=email, is_staff=True)
    user.set_unusable_password()
    user.save()
    return user


def _choose_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid({"password": " ".join(error.messages)}) from None
    user.set_password(password)


def create_user(*, username: str, password: str, superuser: bool = False) -> User:
    """An account for the admin, with a password its operator chose. Conflict: the name is taken."""
    users = get_user_model()._default_manager
    user = users.model(username=username, is_staff=True, is_superuser=superuser)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        raise Conflict(f"There is an account {username!r} already.", code="name_taken") from None
    return user
