"""Sessions: begin, list, read, change, beat, end, delete."""

from datetime import timedelta
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib import clock
from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row_id
from config.lib.errors import NotFound
from config.lib.ids import read_id
from config.lib.schema import Input, Moment, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Items,
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
from contacts.schemas import RevisionOut
from contacts.selectors import find_agent, history_of
from sessions import selectors
from sessions.models import Project, Session
from sessions.models.session import Mode, Outcome, State
from sessions.schemas import (
    AgentCount,
    Heartbeat,
    SessionEnd,
    SessionIn,
    SessionOut,
    SessionPatch,
    SessionRow,
    SessionSummary,
)
from sessions.services import sessions

router = Router(tags=["Sessions"])
ORDER = ["-started_at", "-id"]
MAX_RECENT = 100
MAX_DAYS = 366
MAX_RECENT_HOURS = 24 * MAX_DAYS


class SessionQuery(Input):
    """How a list of sessions is narrowed."""

    agent: Text | None = Field(None, max_length=120, description="Its name or id")
    project: Text | None = Field(None, max_length=300, description="Its title or id")
    parent: Text | None = Field(None, max_length=36, description="Spawned by this session")
    state: State | None = None
    role: Text | None = Field(None, max_length=60)
    mode: Mode | None = None
    outcome: Outcome | None = None
    conversation_id: Text | None = Field(None, max_length=120)
    claude_session_id: Text | None = Field(None, max_length=120)
    since: Moment | None = Field(None, description="Begun then or later")
    until: Moment | None = Field(None, description="Begun before")

    def wanted(self) -> selectors.SessionFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        return {
            "agent_id": None if self.agent is None else find_agent(self.agent).id,
            "project_id": None if self.project is None else selectors.find_project(self.project),
            "parent_id": find_row_id(Session, self.parent),
            "current_state": self.state,
            "role": self.role,
            "mode": self.mode,
            "outcome": self.outcome,
            "conversation_id": self.conversation_id,
            "claude_session_id": self.claude_session_id,
            "since": self.since,
            "until": self.until,
        }


@router.get(
    "/sessions",
    auth=KeyAuth("sessions:read"),
    response=Page[SessionRow],
    operation_id="list_sessions",
    summary="List sessions",
)
def list_sessions(
    request: HttpRequest, paging: PageQuery, filters: Annotated[SessionQuery, Query()]
) -> HttpResponse:
    """Newest first. 404 where a filter names an agent, project or session that is not there."""
    rows = selectors.list_sessions(filters.wanted())
    return reply_page(SessionRow, page(rows, order=ORDER, **paging.model_dump()))


@router.post(
    "/sessions",
    auth=KeyAuth("sessions:write"),
    response={201: SessionOut, 200: SessionOut},
    operation_id="create_session",
    summary="Begin a session",
)
def create_session(request: HttpRequest, payload: SessionIn) -> HttpResponse:
    """A session of the key's agent. 200 with the row as it is where its external_id was there."""
    fields = _linked(payload.sent())
    project = fields.pop("project", None)
    if project is not None:
        project = _project(project)
    row, new = sessions.create_session(
        actor=actor_of(request), agent=principal_of(request).key.agent, project=project, **fields
    )
    return reply_created(SessionOut, row, new=new, location=f"/sessions/{row.id}")


def _project(text: str) -> Any:
    """A full id is one; anything else is a title, made where there is none of it."""
    wanted = read_id(text)
    return text if wanted is None or isinstance(wanted, str) else wanted


def _linked(fields: dict[str, Any]) -> dict[str, Any]:
    """References as ids of this workspace."""
    if fields.get("parent_id") is not None:
        fields["parent_id"] = find_id(Session, fields["parent_id"], what="parent session")
    if fields.get("project_id") is not None:
        fields["project_id"] = find_id(Project, fields["project_id"], check=False)
    return fields


@router.get(
    "/sessions/active",
    auth=KeyAuth("sessions:read"),
    response=Page[SessionRow],
    operation_id="list_active_sessions",
    summary="List sessions that have not ended",
)
def list_active_sessions(
    request: HttpRequest,
    paging: PageQuery,
    agent: Annotated[Text | None, Query(max_length=120, description="Its name or id")] = None,
) -> HttpResponse:
    """Last sign of life first."""
    order = ["-last_seen_at", "-id"]
    rows = selectors.list_active_sessions(None if agent is None else find_agent(agent).id)
    found = page(rows, order=order, **paging.model_dump())
    return reply_page(SessionRow, found)


@router.get(
    "/sessions/recent",
    auth=KeyAuth("sessions:read"),
    response=Page[SessionSummary],
    operation_id="list_recent_sessions",
    summary="Read what happened lately",
)
def list_recent_sessions(
    request: HttpRequest,
    filters: Annotated[SessionQuery, Query()],
    hours: Annotated[int, Query(ge=1, le=MAX_RECENT_HOURS, description="How far back")] = 72,
    limit: Annotated[int, Query(ge=1, le=MAX_RECENT)] = 10,
) -> HttpResponse:
    """The newest sessions with their summaries: what an agent reads before it takes up the work."""
    wanted = filters.wanted()
    start = clock.now() - timedelta(hours=hours)
    wanted["since"] = max(start, wanted["since"] or start)
    rows = selectors.list_recent_sessions(wanted)
    found, _ = page(rows, order=ORDER, cursor=None, limit=limit)
    return reply_page(SessionSummary, (found, None))


@router.get(
    "/sessions/counts",
    auth=KeyAuth("sessions:read"),
    response=Items[AgentCount],
    operation_id="count_sessions",
    summary="Count sessions by agent",
)
def count_sessions(
    request: HttpRequest,
    days: Annotated[int, Query(ge=1, le=MAX_DAYS, description="How far back")] = 30,
) -> HttpResponse:
    """Agents with sessions begun lately, each with how many are in which state."""
    found = selectors.count_sessions_by_agent(since=clock.now() - timedelta(days=days))
    return reply(Items[AgentCount], {"items": found})


@router.get(
    "/agents/{agent}/last-session",
    auth=KeyAuth("sessions:read"),
    response=SessionOut,
    operation_id="get_last_session",
    summary="Read an agent's last session",
)
def get_last_session(request: HttpRequest, agent: Id) -> HttpResponse:
    """The one it began last; `agent` is its name or id, or `me`: whose key this is. 404 where it
    has none."""
    own = principal_of(request).key.agent_id
    row = selectors.last_session(own if agent == "me" else find_agent(agent).id)
    if row is None:
        raise NotFound("session of agent", agent)
    return reply(SessionOut, row)


@router.get(
    "/sessions/{session_id}",
    auth=KeyAuth("sessions:read"),
    response=SessionOut,
    operation_id="get_session",
    summary="Read a session",
)
def get_session(request: HttpRequest, session_id: Id) -> HttpResponse:
    """One session with its texts; what it holds is read by its own lists."""
    return reply(SessionOut, selectors.get_session(session_id))


@router.patch(
    "/sessions/{session_id}",
    auth=KeyAuth("sessions:write"),
    response=SessionOut,
    operation_id="update_session",
    summary="Change a session",
    openapi_extra=IF_MATCH,
)
def patch_session(request: HttpRequest, session_id: Id, payload: SessionPatch) -> HttpResponse:
    """Fields that are not sent stay. Telemetry (state, tokens, cost, ...) raises no version."""
    expected = if_match(request)
    changes = _linked(payload.sent())
    row = sessions.update_session(
        actor=actor_of(request),
        session_id=find_id(Session, session_id, check=False),
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=expected,
    )
    return reply(SessionOut, row)


@router.delete(
    "/sessions/{session_id}",
    auth=KeyAuth("sessions:write"),
    response={204: None},
    operation_id="delete_session",
    summary="Delete a session",
    openapi_extra=IF_MATCH,
)
def delete_session(request: HttpRequest, session_id: Id, reason: Reason = None) -> HttpResponse:
    """With its events, threads and messages. Memories made in it stay, without the link."""
    sessions.delete_session(
        actor=actor_of(request),
        session_id=find_id(Session, session_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.post(
    "/sessions/{session_id}/heartbeat",
    auth=KeyAuth("sessions:write"),
    response=SessionOut,
    operation_id="beat_session",
    summary="Give a sign of life",
)
def beat_session(
    request: HttpRequest, session_id: Id, payload: Heartbeat | None = None
) -> HttpResponse:
    """With what the agent says of itself. Raises no version.

    Where the context has filled past a threshold (50, 70, 90 percent, or the workspace's own),
    the conversation is notified, once for each. A session ended as orphaned is open again; 409
    where it has ended otherwise.
    """
    said = payload.sent() if payload else {}
    row = sessions.beat(
        actor=actor_of(request), session_id=find_id(Session, session_id, check=False), **said
    )
    return reply(SessionOut, row)


@router.post(
    "/sessions/{session_id}/end",
    auth=KeyAuth("sessions:write"),
    response=SessionOut,
    operation_id="end_session",
    summary="End a session",
)
def end_session(
    request: HttpRequest, session_id: Id, payload: SessionEnd | None = None
) -> HttpResponse:
    """Ending twice changes nothing: the first end stays."""
    said = (payload or SessionEnd.model_validate({})).model_dump()
    row = sessions.end_session(
        actor=actor_of(request), session_id=find_id(Session, session_id, check=False), **said
    )
    return reply(SessionOut, row)


@router.post(
    "/sessions/{session_id}/resume",
    auth=KeyAuth("sessions:write"),
    response=SessionOut,
    operation_id="resume_session",
    summary="Go on with a session",
)
def resume_session(request: HttpRequest, session_id: Id) -> HttpResponse:
    """Opens an ended session again, as when an agent resumes one. One that runs stays as it is."""
    row = sessions.resume_session(
        actor=actor_of(request), session_id=find_id(Session, session_id, check=False)
    )
    return reply(SessionOut, row)


@router.get(
    "/sessions/{session_id}/history",
    auth=KeyAuth("sessions:read"),
    response=Page[RevisionOut],
    operation_id="list_session_history",
    summary="Read who changed a session",
)
def list_session_history(request: HttpRequest, session_id: Id, paging: PageQuery) -> HttpResponse:
    """Newest first; by its full id also after the session was deleted."""
    rows = history_of(Session, session_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
