"""API keys: list, create, revoke."""

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
from contacts.schemas import KeyCreated, KeyIn, KeyOut
from contacts.scopes import AGENT_SCOPES
from contacts.services import keys

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
