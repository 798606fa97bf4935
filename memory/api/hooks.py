"""Hooks: agents send what happens, raw; and what came, for people to look at.

The docs page on hooks (docs/agents/hooks.md) is the contract of these operations.
"""

import uuid
from datetime import datetime
from typing import Annotated, Any

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router
from pydantic import Field, ValidationError

from config.lib.body import UnreadableBody
from config.lib.cursor import page
from config.lib.db.lookup import find_row_id
from config.lib.schema import Input, Moment, Text
from config.lib.text import text_problem
from contacts.api.auth import KeyAuth
from contacts.api.http import JSON, Id, Page, PageQuery, principal_of, reply, reply_page, whole_body
from memory import selectors_hooks as selectors
from memory.hooks.forms import MOMENT
from memory.models.hooks import PayloadState
from memory.schemas_hooks import HookPayloadOut, HookPayloadRow
from memory.services import hook_context, hooks
from memory.services.hooks import Kept, Sent
from sessions.models import Session

router = Router(tags=["Hooks"])

HOST_LIMIT, DELIVERY_LIMIT = 300, 200
Agent = Annotated[
    Text, Path(description="claude-code, codex, cursor, gemini, opencode, amp or generic")
]
# Any text: what is wrong with it disturbs no agent.
Event = Annotated[str, Path(description="The event's name, where the payload has none")]


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "in": "header",
        "name": name,
        "required": False,
        "schema": {"type": "string"},
        "description": description,
    }


_EXTRA: dict[str, Any] = {
    "parameters": [
        _header(
            "X-Remembrancer-Delivery", "A name of this payload, the same when it is sent again."
        ),
        _header("X-Remembrancer-Time", "RFC 3339: when the hook fired, by the sender's clock."),
        _header("X-Remembrancer-Sent", "RFC 3339: now, by the same clock."),
        _header("X-Remembrancer-Host", "The machine's name."),
        _header("Prefer", "`return=minimal`: nobody waits for context; the answer is `{}`."),
    ],
    "requestBody": {
        "required": True,
        "description": "The agent's payload as the agent gave it.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "responses": {
        200: {
            "description": "Kept. An empty object, or the agent's own form of context to add.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
}


@router.post(
    "/hooks/{agent}",
    auth=KeyAuth("hooks:write", idempotent=False),
    operation_id="send_hook",
    summary="Report what an agent's hook was given",
    openapi_extra=_EXTRA,
)
def send_hook(request: HttpRequest, agent: Agent) -> HttpResponse:
    """Keeps the payload and answers; what it says is in the session's rows a moment later. The
    same payload sent again changes nothing. 200 for whatever can be kept, 404 for an agent that
    nobody knows. At a session's start and a prompt the answer may carry context, in the agent's
    own form."""
    return _take(request, agent, "")


@router.post(
    "/hooks/{agent}/{event}",
    auth=KeyAuth("hooks:write", idempotent=False),
    operation_id="send_hook_event",
    summary="Report what an agent's hook was given, naming the event",
    openapi_extra=_EXTRA,
)
def send_hook_event(request: HttpRequest, agent: Agent, event: Event) -> HttpResponse:
    """As without `event`, which counts where the payload does not name its event itself."""
    return _take(request, agent, event)


def _take(request: HttpRequest, agent: str, event: str) -> HttpResponse:
    dialect = hooks.find_dialect(agent)
    body = whole_body(request)
    if not body.strip():
        raise UnreadableBody("The body is empty: there is nothing to keep.")
    principal = principal_of(request)
    minimal = "return=minimal" in request.headers.get("Prefer", "").lower()
    kept = hooks.keep_payload(
        key=principal.key, dialect=dialect, event=event, body=body, sent=_sent(request)
    )
    wanted = hook_context.wants_context(kept)
    if not wanted or minimal:
        if kept.is_new:
            return _MappedAfterwards(principal.workspace_id, kept)
        if wanted:
            hook_context.forget_answer(kept=kept)
        return _answer({})
    if kept.is_new:
        hooks.map_now(kept)
    giving = hook_context.Giving(principal.workspace_id, principal.key, principal.actor, kept)
    giving.look()
    # On disk, whatever comes now: a query's vector is made outside any transaction.
    request.edge.detach()  # type: ignore[attr-defined]
    return _answer(_shaped(kept, giving.give()))


class _MappedAfterwards(HttpResponse):
    """`{}`; when it has been sent, what the payload's session has waiting is mapped. The web server
    closes a response then, and not before its transaction was committed."""

    def __init__(self, workspace_id: uuid.UUID, kept: Kept) -> None:
        super().__init__(orjson.dumps({}), content_type=JSON)
        self._workspace_id, self._kept = workspace_id, kept

    def close(self) -> None:
        try:
            hooks.map_after(self._workspace_id, self._kept)
        finally:
            super().close()


def _shaped(kept: Kept, text: str) -> Any:
    return kept.dialect.answer(kept.event, text) if text else {}


def _answer(value: Any) -> HttpResponse:
    return HttpResponse(orjson.dumps(value), content_type=JSON)


def _sent(request: HttpRequest) -> Sent:
    """What the headers say; one that cannot be read says nothing, for no hook fails by it."""
    return Sent(
        delivery=_text(request, "X-Remembrancer-Delivery", DELIVERY_LIMIT),
        host=_text(request, "X-Remembrancer-Host", HOST_LIMIT),
        fired_at=_moment(request, "X-Remembrancer-Time"),
        sent_at=_moment(request, "X-Remembrancer-Sent"),
    )


def _text(request: HttpRequest, name: str, limit: int) -> str:
    text = request.headers.get(name, "")[:limit]
    return "" if text_problem(text) else text


def _moment(request: HttpRequest, name: str) -> datetime | None:
    try:
        return MOMENT.validate_python(request.headers.get(name, ""))
    except ValidationError:
        return None


class PayloadQuery(Input):
    """How payloads are narrowed."""

    state: PayloadState | None = None
    left: bool | None = Field(None, description="Only what could not be mapped, or all else")
    agent: Text | None = Field(None, max_length=300, description="Whose key, by name or id")
    session: Text | None = Field(None, max_length=36, description="The session it belongs to")
    session_name: Text | None = Field(None, max_length=300, description="The agent's own id")
    since: Moment | None = Field(None, description="Received then or later")
    until: Moment | None = Field(None, description="Received earlier than that")


@router.get(
    "/hook-payloads",
    auth=KeyAuth("sessions:read"),
    response=Page[HookPayloadRow],
    operation_id="list_hook_payloads",
    summary="List what hooks have sent",
)
def list_hook_payloads(
    request: HttpRequest, paging: PageQuery, filters: Annotated[PayloadQuery, Query()]
) -> HttpResponse:
    """The newest first; `left=true` for what could not be mapped. Mapped ones are deleted after
    REMEMBRANCER_HOOK_DAYS."""
    wanted = filters.model_dump()
    wanted["session_id"] = find_row_id(Session, wanted.pop("session"))
    rows = selectors.list_payloads(**wanted)
    found = page(rows, order=selectors.LIST_ORDER, **paging.model_dump())
    return reply_page(HookPayloadRow, found)


@router.get(
    "/hook-payloads/{payload_id}",
    auth=KeyAuth("sessions:read"),
    response=HookPayloadOut,
    operation_id="get_hook_payload",
    summary="Read what a hook has sent",
)
def get_hook_payload(request: HttpRequest, payload_id: Id) -> HttpResponse:
    """One payload as it came, without its secrets."""
    return reply(HookPayloadOut, selectors.get_payload(payload_id))
