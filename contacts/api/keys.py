"""API keys: list, create, limit, revoke."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from config.lib.cursor import page
from config.lib.db.lookup import find_id
from config.lib.errors import Forbidden
from contacts import selectors
from contacts.api.auth import KeyAuth
from contacts.api.edge import keep_instead
from contacts.api.http import (
    Id,
    Page,
    PageQuery,
    Reason,
    actor_of,
    principal_of,
    reply,
    reply_page,
    to_json,
)
from contacts.models import ApiKey
from contacts.schemas import KeyCreated, KeyIn, KeyOut, KeyPatch, LimitsOut
from contacts.scopes import AGENT_SCOPES
from contacts.services import allowances, keys

router = Router(tags=["Keys"])


@router.get(
    "/keys",
    auth=KeyAuth("keys:read"),
    response=Page[KeyOut],
    operation_id="list_keys",
    summary="List API keys",
)
def list_keys(request: HttpRequest, paging: PageQuery) -> HttpResponse:
    """All keys, revoked ones too, newest first. Never a secret."""
    found = page(selectors.list_keys(), order=["-id"], **paging.model_dump())
    return reply_page(KeyOut, found)


@router.post(
    "/keys",
    auth=KeyAuth("keys:write"),
    response={201: KeyCreated},
    operation_id="create_key",
    summary="Create an API key",
)
def create_key(request: HttpRequest, payload: KeyIn) -> HttpResponse:
    """The answer holds the token, once. A key cannot hand out scopes it does not have (403)."""
    own = principal_of(request).key.scopes
    scopes = payload.scopes
    if scopes is None:
        scopes = [scope for scope in AGENT_SCOPES if scope in own]
    beyond = [scope for scope in scopes if scope not in own]
    if beyond:
        raise Forbidden(
            f"Your key lacks {', '.join(beyond)}, so it cannot give it to another key.",
            code="scope_ceiling",
        )
    key, token = keys.create_key(
        actor=actor_of(request),
        agent=selectors.find_agent(payload.agent),
        name=payload.name,
        scopes=scopes,
        expires_at=payload.expires_at,
        # Or a key would get round its own by making others.
        limits=keys.own_limits(principal_of(request).key),
    )
    shown = KeyOut.model_validate(key).model_dump()
    response = reply(KeyCreated, {**shown, "token": token}, status=201)
    keep_instead(response, to_json(KeyCreated, {**shown, "token": None}))
    return response


@router.post(
    "/keys/{key_id}/revoke",
    auth=KeyAuth("keys:write"),
    response=KeyOut,
    operation_id="revoke_key",
    summary="Revoke an API key",
)
def revoke_key(request: HttpRequest, key_id: Id, reason: Reason = None) -> HttpResponse:
    """From the next request on it opens nothing. 409 `already_revoked` the second time."""
    row = keys.revoke_key(
        actor=actor_of(request),
        key_id=find_id(ApiKey, key_id, what="API key", check=False),
        reason=reason or "",
    )
    return reply(KeyOut, row)


@router.patch(
    "/keys/{key_id}",
    auth=KeyAuth("workspace:write"),
    response=KeyOut,
    operation_id="limit_key",
    summary="Give an API key its own limits",
)
def limit_key(request: HttpRequest, key_id: Id, payload: KeyPatch) -> HttpResponse:
    """From its next request on. What is not sent stays. Needs no If-Match: each stands alone."""
    changes = payload.sent()
    row = keys.limit_key(
        actor=actor_of(request),
        key_id=find_id(ApiKey, key_id, what="API key", check=False),
        reason=changes.pop("reason", ""),
        changes=changes,
    )
    return reply(KeyOut, row)


@router.get(
    "/limits",
    auth=KeyAuth(None),
    response=LimitsOut,
    operation_id="get_limits",
    summary="Read this key's limits, and what is used of them",
)
def get_limits(request: HttpRequest) -> HttpResponse:
    """Of this key, and of its workspace. What was used is as of a second ago; what is stored was
    measured at `measured_at`, and what keys have sent since is added. Null is no limit."""
    key = principal_of(request).key
    limits, budget = allowances.limits_of(key), allowances.read_budget(key)
    return reply(
        LimitsOut,
        {
            "rate": limits.rate or None,
            "burst": limits.burst if limits.rate else None,
            "key": {
                "requests": budget.key_requests,
                "rows": budget.key_rows,
                "daily_rows": limits.daily_rows or None,
                "bytes": budget.key_bytes,
                "daily_bytes": limits.daily_bytes or None,
            },
            "workspace": {
                "rows": budget.rows,
                "daily_rows": budget.daily_rows or None,
                "bytes": budget.bytes,
                "daily_bytes": budget.daily_bytes or None,
                "stored": budget.stored,
                "stored_bytes": budget.stored_bytes or None,
                "measured_at": budget.measured_at,
            },
        },
    )
