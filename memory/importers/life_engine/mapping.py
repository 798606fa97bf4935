"""What each row of a life engine becomes. One function for each table, read top to bottom.

Both shapes of a table are read by the same function: a column that is not there is empty.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from config.lib import clock
from contacts.models import Contact
from contacts.services.addresses import Labelled, folded, read_email, read_phone
from memory.importers.life_engine.schedules import PACIFIC, scheduled
from memory.importers.problems import Code
from memory.importers.rows import Appended, Draft, Entry, Ref
from memory.importers.values import UNKNOWN_TIME, Fields, at_or, later, short, without_empty
from memory.models import Memory
from memory.models.memory import Kind
from sessions.models import (
    Handoff,
    Mission,
    Notification,
    Ping,
    Priority,
    ScheduledMission,
    Session,
    StagedContent,
    Worker,
)
from sessions.models.attention import HandoffStatus
from sessions.models.mission import MissionStatus
from sessions.models.priority import Level
from sessions.models.session import Mode, State
from sessions.models.worker import WorkerStatus
from sessions.services.events import NewEvent
from sessions.services.orphans import ORPHANED

Row = Mapping[str, Any]

EMPTY = "(empty)"
NO_NAME = "(no name)"
NO_KIND = "task"
# What the engine itself takes for a session that nobody will end.
SILENT = timedelta(hours=2)
# The engine's numbers are of the country it was made in.
REGION = "US"
MODES = {
    "interactive": Mode.INTERACTIVE, "background": Mode.BACKGROUND,
    "autonomous": Mode.AUTONOMOUS, "mission": Mode.AUTONOMOUS,
}  # fmt: skip
STATES = {
    "idle": State.IDLE, "active": State.ACTIVE, "tool_active": State.TOOL_ACTIVE,
    "ended": State.ENDED,
}  # fmt: skip
WORKERS = {
    "pending": WorkerStatus.PENDING,
    "running": WorkerStatus.CANCELLED,
    "awaiting_clarification": WorkerStatus.AWAITING_CLARIFICATION,
    # Answered, it goes back to the queue.
    "clarification_answered": WorkerStatus.PENDING,
    "snoozed": WorkerStatus.SNOOZED,
    "complete": WorkerStatus.COMPLETE,
    "failed": WorkerStatus.FAILED,
    "cancelled": WorkerStatus.CANCELLED,
}
# The four that the shape of the documents has.
DOCUMENTED = ("pending", "running", "complete", "failed")
# Words that are none of the engine's, but plain.
PLAIN_STATUS = {
    "completed": WorkerStatus.COMPLETE, "done": WorkerStatus.COMPLETE,
    "error": WorkerStatus.FAILED, "canceled": WorkerStatus.CANCELLED,
}  # fmt: skip
ENDED = (WorkerStatus.COMPLETE, WorkerStatus.FAILED, WorkerStatus.CANCELLED)
RUNS = {
    "running": MissionStatus.CANCELLED,
    "completed": MissionStatus.COMPLETE,
    "complete": MissionStatus.COMPLETE,
    "failed": MissionStatus.FAILED,
    "timeout": MissionStatus.TIMEOUT,
    "cancelled": MissionStatus.CANCELLED,
    "skipped": MissionStatus.SKIPPED,
    "pending": MissionStatus.PENDING,
}
LEVELS = {str(level): str(level) for level in Level}
HANDOFFS = {
    "pending": HandoffStatus.PENDING,
    "executing": HandoffStatus.PENDING,
    "complete": HandoffStatus.COMPLETED,
    "failed": HandoffStatus.FAILED,
}
ATTENTION = {one: one for one in ("result", "clarification", "alert", "followup")}
GONE = "it was running; its process is not here"


def session(row: Row, agent: str, *, twins: Sequence[str] = ()) -> Entry:
    """A session. `twins` are other ones with the same native id."""
    f = Fields(row)
    key = f.text("session_id") or f.text("id")
    started = f.time("started_at")
    created = f.time("created_at")
    seen = f.time("last_seen_at")
    ended = f.time("ended_at")
    began = at_or(started, created, seen, ended)
    last = max(began, at_or(seen, ended, began))
    reason = f.text("end_reason", 60)
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
        "metadata": without_empty(
            session_type=f.text("session_type"),
            session_subtype=f.text("session_subtype"),
            mission_execution_id=f.text("mission_execution_id"),
            transcript_path=f.text("transcript_path"),
            has_pinged=True if f.flag("has_pinged") else None,
            current_state=f.text("current_state") if f.text("current_state") not in STATES else "",
            mode=f.text("mode") if f.text("mode") not in (*Mode.values, "") else "",
            started_at_unknown=True if began == UNKNOWN_TIME else None,
        ),
    }
    # Without one it is given its own when it is made.
    conversation = f.text("conversation_id", 120).replace("/", "-")
    if conversation:
        values["conversation_id"] = conversation
    draft = Draft(
        Session, key, values, agent=agent,
        once=frozenset({"current_state", "last_seen_at", "context_warning_level"}),
    )  # fmt: skip
    if parent := f.text("parent_session_id"):
        draft.refs["parent"] = Ref(Session, parent)
    return Entry("sessions", key, [draft], findings=f.findings, at=last)


def worker(row: Row, naive: "Naive") -> Entry:
    f = Fields(row)
    key = f.text("id")
    naive.look(f, "workers", "completed_at", "clarification_answered_at", "execute_at")
    params, instructions = _params(f)
    said = f.text("status")
    status = f.choice("status", WORKERS, PLAIN_STATUS.get(said, WorkerStatus.CANCELLED))
    error = f.text("last_error", 20_000)
    if said == "running":
        f.find(Code.NOT_CARRIED, GONE, "cancelled")
        error = error or GONE
    if "primitive" in row and said in WORKERS and said not in DOCUMENTED:
        f.find(Code.UNKNOWN_VALUE, f"status is {said}, which is none of the documents'",
               f"became {status}")  # fmt: skip
    primitive = f.text("task_type", 60) or f.text("primitive", 60)
    if not primitive.strip():
        f.find(Code.EMPTY, "it does not say what kind of work it is", f"became {NO_KIND}")
        primitive = NO_KIND
    attempts = int(f.number("retry_count", 0, 1000, default=0)) + (status in ENDED)
    created = f.time("created_at")
    ended = f.time("completed_at") if status in ENDED else None
    again = f.time("notify_after") if status == WorkerStatus.SNOOZED else None
    kind = f.choice("attention_kind", ATTENTION, "")
    data = f.json("attention_data_json", dict, what="kept as text in metadata")
    attention = without_empty(
        title=f.text("attention_title"),
        kind=kind or f.text("attention_kind"),
        severity=f.text("attention_severity"),
        domain=f.text("attention_domain"),
        data=data or (f.text("attention_data_json") if f.raw("attention_data_json") else ""),
    )
    question = f.text("attention_title") or f.text("report_summary") or "(not kept)"
    waits = said in ("awaiting_clarification", "clarification_answered")
    draft = Draft(
        Worker,
        key,
        without_none(
            primitive=primitive,
            status=status,
            name=str(params.get("description") or f.text("attention_title"))[:300],
            instructions=instructions,
            params=params,
            workspace_path=str(params.get("workspace") or f.text("workspace_path"))[:1000],
            priority=int(f.number("priority", -(2**31), 2**31 - 1, default=0)),
            run_after=again or f.time("execute_at") or f.time("retry_at"),
            attempts=attempts,
            max_attempts=max(3, attempts),
            conversation_id=f.text("conversation_id", 120),
            started_at=created if status in ENDED else None,
            ended_at=ended,
            report=f.text("report_md"),
            report_summary=f.text("report_summary", 10_000),
            error=error,
            clarification_question=question if waits else "",
            clarification_answer=f.text("clarification_answer", 20_000),
            clarification_answered_at=f.time("clarification_answered_at"),
            created_at=created,
            metadata=without_empty(
                status=said if said != status else "",
                attention=attention,
                depends_on=f.json("depends_on_json", list),
                has_dependent_children=True if f.flag("has_dependent_children") else None,
                dedupe_hash=f.text("dedupe_hash"),
                system_log_path=f.text("system_log_path"),
                live_output=f.text("live_output"),
                notify_after=f.text("notify_after"),
                clarification_session_id=f.text("clarification_session_id"),
            ),
        ),
        once=frozenset({"attempts", "max_attempts"}),
    )
    if spawned := f.text("spawned_by_session") or f.text("session_id"):
        draft.refs["session"] = Ref(Session, spawned)
    return Entry("workers", key, [draft], findings=f.findings, at=created)


def schedule(row: Row, table: str) -> Entry:
    """A scheduled mission; `chief_duties` are schedules of the chief, each day at a time."""
    f = Fields(row)
    key = f.text("id")
    duty = table == "chief_duties"
    slug = f.text("slug", 100)
    plan = scheduled(f, duty=duty)
    prompt_file = f.text("prompt_file")
    prompt = f.text("prompt_inline") or f.text("prompt")
    if not prompt.strip():
        prompt = f"Follow the instructions in {prompt_file}." if prompt_file else EMPTY
    created = f.time("created_at")
    draft = Draft(
        ScheduledMission,
        f"duty:{key}" if duty else key,
        without_none(
            name=f.text("name", 300) or slug or NO_NAME,
            slug=f"duty-{slug}" if duty else slug,
            description=f.text("description", 20_000),
            prompt=prompt,
            schedule_kind=plan.kind,
            schedule=plan.schedule,
            timezone=PACIFIC,
            timeout_minutes=int(f.number("timeout_minutes", 1, 10_080, default=60)),
            enabled=plan.enabled,
            pause_reason=plan.why_not[:500],
            next_run_at=plan.next_run_at,
            last_run_at=f.time("last_run"),
            last_status=RUNS.get(f.text("last_status"), ""),
            created_at=created,
            metadata=without_empty(
                table=table if duty else "",
                source=f.text("source"),
                app_slug=f.text("app_slug"),
                prompt_file=prompt_file,
                role=f.text("role"),
                mode=f.text("mode"),
                schedule=plan.theirs,
                trigger_type=f.text("trigger_type"),
                trigger_config=f.json("trigger_config_json", dict, what="kept as text")
                or f.text("trigger_config_json"),
                was_enabled=True if f.flag("enabled") and not plan.enabled else None,
            ),
        ),
        once=frozenset({"next_run_at", "last_run_at", "last_status", "enabled", "pause_reason"}),
    )
    return Entry(table, key, [draft], findings=f.findings, at=created)


def run(row: Row, table: str) -> Entry:
    """One execution of a scheduled mission."""
    f = Fields(row)
    key = f.text("id")
    started = f.time("started_at")
    ended = f.time("ended_at")
    duration = f.number("duration_seconds")
    if started is not None and ended is not None and ended < started:
        ended = later(started, duration) if duration and duration > 0 else None
        f.find(Code.BAD_VALUE, "ended_at lies before started_at",
               "left empty" if ended is None else "made from its duration")  # fmt: skip
    status = f.choice("status", RUNS, MissionStatus.FAILED)
    error = f.text("error_message", 20_000) or f.text("error", 20_000)
    if f.text("status") == "running":
        f.find(Code.NOT_CARRIED, GONE, "cancelled")
        error = error or GONE
    mission = f.text("scheduled_mission_id") or f.text("mission_id")
    if table == "chief_duty_executions":
        mission = f"duty:{f.text('duty_id')}"
    draft = Draft(
        Mission,
        key,
        {
            "scheduled_for": at_or(started, ended),
            "status": status,
            "started_at": started,
            "ended_at": ended,
            "attempt": 1,
            "output_summary": f.text("output_summary", 10_000) or f.text("output", 10_000),
            "error": error,
            "metadata": without_empty(
                source="life-engine",
                external_id=key,
                status=f.text("status") if f.text("status") != status else "",
                mission_slug=f.text("mission_slug"),
                transcript_path=f.text("transcript_path"),
                duration_seconds=duration,
            ),
        },
        refs={"scheduled_mission": Ref(ScheduledMission, mission)},
        natural=("scheduled_mission_id", "scheduled_for"),
        needed=frozenset({"scheduled_mission"}),
    )
    if session_id := f.text("session_id"):
        draft.refs["session"] = Ref(Session, session_id)
    return Entry(table, key, [draft], findings=f.findings, at=started)


def contact(row: Row, tags: Sequence[Any], twins: Mapping[str, Sequence[str]]) -> Entry:
    """A contact with its tags. `twins` are others with the same email or phone, by which."""
    f = Fields(row)
    key = f.text("id")
    name = folded(f.text("name", 300))
    if not name:
        f.find(Code.EMPTY, "it has no name", f"became {NO_NAME}")
    emails, bad_email = _email(f)
    phones, bad_phone = _phone(f)
    for what, others in twins.items():
        f.find(Code.SAME_PERSON, f"its {what} is also that of {', '.join(others[:5])}",
               "not merged; look at the duplicates")  # fmt: skip
    created = f.time("created_at")
    draft = Draft(
        Contact,
        key,
        without_none(
            name=name or NO_NAME,
            company=folded(f.text("company", 300)),
            role=folded(f.text("role", 200)),
            location=folded(f.text("location", 300)),
            description=f.text("description", 100_000),
            relationship=folded(f.text("relationship", 200)),
            notes=_notes(f),
            last_contact_at=f.time("last_contact_date"),
            pinned=f.flag("pinned"),
            created_at=created,
            metadata=without_empty(
                email=bad_email,
                phone=bad_phone,
                value_exchange=f.text("value_exchange"),
                imessage_count=f.number("imessage_count") or None,
                macos_contact_id=f.text("macos_contact_id"),
                source=f.text("source"),
                last_contact_date=f.text("last_contact_date"),
            ),
        ),
        parts=without_empty(emails=emails, phones=phones, tags=_tags(f, tags)),
        also=Counter({"contact_tags": len(tags)} if tags else {}),
    )
    return Entry("contacts", key, [draft], findings=f.findings, at=created)


def priority(row: Row) -> Entry:
    f = Fields(row)
    key = f.text("id")
    created, done = f.time("created_at"), f.time("completed_at")
    updated = f.time("updated_at")
    unknown = done is None and f.flag("completed")
    if unknown:
        done = at_or(updated, created)
    day = f.time("date") or done or created
    draft = Draft(
        Priority,
        key,
        without_none(
            content=_said(f, "content", 2_000),
            level=f.choice("level", LEVELS, Level.MEDIUM),
            pool=f.text("pool", 60) or "main",
            date=(day or clock.now()).date(),
            position=int(f.number("position", 0, 2**31 - 1, default=0)),
            completed_at=done,
            created_at=created,
            metadata=without_empty(
                level=f.text("level") if f.text("level") not in LEVELS else "",
                completed_at_unknown=True if unknown else None,
            ),
        ),
        # An open one is carried over from day to day.
        once=frozenset({"position"} if day is not None and done is not None else {"date",
                        "position"}),
    )  # fmt: skip
    return Entry("priorities", key, [draft], findings=f.findings, at=day)


def ping(row: Row, table: str) -> Entry:
    """A ping; `reminders` are pings of their own time."""
    f = Fields(row)
    key = f.text("id")
    created, seen = f.time("created_at"), f.time("acknowledged_at")
    draft = Draft(
        Ping,
        f"reminder:{key}" if table == "reminders" else key,
        without_none(
            message=_said(f, "message", 20_000),
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


def staged(row: Row) -> Entry:
    f = Fields(row)
    key = f.text("id")
    created = f.time("created_at")
    draft = Draft(
        StagedContent,
        key,
        without_none(
            content_type=f.text("content_type", 60) or "note",
            title=f.text("title", 300),
            body=f.text("body"),
            payload=f.json("payload", dict, what="left out"),
            conversation_id=f.text("conversation_id", 120),
            position=int(f.number("position", 0, 2**31 - 1, default=0)),
            pinned=f.flag("pinned"),
            dismissed_at=f.time("dismissed_at"),
            expires_at=f.time("expires_at"),
            created_at=created,
        ),
        once=frozenset({"position"}),
    )
    if session_id := f.text("session_id"):
        draft.refs["session"] = Ref(Session, session_id)
    return Entry("staged_content", key, [draft], findings=f.findings, at=created)


def handoff(row: Row) -> Entry:
    f = Fields(row)
    key = f.text("id")
    created = f.time("created_at") or f.time("requested_at")
    settled = f.time("completed_at")
    status = f.choice("status", HANDOFFS, HandoffStatus.FAILED)
    draft = Draft(
        Handoff,
        key,
        without_none(
            conversation_id=f.text("conversation_id", 120),
            role=f.text("role", 60),
            mode=f.text("mode", 20),
            reason=f.text("reason", 500),
            content=_said(f, "content", 1_000_000),
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
    at = f.time("created_at")
    draft = Draft(
        Memory,
        f"observation:{key}",
        {
            "kind": Kind.OBSERVATION,
            "text": _said(f, "text", 1_000_000),
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


def event(row: Row) -> Entry:
    """What happened to a session; `actor` is its id."""
    f = Fields(row)
    key = f.text("id")
    at = f.time("timestamp")
    kind = "_".join(part for part in (f.text("event_type"), f.text("event_action")) if part)
    new = NewEvent(
        event_type=kind[:60] or "event",
        data=f.json("data", dict, what="left out"),
        occurred_at=at_or(at),
        dedupe_key=f"event:{key}"[:200],
    )
    to = Ref(Session, f.text("actor"))
    return Entry("events", key, appended=[Appended(to, (new,))], findings=f.findings, at=at)


def skipped(table: str, key: str, reason: str) -> Entry:
    f = Fields({})
    f.find(Code.ORPHAN, reason, "skipped")
    return Entry(table, key, findings=f.findings)


# --- Parts --------------------------------------------------------------------------------------


class Naive:
    """Times without a zone where both readings have been seen: said once for each column."""

    def __init__(self) -> None:
        self.said: set[tuple[str, str]] = set()

    def look(self, f: Fields, table: str, *columns: str) -> None:
        for column in columns:
            value = f.raw(column)
            if not isinstance(value, str) or not value or (table, column) in self.said:
                continue
            if value[-1:] in "Zz" or "+" in value[10:] or "-" in value[10:]:
                continue
            self.said.add((table, column))
            f.find(
                Code.NO_TIME_ZONE,
                f"{column} names no zone; the engine's hooks mean Pacific time, SQLite UTC",
                "read as UTC, here and in the rows after it",
            )


def without_none(**values: Any) -> dict[str, Any]:
    """`values` that are known; what is not keeps the model's default."""
    return {name: value for name, value in values.items() if value is not None}


def _params(f: Fields) -> tuple[dict[str, Any], str]:
    """(params, instructions): of one shape a JSON object, of the other a column each."""
    if "params_json" not in f.row:
        return {}, f.text("instructions")
    if not f.text("params_json").strip():
        f.find(Code.EMPTY, "params_json is empty", "without instructions")
        return {}, ""
    before = len(f.findings)
    params = f.json("params_json", dict, what="its raw text became the instructions")
    if len(f.findings) > before:
        return {}, f.text("params_json")
    said = params.get("instructions") or params.get("description") or ""
    return params, said if isinstance(said, str) else str(said)


def _said(f: Fields, name: str, limit: int) -> str:
    text = f.text(name, limit)
    if text.strip():
        return text
    f.find(Code.EMPTY, f"{name} is empty", f"became {EMPTY}")
    return EMPTY


def _notes(f: Fields) -> str:
    parts = (f.text("context_notes"), f.text("notes"))
    return "\n\n".join(part for part in parts if part.strip())


def _email(f: Fields) -> tuple[list[Labelled], str]:
    """(emails, what was there instead)."""
    given = f.text("email")
    if not given.strip():
        return [], ""
    try:
        return [Labelled(read_email(given))], ""
    except ValueError as error:
        f.find(Code.BAD_VALUE, f"email {short(given)} {error}", "kept as text in metadata")
        return [], given


def _phone(f: Fields) -> tuple[list[Labelled], str]:
    given = f.text("phone")
    if not given.strip():
        return [], ""
    try:
        number, extension = read_phone(given, REGION)
    except ValueError as error:
        f.find(Code.BAD_VALUE, f"phone {short(given)} {error}", "kept as text in metadata")
        return [], given
    return [Labelled(number, f"ext. {extension}" if extension else "")], ""


def _tags(f: Fields, tags: Sequence[Any]) -> list[str]:
    found: dict[str, str] = {}
    for tag in tags:
        given = "" if tag is None else str(tag)
        name = folded(folded(given).casefold()).replace(",", " ").replace(";", " ")
        if not name:
            f.find(Code.EMPTY, "an empty tag", "left out")
        elif name in found:
            said = "came twice" if found[name] == given else f"differs from {found[name]!r} by case"
            f.find(Code.DUPLICATE, f"the tag {given!r:.60} {said}", "kept once")
        else:
            found[name] = given
    return sorted(name[:100] for name in found)
