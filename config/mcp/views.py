"""The door of the MCP servers: who calls, from where, and with what.

One POST is one message and one transaction's edge, as a REST request is (contacts/api/edge.py). A
caller is known by its key alone. Not for the protocol itself, which is the SDK's (bridge.py).
"""

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.http import is_same_domain
from django.views.decorators.csrf import csrf_exempt

from config import errors
from config.api.body import JsonParser
from config.lib.body import UnreadableBody
from config.lib.db.again import again
from config.lib.writing import tallied
from config.mcp.rest import Call
from contacts.api.auth import KeyAuth, Unauthorized
from contacts.api.edge import Edge, Principal
from contacts.scopes import SCOPES

if TYPE_CHECKING:
    from config.mcp.bridge import Engine

View = Callable[..., HttpResponse]
WELL_KNOWN = "/.well-known/oauth-protected-resource"
# A tool takes its idempotency key as an argument; the header is REST's.
KEY = KeyAuth(None, idempotent=False, channel="mcp")
# JSON-RPC's.
PARSE_ERROR = -32700


@cache
def engines() -> "dict[str, Engine]":
    """By name. Only web processes need the SDK, which takes a second and 30 MB to import: each
    loads it as it starts (config/gunicorn.py), and commands, which read the addresses, never."""
    from config.mcp.server import CHATGPT, MAIN

    return {"main": MAIN, "chatgpt": CHATGPT}


def _serve(request: HttpRequest, name: str) -> HttpResponse:
    if not origin_is_ours(request):
        return errors.problem(
            request, 403, "This Origin may not call; CSRF_TRUSTED_ORIGINS names those that may.",
            code="origin",
        )  # fmt: skip
    with tallied() as tally:
        edge = Edge(request, tally)
        request.edge = edge  # type: ignore[attr-defined]
        with edge.whose:
            response = _within(request, edge, name)
    edge.count(response)
    return response


def _within(request: HttpRequest, edge: Edge, name: str) -> HttpResponse:
    try:
        response = _answer(request, edge, name)
    except Exception as error:
        edge.leave(None)
        return errors.answer_to(request, error)
    try:
        edge.leave(response)
    except DatabaseError as error:
        return errors.database_problem(request, error)
    if response.status_code < 400:
        edge.note_use()
    return response


def _answer(request: HttpRequest, edge: Edge, name: str) -> HttpResponse:
    try:
        principal = again(lambda: _caller(request, edge))
    except Unauthorized:
        return _challenge(request)
    if request.method != "POST":
        # No session is kept, so there is nothing to stream to and nothing to end.
        return errors.problem(request, 405, "Send messages by POST.", headers={"Allow": "POST"})
    try:
        JsonParser().parse_body(request)
    except UnreadableBody as error:
        return _unreadable(str(error))
    return engines()[name].answer(request, request.body, Call(request, edge, principal))


def _caller(request: HttpRequest, edge: Edge) -> Principal:
    try:
        return KEY(request)
    except BaseException:
        edge.leave(None)
        raise


def _unreadable(why: str) -> HttpResponse:
    said = {"jsonrpc": "2.0", "id": None, "error": {"code": PARSE_ERROR, "message": why}}
    return HttpResponse(orjson.dumps(said), status=400, content_type="application/json")


def _challenge(request: HttpRequest) -> HttpResponse:
    """401, saying where to read how one gets in (RFC 9728)."""
    response = errors.unauthorized(request, Unauthorized())
    metadata = request.build_absolute_uri(f"{WELL_KNOWN}/{request.path.lstrip('/')}")
    said = f'Bearer realm="remembrancer", resource_metadata="{metadata}"'
    if "Authorization" in request.headers:
        said += ', error="invalid_token"'
    response["WWW-Authenticate"] = said
    return response


def origin_is_ours(request: HttpRequest) -> bool:
    """Whether no page of somebody else's sent this: a browser says whose it is (DNS rebinding).

    Agents send no Origin. Pages of this server may call, and those of CSRF_TRUSTED_ORIGINS.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    if origin == f"{request.scheme}://{request.get_host()}":
        return True
    try:
        given = urlsplit(origin)
    except ValueError:
        return False
    return any(
        given.scheme == trusted.scheme
        and is_same_domain(given.netloc, trusted.netloc.removeprefix("*"))
        for trusted in map(urlsplit, [settings.PUBLIC_URL, *settings.CSRF_TRUSTED_ORIGINS])
    )


serve: View = csrf_exempt(partial(_serve, name="main"))
serve_chatgpt: View = csrf_exempt(partial(_serve, name="chatgpt"))


def metadata(request: HttpRequest, path: str = "mcp/") -> HttpResponse:
    """RFC 9728: what this resource is and which scopes there are. Keys are made by operators, so
    no authorization server is named."""
    if request.method not in ("GET", "HEAD"):
        return errors.problem(request, 405, headers={"Allow": "GET, HEAD"})
    said = {
        "resource": request.build_absolute_uri(f"/{path}"),
        "resource_name": "Remembrancer",
        "bearer_methods_supported": ["header"],
        "scopes_supported": list(SCOPES),
    }
    response = HttpResponse(orjson.dumps(said), content_type="application/json")
    response["Cache-Control"] = "public, max-age=3600"
    response["Access-Control-Allow-Origin"] = "*"
    return response
