"""Pings: ask a person, wait for the answer, see, acknowledge, answer, resolve, delete."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row_id
from config.lib.schema import Input, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Page,
    PageQuery,
    Reason,
    actor_of,
    if_match,
    no_content,
    principal_of,
    reply,
    reply_created,
    reply_page,
)
from contacts.selectors import find_agent
from sessions import selectors_pings as selectors
from sessions.models import Ping, Session
from sessions.models.attention import PingState, Severity
from sessions.schemas_pings import DeliveryOut, PingAnswer, PingIn, PingOut
from sessions.services import pings
from sessions.services.waiting import MAX_WAIT_SECONDS, wait_until

router = Router(tags=["Pings"])
ORDER = ["-created_at", "-id"]


class PingQuery(Input):
    """How a list of pings is narrowed."""

    state: PingState | None = Field(
        None, description="open and acknowledged ones are neither resolved nor expired"
    )
    severity: Severity | None = None
    agent: Text | None = Field(None, max_length=120, description="Its name or id")
    session: Text | None = Field(None, max_length=36)
    conversation_id: Text | None = Field(None, max_length=120)

    def wanted(self) -> selectors.PingFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        return {
            "agent_id": None if self.agent is None else find_agent(self.agent).id,
            "session_id": find_row_id(Session, self.session),
            "conversation_id": self.conversation_id,
            "severity": self.severity,
            "state": self.state,
        }


@router.get(
    "/pings",
    auth=KeyAuth("attention:read"),
    response=Page[PingOut],
    operation_id="list_pings",
    summary="List pings",
)
def list_pings(
    request: HttpRequest, paging: PageQuery, filters: Annotated[PingQuery, Query()]
) -> HttpResponse:
    """Newest first. 404 where a filter names an agent or session that is not there."""
    rows = selectors.list_pings(filters.wanted())
    return reply_page(PingOut, page(rows, order=ORDER, **paging.model_dump()))


@router.post(
    "/pings",
    auth=KeyAuth("attention:write"),
    response={201: PingOut, 200: PingOut},
    operation_id="create_ping",
    summary="Ask a person",
)
def create_ping(request: HttpRequest, payload: PingIn) -> HttpResponse:
    """A ping of the key's agent. 200 with the row as it is where its external_id was there.

    Channels whose min_severity it reaches get it in the background.
    """
    fields = payload.model_dump()
    fields["session_id"] = find_row_id(Session, fields["session_id"])
    row, new = pings.create_ping(actor=actor_of(request), **fields)
    return reply_created(PingOut, row, new=new, location=f"/pings/{row.id}")


@router.get(
    "/pings/{ping_id}",
    # While it waits it holds neither a transaction nor a connection.
    auth=KeyAuth("attention:read", detached=True),
    response=PingOut,
    operation_id="get_ping",
    summary="Read a ping, or wait for its answer",
)
def get_ping(
    request: HttpRequest,
    ping_id: Id,
    wait: Annotated[
        float,
        Query(
            ge=0,
            le=MAX_WAIT_SECONDS,
            description="Seconds to wait until it is resolved or expired. A busy or stopping "
            "server answers earlier: look at `state`, and ask again.",
        ),
    ] = 0,
) -> HttpResponse:
    """As it is; with `wait`, once it is resolved or expired or the time is over."""
    row = wait_until(
        workspace_id=principal_of(request).workspace_id,
        # A shortened id is looked for among all of them, once.
        look=lambda before: selectors.get_ping(ping_id if before is None else str(before.id)),
        settled=lambda ping: ping.state in (PingState.RESOLVED, PingState.EXPIRED),
        seconds=wait,
    )
    return reply(PingOut, row)


@router.delete(
    "/pings/{ping_id}",
    auth=KeyAuth("attention:write"),
    response={204: None},
    operation_id="delete_ping",
    summary="Delete a ping",
    openapi_extra=IF_MATCH,
)
def delete_ping(request: HttpRequest, ping_id: Id, reason: Reason = None) -> HttpResponse:
    """With its delivery log."""
    pings.delete_ping(
        actor=actor_of(request),
        ping_id=find_id(Ping, ping_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.post(
    "/pings/{ping_id}/seen",
    auth=KeyAuth("attention:write"),
    response=PingOut,
    operation_id="mark_ping_seen",
    summary="Note that a ping was seen",
)
def mark_ping_seen(request: HttpRequest, ping_id: Id) -> HttpResponse:
    """The first time stays. Raises no version; a resolved one is left as it is."""
    return reply(PingOut, pings.mark_ping_seen(ping_id=find_id(Ping, ping_id, check=False)))


@router.post(
    "/pings/{ping_id}/acknowledge",
    auth=KeyAuth("attention:write"),
    response=PingOut,
    operation_id="acknowledge_ping",
    summary="Acknowledge a ping",
)
def acknowledge_ping(request: HttpRequest, ping_id: Id, reason: Reason = None) -> HttpResponse:
    """409 `already_acknowledged`, `ping_resolved` or `ping_expired`."""
    row = pings.acknowledge_ping(
        actor=actor_of(request),
        ping_id=find_id(Ping, ping_id, check=False),
        reason=reason or "",
    )
    return reply(PingOut, row)


@router.post(
    "/pings/{ping_id}/answer",
    auth=KeyAuth("attention:write"),
    response=PingOut,
    operation_id="answer_ping",
    summary="Answer a ping",
)
def answer_ping(
    request: HttpRequest, ping_id: Id, payload: PingAnswer, reason: Reason = None
) -> HttpResponse:
    """Resolves it and notifies its conversation. 409 `ping_resolved` or `ping_expired`."""
    row = pings.answer_ping(
        actor=actor_of(request),
        ping_id=find_id(Ping, ping_id, check=False),
        answer=payload.answer,
        reason=reason or "",
    )
    return reply(PingOut, row)


@router.post(
    "/pings/{ping_id}/resolve",
    auth=KeyAuth("attention:write"),
    response=PingOut,
    operation_id="resolve_ping",
    summary="Settle a ping without an answer",
)
def resolve_ping(request: HttpRequest, ping_id: Id, reason: Reason = None) -> HttpResponse:
    """409 `ping_resolved` or `ping_expired`."""
    row = pings.resolve_ping(
        actor=actor_of(request),
        ping_id=find_id(Ping, ping_id, check=False),
        reason=reason or "",
    )
    return reply(PingOut, row)


@router.get(
    "/pings/{ping_id}/deliveries",
    auth=KeyAuth("attention:read"),
    response=Page[DeliveryOut],
    operation_id="list_ping_deliveries",
    summary="Read where a ping went",
)
def list_ping_deliveries(request: HttpRequest, ping_id: Id, paging: PageQuery) -> HttpResponse:
    """One for each channel that it was for."""
    rows = selectors.list_deliveries(ping_id=find_id(Ping, ping_id))
    return reply_page(DeliveryOut, page(rows, order=ORDER, **paging.model_dump()))
