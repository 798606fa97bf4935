"""API keys: made, checked, revoked. The token is returned once and never stored."""

import hmac
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.prepared import prepared_cursor
from config.lib.db.rows import made_of
from config.lib.errors import Conflict, Invalid
from config.lib.scope import current_workspace_id
from config.lib.tokens import Token, make_token
from contacts.models import Agent, ApiKey
from contacts.scopes import AGENT_SCOPES, SCOPES
from contacts.services import funnel

# last_used_at is for people; to the minute is enough, and spares a write on every call.
USED_EVERY = timedelta(minutes=1)
# How long a rotated key may go on beside the new one.
MAX_OVERLAP = timedelta(days=30)
LIMITS = ("rate_limit", "burst_limit", "daily_rows", "daily_bytes")


def create_key(
    *,
    actor: Actor,
    agent: Agent,
    name: str = "",
    scopes: Sequence[str] | None = None,
    expires_at: datetime | None = None,
    limits: Mapping[str, Any] | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its token, which cannot be shown again. `limits` are LIMITS by name."""
    chosen = list(dict.fromkeys(AGENT_SCOPES if scopes is None else scopes))
    unknown = [scope for scope in chosen if scope not in SCOPES]
    if unknown:
        raise Invalid({"scopes": f"no scope {', '.join(unknown)}; there are {', '.join(SCOPES)}"})
    if not chosen:
        raise Invalid({"scopes": "a key needs at least one scope"})
    if expires_at is not None and expires_at <= clock.now():
        raise Invalid({"expires_at": "lies in the past"})
    key = ApiKey(agent=agent, name=name, scopes=chosen, expires_at=expires_at, **(limits or {}))
    token, key.digest = make_token(current_workspace_id(), key.id)
    return funnel.create(key, actor=actor), token


def own_limits(key: ApiKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in LIMITS}


def limit_key(
    *, actor: Actor, key_id: uuid.UUID, changes: Mapping[str, Any], reason: str = ""
) -> ApiKey:
    """Give a key limits of its own: LIMITS by name, null for the settings', 0 for none. Other
    processes go by them from the key's next request on."""
    wrong = changes.keys() - set(LIMITS)
    if wrong:
        raise Invalid(dict.fromkeys(sorted(wrong), "is no limit of a key"))
    key = funnel.get_row(ApiKey, key_id, lock=True)
    return funnel.update(key, dict(changes), actor=actor, action="limit", reason=reason)


def revoke_key(*, actor: Actor, key_id: uuid.UUID, reason: str = "") -> ApiKey:
    """From the next request on the key opens nothing. Conflict when it was revoked before."""
    key = funnel.get_row(ApiKey, key_id, lock=True)
    if key.revoked_at is not None:
        raise Conflict("This key is revoked already.", code="already_revoked")
    return funnel.update(
        key, {"revoked_at": clock.now()}, actor=actor, action="revoke", reason=reason
    )


def rotate_key(
    *, actor: Actor, key_id: uuid.UUID, overlap: timedelta, reason: str = ""
) -> tuple[ApiKey, str]:
    """A new key for the same agent with the same name, scopes and length of life, and its token;
    the old one opens nothing any more after `overlap`. Conflict where it does not now."""
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise Invalid({"overlap": f"must be from 0 to {MAX_OVERLAP.days} days"})
    key = funnel.get_row(ApiKey, key_id, lock=True)
    now = clock.now()
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise Conflict("This key opens nothing any more; make a new one.", code="not_live")
    expires_at = now + (key.expires_at - key.created_at) if key.expires_at else None
    made, token = create_key(
        actor=actor, agent=key.agent, name=key.name, scopes=key.scopes, expires_at=expires_at,
        limits=own_limits(key),
    )  # fmt: skip
    ends = now + overlap
    if key.expires_at is None or key.expires_at > ends:
        changes = {"expires_at": ends}
        funnel.update(key, changes, actor=actor, action="rotate", reason=reason)
    return made, token


_READ = (ApiKey, Agent)


@cache
def _find_key() -> str:
    """The statement that reads a key and its agent."""
    columns = ", ".join(
        f'{model._meta.db_table}."{field.column}"'
        for model in _READ
        for field in model._meta.concrete_fields
    )
    key, agent = (model._meta.db_table for model in _READ)
    return (
        f"SELECT {columns} FROM {key} JOIN {agent} "  # noqa: S608
        f"ON {agent}.workspace_id = {key}.workspace_id AND {agent}.id = {key}.agent_id "
        f"WHERE {key}.workspace_id = %s AND {key}.id = %s"
    )


def verify_token(token: Token) -> ApiKey | None:
    """The live key a token belongs to, with its agent, or None. Reads only, in the token's
    workspace.

    Every request does this, and the ORM would take three times as long to make the statement as
    PostgreSQL to answer it. Indexes contacts_apikey_pkey and contacts_agent_pkey.
    """
    with prepared_cursor() as cursor:
        cursor.execute(_find_key(), [current_workspace_id(), token.key_id])
        row = cursor.fetchone()
    if row is None:
        return None
    key, agent = made_of(ApiKey, row), made_of(Agent, row[len(ApiKey._meta.concrete_fields) :])
    if not hmac.compare_digest(bytes(key.digest), token.digest):
        return None
    now = clock.now()
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        return None
    key.agent = agent
    return key
