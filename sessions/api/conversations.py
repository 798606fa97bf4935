"""Conversations: list, read one, its transcript, its notifications."""

from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.schema import Input, Moment, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import Page, PageQuery, reply, reply_page
from contacts.selectors import find_agent
from sessions import selectors_conversations as selectors
from sessions.schemas_conversations import ConversationOut, ConversationRow
from sessions.schemas_notifications import NotificationOut
from sessions.schemas_threads import MessageOut
from sessions.selectors import SessionFilter, find_project
from sessions.selectors_attention import list_pending_notifications

router = Router(tags=["Conversations"])
ConversationId = Annotated[
    Text, Path(max_length=120, description="The conversation_id its sessions share")
]


class ConversationQuery(Input):
    """How a list of conversations is narrowed: to those that have a session that fits."""

    agent: Text | None = Field(None, max_length=120, description="Its name or id")
    project: Text | None = Field(None, max_length=300, description="Its title or id")
    role: Text | None = Field(None, max_length=60)
    since: Moment | None = Field(None, description="With a session begun then or later")
    active: bool | None = Field(None, description="With a session that runs; false: with none")

    def wanted(self) -> SessionFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        return {
            "agent_id": None if self.agent is None else find_agent(self.agent).id,
            "project_id": None if self.project is None else find_project(self.project),
            "role": self.role,
            "since": self.since,
        }


@router.get(
    "/conversations",
    auth=KeyAuth("sessions:read"),
    response=Page[ConversationRow],
    operation_id="list_conversations",
    summary="List conversations",
)
def list_conversations(
    request: HttpRequest, paging: PageQuery, filters: Annotated[ConversationQuery, Query()]
) -> HttpResponse:
    """By the start of their latest session (of those that fit the filters), newest first."""
    heads = selectors.list_conversations(filters.wanted(), active=filters.active)
    found, next_cursor = page(heads, order=selectors.ORDER, **paging.model_dump())
    return reply_page(ConversationRow, (selectors.with_totals(found), next_cursor))


@router.get(
    "/conversations/{conversation_id}",
    auth=KeyAuth("sessions:read"),
    response=ConversationOut,
    operation_id="get_conversation",
    summary="Read a conversation",
)
def get_conversation(request: HttpRequest, conversation_id: ConversationId) -> HttpResponse:
    """Its totals, sessions and handoffs, and how many notifications it has not acknowledged."""
    return reply(ConversationOut, selectors.get_conversation(conversation_id))


@router.get(
    "/conversations/{conversation_id}/transcript",
    auth=KeyAuth("sessions:read"),
    response=Page[MessageOut],
    operation_id="list_conversation_messages",
    summary="Read a conversation's transcript",
)
def list_conversation_messages(
    request: HttpRequest, conversation_id: ConversationId, paging: PageQuery
) -> HttpResponse:
    """The messages of all its sessions: session after session, and in time within each."""
    selectors.check_conversation(conversation_id)
    return reply_page(MessageOut, selectors.page_transcript(conversation_id, **paging.model_dump()))


@router.get(
    "/conversations/{conversation_id}/notifications",
    auth=KeyAuth("attention:read"),
    response=Page[NotificationOut],
    operation_id="list_conversation_notifications",
    summary="Read what a conversation has not acknowledged",
)
def list_conversation_notifications(
    request: HttpRequest,
    conversation_id: ConversationId,
    paging: PageQuery,
    state: Annotated[
        Literal["pending", "unnotified", "notified"],
        Query(description="unnotified: no session was handed it; notified: one was"),
    ] = "pending",
) -> HttpResponse:
    """Oldest first. Reading delivers nothing: POST /sessions/{id}/notifications/deliver does."""
    selectors.check_told(conversation_id)
    rows = list_pending_notifications(conversation_id, state=state)
    return reply_page(NotificationOut, page(rows, order=["id"], **paging.model_dump()))
