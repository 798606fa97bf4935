"""What a life engine's workers, missions, priorities and drafts become."""

from collections.abc import Sequence
from typing import Any

from django.core.validators import slug_re
from django.utils.text import slugify

from config.lib import clock
from config.lib.redact import redact_text
from config.lib.shorten import before_secret
from memory.importers.life_engine.parts import (
    EMPTY,
    NO_NAME,
    Naive,
    Row,
    json_object,
    text_or_empty,
    without_none,
)
from memory.importers.life_engine.schedules import PACIFIC, scheduled
from memory.importers.life_engine.sessions import ATTENTION
from memory.importers.problems import Code
from memory.importers.rows import Draft, Entry, Ref
from memory.importers.values import Fields, at_or, later, short, without_empty
from sessions.models import (
    Mission,
    Priority,
    ScheduledMission,
    Session,
    StagedContent,
    Worker,
)
from sessions.models.mission import MissionStatus
from sessions.models.priority import Level
from sessions.models.worker import WorkerStatus

NO_KIND = "task"
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
SEVERITIES = ("urgent", "high", "normal", "low")
# Of a run: ten years.
MOST_SECONDS = 3650 * 86400
GONE = "it was running; its process is not here"


def worker(row: Row, naive: "Naive", lost: Sequence[str] = ()) -> Entry:
    """`lost` are those of the workers it waits for that are not there, or are itself."""
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
    created = f.past("created_at")
    ended = f.time("completed_at") if status in ENDED else None
    if ended is not None and created is not None and ended < created:
        f.find(Code.BAD_VALUE, f"completed_at lies before created_at, by {created - ended}",
               "kept as it is")  # fmt: skip
    f.note_unknown("attention_severity", f.text("attention_severity"), SEVERITIES)
    for one in lost:
        what = "the worker itself" if one == key else "a worker that is not there"
        f.find(Code.DANGLING, f"depends_on_json names {one!r:.80}, {what}",
               "kept as text in metadata")  # fmt: skip
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
            name=str(params.get("description") or f.text("attention_title")),
            instructions=instructions,
            params=params,
            workspace_path=str(params.get("workspace") or f.text("workspace_path")),
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


def schedule(row: Row, table: str, *, taken: bool = False) -> Entry:
    """A scheduled mission; `chief_duties` are schedules of the chief, each day at a time. `taken`
    says that another one has its slug."""
    f = Fields(row)
    key = f.text("id")
    duty = table == "chief_duties"
    slug = said = f.text("slug", 100).strip()
    if taken or slug_re.fullmatch(said) is None:
        # Secrets go before case does, by which they are known.
        slug = slugify(redact_text(f"{before_secret(said, 60)}-{key}"))[:90] or "mission"
        code, what = (Code.EMPTY, "it has no slug") if not said else (
            Code.DUPLICATE if taken else Code.BAD_VALUE,
            f"another one has its slug {short(said)}" if taken else f"{short(said)} is no slug",
        )  # fmt: skip
        f.find(code, what, f"became {slug}")
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
            pause_reason=plan.why_not,
            next_run_at=plan.next_run_at,
            last_run_at=f.time("last_run"),
            last_status=f.choice("last_status", RUNS, ""),
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
                slug=said if said != slug else "",
                last_status=f.text("last_status") if f.text("last_status") not in RUNS else "",
                was_enabled=True if f.flag("enabled") and not plan.enabled else None,
            ),
        ),
        once=frozenset({"next_run_at", "last_run_at", "last_status", "enabled", "pause_reason"}),
    )
    return Entry(table, key, [draft], findings=f.findings, at=created)


def run(row: Row, table: str, *, twin: int = 0) -> Entry:
    """One execution of a scheduled mission. Of those that began at one moment `twin` counts the
    ones before it: each has a moment of its own here."""
    f = Fields(row)
    key = f.text("id")
    started = f.time("started_at")
    ended = f.time("ended_at")
    duration = f.number("duration_seconds", -MOST_SECONDS, MOST_SECONDS)
    if started is not None and ended is not None and ended < started:
        ended = later(started, duration) if duration and duration > 0 else None
        f.find(Code.BAD_VALUE, "ended_at lies before started_at",
               "left empty" if ended is None else "made from its duration")  # fmt: skip
    status = f.choice("status", RUNS, MissionStatus.FAILED)
    error = f.text("error_message", 20_000) or f.text("error", 20_000)
    if f.text("status") == "running":
        f.find(Code.NOT_CARRIED, GONE, "cancelled")
        error = error or GONE
    if twin:
        f.find(Code.DUPLICATE, "another run of its mission began at the same moment",
               "planned for a moment later")  # fmt: skip
    draft = Draft(
        Mission,
        key,
        {
            "scheduled_for": later(at_or(started, ended), twin / 1_000_000),
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
        refs={"scheduled_mission": Ref(ScheduledMission, mission_of(f, table))},
        natural=("scheduled_mission_id", "scheduled_for"),
        needed=frozenset({"scheduled_mission"}),
    )
    if session_id := f.text("session_id"):
        draft.refs["session"] = Ref(Session, session_id)
    return Entry(table, key, [draft], findings=f.findings, at=started)


def mission_of(f: Fields, table: str) -> str:
    if table == "chief_duty_executions":
        return f"duty:{f.text('duty_id')}"
    return f.text("scheduled_mission_id") or f.text("mission_id")


def moment_of(row: Row, table: str) -> tuple[str, str]:
    """What no two runs may share: (their mission, when it began)."""
    f = Fields(row)
    return mission_of(f, table), str(at_or(f.time("started_at"), f.time("ended_at")))


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
            content=text_or_empty(f, "content", 2_000),
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
            payload=json_object(f, "payload"),
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
