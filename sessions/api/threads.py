"""Threads: create, list, get, rename or close, delete."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row, find_row_id
from config.lib.errors import Invalid
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
    reply,
    reply_created,
    reply_page,
)
from contacts.schemas import RevisionOut
from contacts.selectors import history_of
from sessions import selectors
from sessions.models import Session, Thread
from sessions.schemas_threads import ThreadIn, ThreadOut, ThreadPatch
from sessions.services import threads

router = Router(tags=["Threads"])


class ThreadQuery(Input):
    """How a list of threads is narrowed."""

    session: Text | None = Field(None, max_length=36)
    parent: Text | None = Field(None, max_length=36, description="Its subagents' threads")
    external_id: Text | None = Field(None, max_length=300, description="Your own name for it")
    source: Text | None = Field(
        None, max_length=60, description="Of the external_id, where that was sent with one"
    )

    def wanted(self) -> selectors.ThreadFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        if self.source is not None and self.external_id is None:
            raise Invalid({"source": "says whose external_id is meant; send that too"})
        named = self.external_id is not None
        return {
            "session_id": find_row_id(Session, self.session),
            "parent_id": find_row_id(Thread, self.parent, what="parent thread"),
            "external_id": self.external_id,
            "source": self.source or "api" if named else None,
        }


@router.get(
    "/threads",
    auth=KeyAuth("sessions:read"),
    response=Page[ThreadOut],
    operation_id="list_threads",
    summary="List threads of all sessions",
)
def list_threads(
    request: HttpRequest, paging: PageQuery, filters: Annotated[ThreadQuery, Query()]
) -> HttpResponse:
    """Newest first. 404 where a filter names a session or thread that is not there."""
    order = ["-created_at", "-id"]
    rows = selectors.list_threads(filters.wanted())
    return reply_page(ThreadOut, page(rows, order=order, **paging.model_dump()))


@router.get(
    "/sessions/{session_id}/threads",
    auth=KeyAuth("sessions:read"),
    response=Page[ThreadOut],
    operation_id="list_session_threads",
    summary="List a session's threads",
)
def list_session_threads(request: HttpRequest, session_id: Id, paging: PageQuery) -> HttpResponse:
    """Oldest first: the main one, then its subagents'."""
    rows = selectors.list_session_threads(find_id(Session, session_id))
    order = ["created_at", "id"]
    return reply_page(ThreadOut, page(rows, order=order, **paging.model_dump()))


@router.post(
    "/sessions/{session_id}/threads",
    auth=KeyAuth("sessions:write"),
    response={201: ThreadOut, 200: ThreadOut},
    operation_id="create_thread",
    summary="Create a thread",
)
def create_thread(request: HttpRequest, session_id: Id, payload: ThreadIn) -> HttpResponse:
    """Empty. 200 with the row as it is where the session has one of this external_id; 409
    `external_id_taken` where another session has."""
    fields = payload.sent()
    row, new = threads.save_thread(
        actor=actor_of(request),
        session_id=find_id(Session, session_id, check=False),
        parent_id=find_row_id(Thread, fields.pop("parent_id", None), what="parent thread"),
        **fields,
    )
    return reply_created(ThreadOut, row, new=new, location=f"/threads/{row.id}")


@router.get(
    "/threads/{thread_id}",
    auth=KeyAuth("sessions:read"),
    response=ThreadOut,
    operation_id="get_thread",
    summary="Read a thread",
)
def get_thread(request: HttpRequest, thread_id: Id) -> HttpResponse:
    """Without its messages, which have a list of their own."""
    return reply(ThreadOut, find_row(Thread.objects.all(), thread_id))


@router.patch(
    "/threads/{thread_id}",
    auth=KeyAuth("sessions:write"),
    response=ThreadOut,
    operation_id="update_thread",
    summary="Rename, close or reopen a thread",
    openapi_extra=IF_MATCH,
)
def patch_thread(request: HttpRequest, thread_id: Id, payload: ThreadPatch) -> HttpResponse:
    """Fields that are not sent stay as they are."""
    row = threads.update_thread(
        actor=actor_of(request),
        thread_id=find_id(Thread, thread_id, check=False),
        changes=payload.sent(),
        expected_version=if_match(request),
    )
    return reply(ThreadOut, row)


@router.delete(
    "/threads/{thread_id}",
    auth=KeyAuth("sessions:write"),
    response={204: None},
    operation_id="delete_thread",
    summary="Delete a thread",
    openapi_extra=IF_MATCH,
)
def delete_thread(request: HttpRequest, thread_id: Id, reason: Reason = None) -> HttpResponse:
    """With all its messages."""
    threads.delete_thread(
        actor=actor_of(request),
        thread_id=find_id(Thread, thread_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.get(
    "/threads/{thread_id}/history",
    auth=KeyAuth("sessions:read"),
    response=Page[RevisionOut],
    operation_id="list_thread_history",
    summary="Read who changed a thread",
)
def list_thread_history(request: HttpRequest, thread_id: Id, paging: PageQuery) -> HttpResponse:
    """Newest first; by its full id also after the thread was deleted."""
    rows = history_of(Thread, thread_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
