"""Handoffs: leave work, accept it, complete, reject or fail it."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row, find_row_id
from config.lib.schema import Input, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import Id, Page, PageQuery, actor_of, reply, reply_created, reply_page
from contacts.schemas import RevisionOut
from contacts.selectors import find_agent, history_of
from sessions.models import Handoff, Session
from sessions.models.attention import HandoffStatus
from sessions.schemas_handoffs import AcceptIn, HandoffIn, HandoffOut, HandoffRow, RefusalIn
from sessions.selectors_attention import HandoffFilter
from sessions.selectors_attention import list_handoffs as handoffs_where
from sessions.services import handoffs

router = Router(tags=["Handoffs"])


class HandoffQuery(Input):
    """How a list of handoffs is narrowed."""

    status: HandoffStatus | None = None
    conversation_id: Text | None = Field(None, max_length=120)
    agent: Text | None = Field(None, max_length=120, description="For this agent: its name or id")
    role: Text | None = Field(None, max_length=60)
    from_session: Text | None = Field(None, max_length=36)
    to_session: Text | None = Field(None, max_length=36)

    def wanted(self) -> HandoffFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        return {
            "status": self.status,
            "conversation_id": self.conversation_id,
            "to_agent_id": None if self.agent is None else find_agent(self.agent).id,
            "role": self.role,
            "from_session_id": find_row_id(Session, self.from_session),
            "to_session_id": find_row_id(Session, self.to_session),
        }


@router.get(
    "/handoffs",
    auth=KeyAuth("attention:read"),
    response=Page[HandoffRow],
    operation_id="list_handoffs",
    summary="List handoffs",
)
def list_handoffs(
    request: HttpRequest, paging: PageQuery, filters: Annotated[HandoffQuery, Query()]
) -> HttpResponse:
    """Newest first, without their contents."""
    order = ["-created_at", "-id"]
    found = page(handoffs_where(filters.wanted()), order=order, **paging.model_dump())
    return reply_page(HandoffRow, found)


@router.post(
    "/handoffs",
    auth=KeyAuth("attention:write"),
    response={201: HandoffOut, 200: HandoffOut},
    operation_id="create_handoff",
    summary="Leave work to another session",
)
def create_handoff(request: HttpRequest, payload: HandoffIn) -> HttpResponse:
    """To an agent, a role, or the next session of one's own role; the conversation is notified.

    200 with the row as it is where its external_id was there already.
    """
    fields = payload.sent()
    to_agent = fields.pop("to_agent", None)
    row, new = handoffs.create_handoff(
        actor=actor_of(request),
        from_session_id=find_id(Session, fields.pop("from_session_id"), check=False),
        to_agent_id=None if to_agent is None else find_agent(to_agent).id,
        **fields,
    )
    return reply_created(HandoffOut, row, new=new, location=f"/handoffs/{row.id}")


@router.get(
    "/handoffs/{handoff_id}",
    auth=KeyAuth("attention:read"),
    response=HandoffOut,
    operation_id="get_handoff",
    summary="Read a handoff",
)
def get_handoff(request: HttpRequest, handoff_id: Id) -> HttpResponse:
    """With what the next one must know."""
    return reply(HandoffOut, find_row(Handoff.objects.all(), handoff_id))


@router.post(
    "/handoffs/{handoff_id}/accept",
    auth=KeyAuth("attention:write"),
    response=HandoffOut,
    operation_id="accept_handoff",
    summary="Take work over",
)
def accept_handoff(request: HttpRequest, handoff_id: Id, payload: AcceptIn) -> HttpResponse:
    """The session joins the handoff's conversation. 409 where the handoff is not pending or is
    for another agent or role, or the session has ended."""
    row = handoffs.accept_handoff(
        actor=actor_of(request),
        handoff_id=find_id(Handoff, handoff_id),
        session_id=find_id(Session, payload.session_id, check=False),
    )
    return reply(HandoffOut, row)


@router.post(
    "/handoffs/{handoff_id}/complete",
    auth=KeyAuth("attention:write"),
    response=HandoffOut,
    operation_id="complete_handoff",
    summary="Say that what was taken over is done",
)
def complete_handoff(request: HttpRequest, handoff_id: Id) -> HttpResponse:
    """409 where it was not accepted, or is settled."""
    row = handoffs.complete_handoff(
        actor=actor_of(request), handoff_id=find_id(Handoff, handoff_id, check=False)
    )
    return reply(HandoffOut, row)


@router.post(
    "/handoffs/{handoff_id}/reject",
    auth=KeyAuth("attention:write"),
    response=HandoffOut,
    operation_id="reject_handoff",
    summary="Refuse work",
)
def reject_handoff(
    request: HttpRequest, handoff_id: Id, payload: RefusalIn | None = None
) -> HttpResponse:
    """409 where it is not pending."""
    row = handoffs.reject_handoff(
        actor=actor_of(request),
        handoff_id=find_id(Handoff, handoff_id, check=False),
        error=payload.error if payload else "",
    )
    return reply(HandoffOut, row)


@router.post(
    "/handoffs/{handoff_id}/fail",
    auth=KeyAuth("attention:write"),
    response=HandoffOut,
    operation_id="fail_handoff",
    summary="Say that a handoff came to nothing",
)
def fail_handoff(
    request: HttpRequest, handoff_id: Id, payload: RefusalIn | None = None
) -> HttpResponse:
    """409 where it is settled already."""
    row = handoffs.fail_handoff(
        actor=actor_of(request),
        handoff_id=find_id(Handoff, handoff_id, check=False),
        error=payload.error if payload else "",
    )
    return reply(HandoffOut, row)


@router.get(
    "/handoffs/{handoff_id}/history",
    auth=KeyAuth("attention:read"),
    response=Page[RevisionOut],
    operation_id="list_handoff_history",
    summary="Read who changed a handoff",
)
def list_handoff_history(request: HttpRequest, handoff_id: Id, paging: PageQuery) -> HttpResponse:
    """Newest first."""
    rows = history_of(Handoff, handoff_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
