"""A person's second factor at sign-in: the code that their phone shows, or a recovery code.

Rows and arithmetic are django-allauth's (TOTP, RFC 6238). What it would keep in a cache, which each
process has for itself, is kept on the row and looked at under its lock: the wrong codes of the last
minutes and the time step that was used last. An account belongs to no workspace, so what is done to
its factor is recorded at its membership in each of its workspaces. Not for pages and sessions
(config/signin/).
"""

import time
from collections.abc import Callable
from datetime import timedelta

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid, TooMany
from config.lib.scope import workspace_scope
from contacts.models import Membership
from contacts.selectors import memberships_of
from contacts.services import funnel

TOTP, CODES = Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES
# Wrong codes of one person, from wherever, until all wait: of three that are right among a million
# at any moment, that lets one who has the password guess for years.
WRONG, WAIT = 5, timedelta(minutes=15)


def factor_of(user: User) -> Authenticator | None:
    """The factor they set up; None where there is none."""
    found: Authenticator | None = Authenticator.objects.filter(user_id=user.pk, type=TOTP).first()
    return found


def codes_left(user: User) -> int:
    """Of the recovery codes, those that were not used."""
    row = Authenticator.objects.filter(user_id=user.pk, type=CODES).first()
    try:
        return len(RecoveryCodes(row).get_unused_codes()) if row else 0
    except InvalidToken:
        return 0


def new_secret() -> str:
    """What the phone and this server will both know, in base 32."""
    return str(totp.generate_totp_secret())


def set_up(*, actor: Actor, user: User, secret: str, code: str) -> list[str]:
    """From now on a code is asked at sign-in; the recovery codes, which are shown once.

    Invalid where `code` is not what the secret gives now, Conflict where there is a factor. Opens
    scopes of its own, as all that writes here.
    """
    step = _step_of(secret, code)
    if step is None:
        raise Invalid({"code": "This is not the code of now. Is the phone's clock right?"})
    codes: list[str] = []

    def write() -> None:
        data = {"secret": get_adapter().encrypt(secret), "step": step}
        try:
            with transaction.atomic():
                Authenticator.objects.filter(user_id=user.pk, type=CODES).delete()
                Authenticator.objects.create(user_id=user.pk, type=TOTP, data=data)
        except IntegrityError:
            raise Conflict("There is a second factor already.", code="factor_there") from None
        codes.extend(RecoveryCodes.activate(user).generate_codes())

    _recorded(user, actor, "set_up_factor", {}, {"second_factor": True}, write)
    return codes


def renew_codes(*, actor: Actor, user: User) -> list[str]:
    """Ten new recovery codes; the old ones open nothing any more."""
    codes: list[str] = []

    def write() -> None:
        if factor_of(user) is None:
            raise Conflict("There is no second factor.", code="no_factor")
        Authenticator.objects.filter(user_id=user.pk, type=CODES).delete()
        codes.extend(RecoveryCodes.activate(user).generate_codes())

    _recorded(user, actor, "renew_codes", {}, {"recovery_codes": True}, write)
    return codes


def remove(*, actor: Actor, user: User, reason: str = "") -> None:
    """From now on the password alone opens. Conflict where there is no factor."""

    def write() -> None:
        _delete(user.pk)

    was, now = {"second_factor": True}, {"second_factor": False}
    _recorded(user, actor, "remove_factor", was, now, write, reason)


def remove_of_member(*, actor: Actor, membership: Membership, reason: str = "") -> None:
    """As `remove`, by an owner of the one workspace that the person is in; runs in its scope."""
    if actor.id == str(membership.user_id):
        raise Conflict("Your own is removed on the page of your second factor, by your password.",
                       code="ones_own")  # fmt: skip
    if membership.user.is_superuser or len(memberships_of(membership.user_id)) > 1:
        raise Conflict(
            "This person is in other workspaces too, or a superuser: a superuser removes it.",
            code="not_only_here",
        )
    _delete(membership.user_id)
    funnel.record(
        membership, "remove_factor", actor=actor, before={"second_factor": True},
        after={"second_factor": False}, reason=reason,
    )  # fmt: skip


def prove(*, user: User, code: str) -> bool:
    """Whether `code` is theirs: of their phone and not used before, or an unused recovery code.

    TooMany after WRONG wrong ones within WAIT, whatever the code and wherever it comes from.
    """
    with transaction.atomic():
        locked = Authenticator.objects.select_for_update()
        row = locked.filter(user_id=user.pk, type=TOTP).first()
        if row is None:
            return False
        now = time.time()
        wrong = [at for at in row.data.get("wrong", ()) if now - at < WAIT.total_seconds()]
        if len(wrong) >= WRONG:
            raise TooMany("There were too many wrong codes.", retry_after=int(WAIT.total_seconds()))
        step = _step_of(_secret_of(row), code)
        if step is not None and step > row.data.get("step", 0):
            row.data |= {"step": step, "wrong": []}
        elif _is_recovery_code(user, code):
            row.data["wrong"] = []
        else:
            row.data["wrong"] = [*wrong, now]
            row.save(update_fields=["data"])
            return False
        row.last_used_at = clock.now()
        row.save(update_fields=["data", "last_used_at"])
    return True


def _secret_of(row: Authenticator) -> str:
    """Nothing, of which no code is right, where the key that encrypted it is gone."""
    try:
        return str(get_adapter().decrypt(row.data["secret"]))
    except InvalidToken:
        return ""


def _step_of(secret: str, code: str) -> int | None:
    """The time step, of those around now, whose code this is."""
    if not secret:
        return None
    for step in totp.yield_hotp_counters_from_time():
        expected = totp.format_hotp_value(totp.hotp_value(secret, step))
        if compare_user_code(actual=code, expected=expected):
            return int(step)
    return None


def _is_recovery_code(user: User, code: str) -> bool:
    row = Authenticator.objects.filter(user_id=user.pk, type=CODES).first()
    try:
        return row is not None and bool(RecoveryCodes(row).validate_code(code))
    except InvalidToken:
        return False


def _delete(user_id: int) -> None:
    removed, _ = Authenticator.objects.filter(user_id=user_id).delete()
    if not removed:
        raise Conflict("There is no second factor.", code="no_factor")


def _recorded(
    user: User,
    actor: Actor,
    action: str,
    before: dict[str, bool],
    after: dict[str, bool],
    write: Callable[[], None],
    reason: str = "",
) -> None:
    """`write` in one transaction with the first record, and a record in each further workspace."""
    memberships = memberships_of(user.pk)
    if not memberships:
        write()
    for place, membership in enumerate(memberships):
        with workspace_scope(membership.workspace.id):
            if place == 0:
                write()
            funnel.record(
                membership, action, actor=actor, before=before, after=after, reason=reason
            )


def is_asked() -> bool:
    """Whether this installation asks for second factors at all."""
    return bool(settings.SECOND_FACTOR != "off")
