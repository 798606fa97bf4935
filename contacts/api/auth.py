"""Bearer keys for the REST API, and the scope each operation asks for."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja.security import HttpBearer

from config.lib.actor import Actor, Channel
from config.lib.errors import Forbidden
from config.lib.tokens import read_token
from contacts.api.edge import Principal
from contacts.models import ApiKey
from contacts.scopes import SCOPES
from contacts.services.keys import verify_token


class Unauthorized(Exception):
    """No key, or none that opens anything. One message for every reason."""


class KeyAuth(HttpBearer):
    """Authentication of one operation: a live key that has `scope`. `request.auth` is a Principal.

    scope=None asks for any live key. detached=True ends the authentication's transaction before
    the operation runs, for one that must compute something first and then opens a workspace_scope
    itself; with stays=True it is the operation that ends it, or works in it (http.leave_of).
    idempotent=False is for an operation that knows by itself what it was sent before, and takes no
    Idempotency-Key; only such a one may end the transaction early. `channel` is the door that its
    history names.
    """

    def __init__(
        self,
        scope: str | None,
        *,
        detached: bool = False,
        stays: bool = False,
        idempotent: bool = True,
        channel: Channel = "api",
    ) -> None:
        super().__init__()
        if scope is not None and scope not in SCOPES:
            raise ValueError(f"unknown scope {scope}")
        self.scope, self.detached, self.idempotent = scope, detached, idempotent
        self.stays, self.channel = stays, channel
        # One security scheme in the OpenAPI document, whichever scope is asked for.
        self.openapi_name = "bearer"

    def __call__(self, request: HttpRequest) -> Any:
        header = request.headers.get("Authorization", "")
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer":
            raise Unauthorized
        return self.authenticate(request, token.strip())

    def authenticate(self, request: HttpRequest, token: str) -> Principal:
        read = read_token(token)
        if read is None:
            raise Unauthorized
        edge = request.edge  # type: ignore[attr-defined]
        edge.enter(read.workspace_id)
        key = verify_token(read)
        if key is None:
            raise Unauthorized
        if settings.KEYS_LIMITED:
            edge.allow(key)
        check_scope(key, self.scope)
        principal = edge.principal = Principal(key, _actor(key, request, self.channel))
        if self.detached:
            if not self.stays:
                edge.detach()
        elif self.idempotent:
            edge.begin_idempotent(principal)
        return principal


def check_scope(key: ApiKey, scope: str | None) -> None:
    """Forbidden, naming the scope, where the key does not have it. None asks for nothing."""
    if scope is not None and scope not in key.scopes:
        raise Forbidden(
            f"This key lacks the scope {scope}; it has {', '.join(key.scopes)}.",
            code="scope_missing",
        )


def _actor(key: ApiKey, request: HttpRequest, channel: Channel) -> Actor:
    label = f"{key.agent.name} ({key.name or key.short_id})"
    request_id = getattr(request, "request_id", "")
    return Actor("key", str(key.id), label, channel, request_id, key.agent_id)
