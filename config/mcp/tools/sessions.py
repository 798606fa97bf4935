"""session_search and session_log."""

from typing import Any, Literal

from pydantic import Field

from config.lib.errors import Invalid
from config.lib.schema import JsonObject, Moment, Number, Output, RowId, Text
from config.mcp.brief import fitted, picked
from config.mcp.rest import Call
from config.mcp.schemas import Arguments, Writing, paging, read
from config.mcp.tool import Tool, is_detailed
from memory.api.search import post_search
from memory.search.schemas import Hit, SearchQuery
from sessions.api import sessions as rest
from sessions.api.events import append_event
from sessions.api.handoffs import accept_handoff, create_handoff
from sessions.api.messages import append
from sessions.api.threads import create_thread, list_session_threads
from sessions.models.session import Mode, Outcome, State
from sessions.models.thread import MessageRole
from sessions.schemas import (
    ConversationId,
    Heartbeat,
    SessionEnd,
    SessionIn,
    SessionOut,
    SessionRow,
)
from sessions.schemas_events import EventIn, EventOut
from sessions.schemas_handoffs import AcceptIn, HandoffIn, HandoffOut
from sessions.schemas_threads import MessageIn, MessagesOut, ThreadIn

BRIEF = (
    "id", "name", "agent_name", "role", "project_title", "conversation_id", "current_state",
    "status_text", "outcome", "started_at", "ended_at", "message_count", "error_count",
    "prompt_start", "summary", "version",
)  # fmt: skip
EVENT = ("id", "session_id", "seq", "event_type", "text", "occurred_at")
HANDOFF = (
    "id", "status", "from_session_id", "to_session_id", "to_agent_id", "role", "reason", "content",
    "conversation_id",
)  # fmt: skip
# Beside this many hits of one session there are others.
LOOKED_AT = 60


# --- Search -----------------------------------------------------------------------------------


class SessionSearch(Arguments):
    query: Text | None = Field(
        None, min_length=1, max_length=2000, description="What was said or done in it, any words"
    )
    project: Text | None = Field(None, max_length=300, description="Its title or id")
    agent: Text | None = Field(None, max_length=120, description="Its name or id")
    conversation: Text | None = Field(None, max_length=120, description="A conversation_id")
    state: State | None = Field(None, description="Not with query, as the next two")
    outcome: Outcome | None = None
    claude_session_id: Text = ""
    since: Moment | None = None
    until: Moment | None = None
    limit: int = Field(5, ge=1, le=50)
    cursor: Text | None = Field(None, max_length=2000, description="next_cursor; not with query")


class SessionsFound(Output):
    sessions: list[SessionOut | SessionRow]
    hits: list[Hit] = Field(description="With a query: what was found in these sessions")
    next_cursor: str | None


def search(call: Call, given: SessionSearch) -> dict[str, Any]:
    detailed = is_detailed(given)
    if given.query is None:
        found = _listed(call, given)
        hits: list[Any] = []
    else:
        found, hits = _asked(call, given)
    more = {} if found["next_cursor"] is None else {"next_cursor": found["next_cursor"]}
    if detailed:
        return {"sessions": found["items"], "hits": hits, **more}
    names = ("kind", "id", "session_id", "snippet", "occurred_at")
    return fitted(
        lambda cut: {
            "sessions": [picked(row, BRIEF, min(cut, 500)) for row in found["items"]],
            **({"hits": [picked(hit, names, min(cut, 250)) for hit in hits]} if hits else {}),
            **more,
        }
    )


def _listed(call: Call, given: SessionSearch) -> Any:
    sent = sent_of(
        given, agent="agent", project="project", conversation_id="conversation", state="state",
        outcome="outcome", since="since", until="until",
    )  # fmt: skip
    if given.claude_session_id:
        sent["claude_session_id"] = given.claude_session_id
    filters = read(rest.SessionQuery, sent, {"conversation_id": "conversation"})
    return call.ask(rest.list_sessions, paging(given.limit, given.cursor), filters)


def _asked(call: Call, given: SessionSearch) -> tuple[Any, list[Any]]:
    """The sessions of the best hits, in their order, and for each its best hit."""
    if given.state or given.outcome or given.claude_session_id or given.cursor:
        wrong = "cannot be narrowed by state, outcome or claude_session_id, and has one page"
        raise Invalid({"query": wrong})
    names = ("project", "agent", "conversation")
    sent: dict[str, Any] = {name: getattr(given, name) for name in names}
    query = {
        **sent,
        "q": given.query,
        "kinds": ["summary", "message", "event"],
        "after": given.since,
        "before": given.until,
        "limit": LOOKED_AT,
    }
    renamed = {"q": "query", "after": "since", "before": "until"}
    best: dict[str, Any] = {}
    for hit in call.ask(post_search, read(SearchQuery, query, renamed))["hits"]:
        best.setdefault(hit["session_id"] or hit["id"], hit)
    chosen = dict(list(best.items())[: given.limit])
    may = call.may(rest.get_session)
    rows = [call.ask(rest.get_session, one) for one in chosen] if may else []
    return {"items": rows, "next_cursor": None}, list(chosen.values())


SEARCH = Tool(
    name="session_search",
    title="Find past sessions",
    description=(
        "Find sessions of any agent: by what was said or done in them (query), or list them by "
        "project, agent, conversation, state, outcome and time, newest first. Use it when the "
        "user refers to earlier work ('last week we...'), or to see who works on what now "
        "(state=active). memory_get with kind=session then reads its transcript."
    ),
    takes=SessionSearch,
    gives=SessionsFound,
    run=search,
    reads=True,
    repeatable=True,
    whole=False,
    names={"q": "query", "after": "since", "before": "until", "conversation_id": "conversation"},
)


# --- Log --------------------------------------------------------------------------------------


class SessionLog(Writing):
    operation: Literal["begin", "event", "message", "status", "end", "handoff", "accept_handoff"]
    session: RowId | None = Field(None, description="All but begin: as begin gave it")
    # begin
    name: Text | None = Field(None, max_length=300, description="begin: what it is about")
    project: Text | None = Field(
        None, max_length=300, description="begin: a title (made if new) or full id"
    )
    role: Text | None = Field(None, max_length=60, description="begin, handoff")
    mode: Mode | None = Field(None, description="begin")
    conversation: ConversationId | None = Field(
        None, max_length=120, description="begin: to go on with one"
    )
    external_id: Text | None = Field(
        None, max_length=300, description="begin, handoff: your own name; repeated, the row returns"
    )
    # event, message, handoff
    text: Text | None = Field(
        None,
        min_length=1,
        max_length=1_000_000,
        description="event, message: what happened or was said; handoff: what the next one must "
        "know; begin: the prompt; end: the summary",
    )
    event_type: Text | None = Field(
        None, max_length=60, description="event: such as decision, error, milestone, or your own"
    )
    data: JsonObject | None = Field(None, description="event")
    dedupe_key: Text | None = Field(None, max_length=200, description="event: repeated, kept once")
    message_role: MessageRole | None = Field(None, description="message: who said it")
    thread: RowId | None = Field(None, description="message: without, the session's main thread")
    # status
    state: State | None = Field(None, description="status: not ended; end it instead")
    status_text: Text | None = Field(None, max_length=500, description="status: what it does now")
    context_used_percent: Number | None = Field(None, ge=0, le=100, description="status")
    # end
    outcome: Outcome | None = Field(None, description="end")
    reason: Text | None = Field(None, max_length=60, description="end, handoff: why")
    # handoffs
    to_agent: Text | None = Field(None, max_length=120, description="handoff: its name or id")
    handoff: RowId | None = Field(None, description="accept_handoff: which")


class SessionLogged(Output):
    session: SessionOut
    event: EventOut
    message: MessagesOut
    handoff: HandoffOut


def log(call: Call, given: SessionLog) -> dict[str, Any]:
    name, row = _OPERATIONS[given.operation](call, given)
    if is_detailed(given):
        return {name: row}
    fields = {"session": BRIEF, "event": EVENT, "handoff": HANDOFF}.get(name)
    return fitted(lambda cut: {name: row if fields is None else picked(row, fields, cut)})


def needed(given: Any, *names: str) -> Any:
    """The argument, or Invalid naming it: what an operation cannot do without."""
    missing = [name for name in names if getattr(given, name) is None]
    if missing:
        raise Invalid(dict.fromkeys(missing, f"is needed for {given.operation}"))
    return getattr(given, names[0])


def sent_of(given: Any, **names: str) -> dict[str, Any]:
    """What was given, by REST's names: REST's name = the argument's."""
    found = {rest: getattr(given, own) for rest, own in names.items()}
    return {name: value for name, value in found.items() if value is not None}


def _begin(call: Call, given: SessionLog) -> tuple[str, Any]:
    sent = sent_of(
        given, name="name", project="project", role="role", mode="mode", prompt="text",
        conversation_id="conversation", external_id="external_id",
    )  # fmt: skip
    return "session", call.ask(rest.create_session, read(SessionIn, sent, {"prompt": "text"}))


def _event(call: Call, given: SessionLog) -> tuple[str, Any]:
    session = needed(given, "session", "event_type")
    sent = sent_of(
        given, event_type="event_type", text="text", data="data", dedupe_key="dedupe_key"
    )
    return "event", call.ask(append_event, session, read(EventIn, sent))


def _message(call: Call, given: SessionLog) -> tuple[str, Any]:
    session = needed(given, "session", "text", "message_role")
    sent = sent_of(given, role="message_role", content="text")
    message = read(MessageIn, sent, {"role": "message_role", "content": "text"})
    return "message", call.ask(append, given.thread or _main_thread(call, session), message)


def _main_thread(call: Call, session: str) -> str:
    threads = call.ask(list_session_threads, session, paging(1))["items"]
    thread: str = (threads or [call.ask(create_thread, session, read(ThreadIn, {"name": "main"}))])[
        0
    ]["id"]
    return thread


def _status(call: Call, given: SessionLog) -> tuple[str, Any]:
    session = needed(given, "session")
    sent = sent_of(
        given, current_state="state", status_text="status_text",
        context_used_percent="context_used_percent",
    )  # fmt: skip
    beat = read(Heartbeat, sent, {"current_state": "state"})
    return "session", call.ask(rest.beat_session, session, beat)


def _end(call: Call, given: SessionLog) -> tuple[str, Any]:
    session = needed(given, "session")
    sent = sent_of(given, reason="reason", outcome="outcome", summary="text")
    return "session", call.ask(rest.end_session, session, read(SessionEnd, sent))


def _handoff(call: Call, given: SessionLog) -> tuple[str, Any]:
    needed(given, "session", "text")
    sent = sent_of(
        given, from_session_id="session", content="text", to_agent="to_agent", role="role",
        reason="reason", external_id="external_id",
    )  # fmt: skip
    renamed = {"content": "text", "from_session_id": "session"}
    return "handoff", call.ask(create_handoff, read(HandoffIn, sent, renamed))


def _accept(call: Call, given: SessionLog) -> tuple[str, Any]:
    handoff = needed(given, "handoff", "session")
    return "handoff", call.ask(accept_handoff, handoff, AcceptIn(session_id=given.session or ""))


_OPERATIONS = {
    "begin": _begin,
    "event": _event,
    "message": _message,
    "status": _status,
    "end": _end,
    "handoff": _handoff,
    "accept_handoff": _accept,
}

LOG = Tool(
    name="session_log",
    title="Record a session",
    description=(
        "Keep a record of your own work where no hooks do it: begin a session (its id is what the "
        "other operations take), note events (a decision, an error and its fix, a milestone), keep "
        "messages, say what you are doing (status), end it with a summary, hand the work over to "
        "another agent or the next session (handoff: needs scope attention:write), or take it over "
        "(accept_handoff). Use it at the start and the end of work, at decisions, and before your "
        "context is full. Where Remembrancer's hooks are installed, sessions, prompts and tool "
        "calls are recorded already."
    ),
    takes=SessionLog,
    gives=SessionLogged,
    run=log,
    names={
        "content": "text",
        "summary": "text",
        "from_session_id": "session",
        "conversation_id": "conversation",
        "current_state": "state",
    },
)
