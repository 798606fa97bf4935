"""What a life engine's sessions become, and what happened in them. One function for each table.

Both shapes of a table are read by the same function: a column that is not there is empty.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from config.lib import clock
from memory.importers.life_engine.parts import Row, json_object, text_or_empty, without_none
from memory.importers.problems import Code
from memory.importers.rows import Appended, Draft, Entry, Ref
from memory.importers.values import UNKNOWN_TIME, Fields, at_or, without_empty
from memory.models import Memory
from memory.models.memory import Kind, MemoryState
from sessions.models import (
    Handoff,
    Notification,
    Ping,
    Session,
)
from sessions.models.attention import HandoffStatus
from sessions.models.session import Mode, State
from sessions.services.events import NewEvent
from sessions.services.orphans import ORPHANED

# What the engine itself takes for a session that nobody will end.
SILENT = timedelta(hours=2)
MODES = {
    "interactive": Mode.INTERACTIVE, "background": Mode.BACKGROUND,
    "autonomous": Mode.AUTONOMOUS, "mission": Mode.AUTONOMOUS,
}  # fmt: skip
ENDS = (
    "exit", "crash", "timeout", "orphan_cleanup", "handoff", "pane_reused", "ended", "reset",
)  # fmt: skip
STATES = {
    "idle": State.IDLE, "active": State.ACTIVE, "tool_active": State.TOOL_ACTIVE,
    "ended": State.ENDED,
}  # fmt: skip
HANDOFFS = {
    "pending": HandoffStatus.PENDING,
    "executing": HandoffStatus.PENDING,
    "complete": HandoffStatus.COMPLETED,
    "failed": HandoffStatus.FAILED,
}
ATTENTION = {one: one for one in ("result", "clarification", "alert", "followup")}


def session(
    row: Row, agent: str, *, twins: Sequence[str] = (), no_parent: str = "", lost: str = ""
) -> Entry:
    """A session. `twins` are other ones with the same native id; `no_parent` says why it cannot
    have the parent that it names, and `lost` is a run that it names and that is not there."""
    f = Fields(row)
    key = f.text("session_id") or f.text("id")
    started = f.past("started_at")
    created = f.time("created_at")
    seen = f.time("last_seen_at")
    ended = f.time("ended_at")
    began = at_or(started, created, seen, ended)
    kept: dict[str, Any] = {}
    if ended is not None and ended < began:
        f.find(Code.BAD_VALUE, f"ended_at lies before it began, by {began - ended}",
               "ended when it was last seen; kept in metadata")  # fmt: skip
        kept["ended_at"] = f.text("ended_at")
        ended = max(began, at_or(seen))
    last = max(began, at_or(seen, ended, began))
    reason = f.text("end_reason", 60)
    f.note_unknown("end_reason", reason, ENDS)
    state = f.choice("current_state", STATES, State.IDLE)
    if ended is None and seen is not None and clock.now() - seen > SILENT:
        # Without a heartbeat for so long the engine would have ended it too.
        ended, reason = seen, ORPHANED
    if ended is not None:
        state = State.ENDED
    elif state == State.ENDED:
        ended, reason = last, reason or "ended"
    if twins:
        f.find(Code.DUPLICATE, f"its claude_session_id is also that of {', '.join(twins[:5])}",
               "both are kept")  # fmt: skip
    values: dict[str, Any] = {
        "role": f.text("role", 60) or "chief",
        "mode": f.choice("mode", MODES, Mode.INTERACTIVE),
        "current_state": state,
        "status_text": f.text("status_text", 500),
        "claude_session_id": f.text("claude_session_id", 120),
        "cwd": f.text("cwd", 1000),
        "tmux_window": f.text("tmux_window", 120),
        "tmux_pane": f.text("tmux_pane", 120),
        "context_warning_level": int(f.number("context_warning_level", 0, 100, default=0)),
        "name": f.text("description", 300),
        "started_at": began,
        "last_seen_at": last,
        "ended_at": ended,
        "end_reason": reason,
        "metadata": kept
        | without_empty(
            session_type=f.text("session_type"),
            session_subtype=f.text("session_subtype"),
            mission_execution_id=f.text("mission_execution_id"),
            transcript_path=f.text("transcript_path"),
            has_pinged=True if f.flag("has_pinged") else None,
            current_state=f.text("current_state") if f.text("current_state") not in STATES else "",
            mode=f.text("mode") if f.text("mode") not in (*Mode.values, "") else "",
            started_at_unknown=True if began == UNKNOWN_TIME else None,
            parent_session_id=f.text("parent_session_id") if no_parent else "",
        ),
    }
    if lost:
        f.find(Code.DANGLING, f"mission_execution_id names {lost!r:.80}, which is not there",
               "kept as text in metadata")  # fmt: skip
    # Without one it is given its own when it is made.
    conversation = f.text("conversation_id", 120).replace("/", "-")
    if conversation:
        values["conversation_id"] = conversation
    draft = Draft(
        Session, key, values, agent=agent,
        once=frozenset({"current_state", "last_seen_at", "context_warning_level"}),
    )  # fmt: skip
    if no_parent:
        f.find(Code.BAD_VALUE, f"parent_session_id: {no_parent}",
               "without a parent; kept in metadata")  # fmt: skip
    elif parent := f.text("parent_session_id"):
        draft.refs["parent"] = Ref(Session, parent)
    return Entry("sessions", key, [draft], findings=f.findings, at=last)


def ping(row: Row, table: str) -> Entry:
    """A ping; `reminders` are pings of their own time."""
    f = Fields(row)
    key = f.text("id")
    created, seen = f.past("created_at"), f.time("acknowledged_at")
    if created is not None and seen is not None and seen < created:
        f.find(Code.BAD_VALUE, f"acknowledged_at lies before created_at, by {created - seen}",
               "kept as it is")  # fmt: skip
    f.time("remind_at", what="kept as text in metadata")
    draft = Draft(
        Ping,
        f"reminder:{key}" if table == "reminders" else key,
        without_none(
            message=text_or_empty(f, "message", 20_000),
            created_at=created,
            # Acknowledged was the end of it there.
            acknowledged_at=seen,
            resolved_at=seen,
            metadata=without_empty(remind_at=f.text("remind_at")),
        ),
    )
    if session_id := f.text("session_id"):
        draft.refs["session"] = Ref(Session, session_id)
    return Entry(table, key, [draft], findings=f.findings, at=created)


def notification(row: Row, *, known: bool) -> Entry:
    """`known`: what it tells of, or the session that was told, is there."""
    f = Fields(row)
    told = f.text("notification_type", 60) or "worker_complete"
    entity = f.text("entity_id", 200) or f.text("worker_id", 200)
    conversation = f.text("conversation_id", 120)
    key = f"{conversation} {told} {entity}"
    at = f.time("notified_at")
    if not known:
        f.find(Code.ORPHAN, f"{told} {entity!r:.80} is not there", "skipped")
        return Entry("conversation_notifications", key, findings=f.findings, at=at)
    draft = Draft(
        Notification,
        key,
        without_none(
            conversation_id=conversation,
            notification_type=told,
            entity_id=entity,
            # It was delivered there; nobody is told again.
            notified_at=at,
            acked_at=at,
            created_at=at,
            payload={"source": "life-engine"},
        ),
        natural=("conversation_id", "notification_type", "entity_id"),
    )
    if session_id := f.text("session_id"):
        draft.refs["session"] = Ref(Session, session_id)
    return Entry("conversation_notifications", key, [draft], findings=f.findings, at=at)


def handoff(row: Row) -> Entry:
    f = Fields(row)
    key = f.text("id")
    created = f.time("created_at") or f.time("requested_at")
    settled = f.time("completed_at")
    for name in ("requested_at", "executed_at"):
        f.time(name, what="kept as text in metadata")
    status = f.choice("status", HANDOFFS, HandoffStatus.FAILED)
    draft = Draft(
        Handoff,
        key,
        without_none(
            conversation_id=f.text("conversation_id", 120),
            role=f.text("role", 60),
            mode=f.text("mode", 20),
            reason=f.text("reason", 500),
            content=text_or_empty(f, "content", 1_000_000),
            status=status,
            error=f.text("error", 20_000),
            settled_at=settled if status != HandoffStatus.PENDING else None,
            created_at=created,
            metadata=without_empty(
                handoff_path=f.text("handoff_path"),
                tmux_pane=f.text("tmux_pane"),
                requested_at=f.text("requested_at"),
                executed_at=f.text("executed_at"),
                status=f.text("status") if f.text("status") not in HANDOFFS else "",
            ),
        ),
    )
    for column, field in (("session_id", "from_session"), ("new_session_id", "to_session")):
        if session_id := f.text(column):
            draft.refs[field] = Ref(Session, session_id)
    return Entry("handoffs", key, [draft], findings=f.findings, at=created)


def observation(row: Row, agent: str) -> Entry:
    f = Fields(row)
    key = f.text("id")
    at = f.past("created_at")
    f.time("processed_at", what="kept as text in metadata")
    draft = Draft(
        Memory,
        f"observation:{key}",
        {
            "kind": Kind.OBSERVATION,
            "text": text_or_empty(f, "text", 1_000_000),
            "actor": "agent",
            "recorded_at": at_or(at),
            "metadata": without_empty(
                needs_exploration=True if f.flag("needs_exploration") else None,
                source_role=f.text("source_role"),
                processed_at=f.text("processed_at"),
                routed_to=f.text("routed_to"),
            ),
        },
        agent=agent,
    )
    if session_id := f.text("source_session"):
        draft.refs["session"] = Ref(Session, session_id)
    return Entry("observations", key, [draft], findings=f.findings, at=at)


def event(row: Row, session_id: str, agent: str) -> Entry:
    """What happened to a session: to `session_id`, which `actor` names, or whose worker it names.
    What a person did happened in none; it is kept where it can be looked up."""
    f = Fields(row)
    key = f.text("id")
    at = f.past("timestamp")
    kind = "_".join(part for part in (f.text("event_type"), f.text("event_action")) if part)
    kind = kind or "event"
    data = json_object(f, "data")
    actor = f.text("actor")
    if session_id:
        if actor != session_id:
            data = {**data, "actor": actor}
        new = NewEvent(event_type=kind, data=data, occurred_at=at_or(at), dedupe_key=f"event:{key}")
        appended = [Appended(Ref(Session, session_id), (new,))]
        return Entry("events", key, appended=appended, findings=f.findings, at=at)
    f.find(Code.DANGLING, f"actor {actor!r:.80} is no session and no worker of one",
           "kept as an archived memory")  # fmt: skip
    draft = Draft(
        Memory,
        f"event:{key}",
        {
            "kind": Kind.OCCURRENCE,
            "text": " ".join(part for part in (kind, actor) if part),
            "data": without_empty(type="event", event_type=kind, actor=actor, data=data),
            "actor": actor,
            "state": MemoryState.ARCHIVED,
            "recorded_at": at_or(at),
        },
        agent=agent,
        once=frozenset({"state"}),
    )
    return Entry("events", key, [draft], findings=f.findings, at=at)
