"""Memories: save one or many, list, read, change, delete."""

import uuid
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row_id
from config.lib.schema import Input, Moment, Text
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
    reply_page,
)
from contacts.models import Contact
from contacts.schemas import RevisionOut
from contacts.selectors import find_agent, history_of
from contacts.selectors_contacts import get_contact
from contacts.services.contacts import live
from memory import selectors
from memory.models import Memory
from memory.models.memory import Kind, MemoryState, Trust
from memory.schemas import (
    EvidenceIn,
    MemoryBatchIn,
    MemoryBatchOut,
    MemoryIn,
    MemoryOut,
    MemoryPatch,
    MemoryRow,
)
from memory.services import memories
from memory.services.about import About
from memory.services.memories import NewEvidence, NewMemory
from sessions.models import Message, Mission, Project, Session, SessionEvent, Task
from sessions.selectors import columns, find_project

router = Router(tags=["Memories"])
ORDER = ["-recorded_at", "-id"]
# Not columns: what a new memory is connected with.
_CONNECTIONS = ("text", "parents", "causes", "evidence", "about")


class MemoryQuery(Input):
    """How a list of memories is narrowed: by any of the kinds and states given, and every tag."""

    kind: list[Kind] = Field(default_factory=list, max_length=20)
    state: list[MemoryState | Literal["all"]] = Field(
        default_factory=list, max_length=20, description="Without: active; `all` for every state"
    )
    trust: Trust | None = None
    agent: Text | None = Field(None, max_length=120, description="Its name or id")
    session: Text | None = Field(None, max_length=36)
    project: Text | None = Field(None, max_length=300, description="Its title or id")
    tag: list[Text] = Field(default_factory=list, max_length=20)
    about_contact: Text | None = Field(None, max_length=36, description="The id of a contact")
    about_project: Text | None = Field(None, max_length=36, description="The id of a project")
    about_task: Text | None = Field(None, max_length=36, description="The id of a task")
    pinned: bool | None = None
    since: Moment | None = Field(None, description="Recorded then or later")
    until: Moment | None = Field(None, description="Recorded before")

    def wanted(self) -> selectors.MemoryFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        states: list[str] | None = [str(state) for state in self.state] or ["active"]
        return {
            "kinds": self.kind or None,
            "states": None if "all" in self.state else states,
            "trust": self.trust,
            "agent_id": None if self.agent is None else find_agent(self.agent).id,
            "session_id": find_row_id(Session, self.session),
            "project_id": None if self.project is None else find_project(self.project),
            "about_contact_id": self._about_contact(),
            "about_project_id": find_row_id(Project, self.about_project),
            "about_task_id": find_row_id(Task, self.about_task),
            "tags": self.tag or None,
            "pinned": self.pinned,
            "since": self.since,
            "until": self.until,
        }

    def _about_contact(self) -> uuid.UUID | None:
        """What is known of a contact that was merged is known of the one it is now."""
        return None if self.about_contact is None else live(get_contact(self.about_contact)).pk


@router.get(
    "/memories",
    auth=KeyAuth("memories:read"),
    response=Page[MemoryRow],
    operation_id="list_memories",
    summary="List memories",
)
def list_memories(
    request: HttpRequest, paging: PageQuery, filters: Annotated[MemoryQuery, Query()]
) -> HttpResponse:
    """Newest first, by when they were recorded; active ones unless `state` says otherwise."""
    rows = selectors.list_memories(filters.wanted())
    return reply_page(MemoryRow, page(rows, order=ORDER, **paging.model_dump()))


@router.post(
    "/memories",
    auth=KeyAuth("memories:write"),
    response={201: MemoryOut, 200: MemoryOut},
    operation_id="create_memory",
    summary="Save a memory",
)
def create_memory(request: HttpRequest, payload: MemoryIn) -> HttpResponse:
    """Of the key's agent. 200 with the row as it is where its external_id was there already, or
    where the same text was saved before by the same agent in the same project, kind and tags and
    nothing that is sent says more: `repeat_count` is one higher then."""
    row, new = memories.create_memory(actor=actor_of(request), new=_new_memory(payload))
    return _reply(row, status=201 if new else 200, location=f"/memories/{row.id}")


@router.post(
    "/memories/batch",
    auth=KeyAuth("memories:write"),
    response={201: MemoryBatchOut},
    operation_id="create_memories",
    summary="Save up to 500 memories",
)
def create_memory_batch(request: HttpRequest, payload: MemoryBatchIn) -> HttpResponse:
    """All or none, in the order sent. They cannot name each other as parents."""
    saved = memories.create_memories(
        actor=actor_of(request), new=[_new_memory(one) for one in payload.memories]
    )
    items = [{"id": row.id, "created": new} for row, new in saved]
    answer = {"items": items, "created": sum(new for _, new in saved)}
    return reply(MemoryBatchOut, answer, status=201)


def _new_memory(payload: MemoryIn) -> NewMemory:
    fields = _linked(payload.sent())
    for name in _CONNECTIONS:
        fields.pop(name, None)
    return NewMemory(
        text=payload.text,
        fields=fields,
        parents=_memory_ids(payload.parents),
        causes=_memory_ids(payload.causes),
        evidence=[_new_evidence(one) for one in payload.evidence],
        about=_about(payload),
    )


def _about(payload: MemoryIn | MemoryPatch) -> list[About]:
    return [
        About(
            contact_id=find_row_id(Contact, one.contact),
            project_id=find_row_id(Project, one.project),
            task_id=find_row_id(Task, one.task),
        )
        for one in payload.about or ()
    ]


def _memory_ids(texts: list[str]) -> list[uuid.UUID]:
    return [find_id(Memory, text, check=False) for text in texts]


def _new_evidence(one: EvidenceIn) -> NewEvidence:
    return NewEvidence(
        message_id=find_row_id(Message, one.message_id),
        event_id=find_row_id(SessionEvent, one.event_id, what="event"),
        task_id=find_row_id(Task, one.task_id),
        mission_id=find_row_id(Mission, one.mission_id),
        uri=one.uri,
        quote=one.quote,
    )


def _linked(fields: dict[str, Any]) -> dict[str, Any]:
    """References as ids of this workspace."""
    if fields.get("session_id") is not None:
        fields["session_id"] = find_id(Session, fields["session_id"], check=False)
    if fields.get("project_id") is not None:
        fields["project_id"] = find_id(Project, fields["project_id"], check=False)
    return fields


def _reply(row: Memory, *, status: int = 200, location: str | None = None) -> HttpResponse:
    """A memory with what hangs on it."""
    own = {name: getattr(row, name) for name in columns(Memory, MemoryOut)}
    shown = own | selectors.context_of(row)
    return reply(MemoryOut, shown, status=status, location=location, etag=row.etag)


@router.get(
    "/memories/{memory_id}",
    auth=KeyAuth("memories:read"),
    response=MemoryOut,
    operation_id="get_memory",
    summary="Read a memory",
)
def get_memory(request: HttpRequest, memory_id: Id) -> HttpResponse:
    """With its parents, causes, links, evidence, and whom and what it is about."""
    return _reply(selectors.get_memory(memory_id))


@router.patch(
    "/memories/{memory_id}",
    auth=KeyAuth("memories:write"),
    response=MemoryOut,
    operation_id="update_memory",
    summary="Change a memory",
    openapi_extra=IF_MATCH,
)
def patch_memory(request: HttpRequest, memory_id: Id, payload: MemoryPatch) -> HttpResponse:
    """Fields that are not sent stay. 403 where a key would raise trust or lift a quarantine."""
    expected = if_match(request)
    changes = _linked(payload.sent())
    if "about" in changes:
        changes["about"] = _about(payload)
    row = memories.update_memory(
        actor=actor_of(request),
        memory_id=find_id(Memory, memory_id, check=False),
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=expected,
    )
    return _reply(row)


@router.delete(
    "/memories/{memory_id}",
    auth=KeyAuth("memories:write"),
    response={204: None},
    operation_id="delete_memory",
    summary="Delete a memory",
    openapi_extra=IF_MATCH,
)
def delete_memory(request: HttpRequest, memory_id: Id, reason: Reason = None) -> HttpResponse:
    """With its links, evidence and place in the index. Its history keeps what it said."""
    memories.delete_memory(
        actor=actor_of(request),
        memory_id=find_id(Memory, memory_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.get(
    "/memories/{memory_id}/history",
    auth=KeyAuth("memories:read"),
    response=Page[RevisionOut],
    operation_id="list_memory_history",
    summary="Read who changed a memory",
)
def list_memory_history(request: HttpRequest, memory_id: Id, paging: PageQuery) -> HttpResponse:
    """Newest first; by its full id also after the memory was deleted."""
    rows = history_of(Memory, memory_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
