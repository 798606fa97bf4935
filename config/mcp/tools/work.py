"""work_find: tasks, priorities, workers, missions. work_manage: workers and missions."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from config.lib.errors import Invalid
from config.lib.schema import Day, JsonObject, Moment, Number, Output, RowId, Text
from config.mcp.brief import fitted, picked
from config.mcp.rest import Call
from config.mcp.schemas import Arguments, Writing, paging, read
from config.mcp.tool import Tool, is_detailed
from config.mcp.tools.sessions import needed, sent_of
from config.mcp.tools.tasks import BRIEF as TASK
from config.mcp.tools.tasks import PRIORITY, version_of
from contacts.api.http import Paging
from memory.api.tasks import TaskSearch, search_tasks
from sessions.api import mission_runs, missions, priorities, tasks, worker_runs, workers
from sessions.models.mission import OverlapPolicy, ScheduleKind
from sessions.models.task import Urgency
from sessions.schemas_missions import (
    MissionOut,
    ScheduledMissionIn,
    ScheduledMissionOut,
    ScheduledMissionPatch,
    ScheduledMissionRow,
)
from sessions.schemas_priorities import PriorityOut
from sessions.schemas_tasks import TaskRow
from sessions.schemas_workers import (
    Answer,
    Ask,
    Beat,
    BeatOut,
    Claim,
    ClaimedWorker,
    ClaimNext,
    Complete,
    Fail,
    QueueOut,
    Release,
    Snooze,
    Why,
    WorkerIn,
    WorkerRow,
)
from sessions.selectors import find_project

WORKER = (
    "id", "name", "primitive", "status", "instructions", "params", "priority", "task_id",
    "attempts", "lease_id", "lease_until", "progress_percent", "progress_text", "report_summary",
    "error", "clarification_question", "clarification_options", "clarification_answer",
    "run_after", "conversation_id", "version",
)  # fmt: skip
MISSION = (
    "id", "slug", "name", "prompt", "schedule_kind", "schedule", "timezone", "enabled",
    "pause_reason", "next_run_at", "last_run_at", "last_status", "next_runs", "version",
)  # fmt: skip
RUN = (
    "id", "name", "status", "trigger", "scheduled_for", "started_at", "ended_at",
    "output_summary", "error", "worker_id", "session_id",
)  # fmt: skip


# --- Find -------------------------------------------------------------------------------------


class What(StrEnum):
    TASKS = "tasks"
    PRIORITIES = "priorities"
    WORKERS = "workers"
    QUEUE = "queue"
    MISSIONS = "missions"
    RUNS = "runs"


class WorkFind(Arguments):
    what: What = Field(
        What.TASKS,
        description="missions are schedules, runs what came of them; queue: workers counted",
    )
    query: Text | None = Field(
        None, min_length=1, max_length=2000, description="tasks: by words and meaning"
    )
    status: Text | None = Field(
        None,
        max_length=30,
        description="tasks: todo, doing, review, done. workers: pending, running, "
        "awaiting_clarification, snoozed, complete, failed, cancelled. runs: pending, running, "
        "complete, failed, timeout, cancelled, skipped. missions: enabled, paused. priorities: "
        "open, done",
    )
    project: Text | None = Field(None, max_length=300, description="tasks, missions: title or id")
    assignee: Text | None = Field(None, max_length=120, description="tasks")
    priority: Urgency | None = Field(None, description="tasks")
    parent: RowId | None = Field(None, description="tasks: its subtasks")
    archived: bool = Field(False, description="tasks: the archived ones instead")
    date: Day | None = Field(None, description="priorities of this day; without: today")
    primitive: Text | None = Field(None, max_length=60, description="workers: the kind of work")
    task: RowId | None = Field(None, description="workers on this task")
    session: RowId | None = Field(None, description="workers spawned by this session")
    mission: Text | None = Field(None, max_length=120, description="runs of this slug or id")
    since: Moment | None = Field(None, description="runs")
    limit: int = Field(10, ge=1, le=100)
    cursor: Text | None = Field(None, max_length=2000)


class WorkFound(Output):
    tasks: list[TaskRow]
    priorities: list[PriorityOut]
    workers: list[WorkerRow]
    queue: QueueOut
    missions: list[ScheduledMissionRow]
    runs: list[MissionOut]
    next_cursor: str | None


def find(call: Call, given: WorkFind) -> dict[str, Any]:
    page = paging(given.limit, given.cursor)
    operation, fields = _FINDING[given.what]
    found = operation(call, given, page)
    if given.what is What.QUEUE:
        return {"queue": found}
    name, items = given.what.value, found["items"]
    following = found.get("next_cursor")
    more = {} if following is None else {"next_cursor": following}
    if is_detailed(given):
        return {name: items, **more}
    return fitted(lambda cut: {name: [picked(one, fields, min(cut, 500)) for one in items], **more})


def _tasks(call: Call, given: WorkFind, page: Paging) -> Any:
    sent = sent_of(
        given, project="project", assignee="assignee", priority="priority", parent="parent",
        status="status",
    )  # fmt: skip
    if given.query is None:
        wanted = read(tasks.TaskList, sent | {"archived": given.archived})
        return call.ask(tasks.list_tasks, page, wanted)
    if given.cursor is not None:
        raise Invalid({"cursor": "a query has one page; ask for a larger limit"})
    sent |= {"q": given.query, "limit": given.limit, "archived": given.archived}
    hits = call.ask(search_tasks, read(TaskSearch, sent, {"q": "query"}))["items"]
    return {"items": [hit["task"] for hit in hits]}


def _priorities(call: Call, given: WorkFind, page: Paging) -> Any:
    completed = choice(given.status, {"open": False, "done": True})
    if given.date is None:
        today = read(priorities.DayQuery, {"completed": completed})
        return call.ask(priorities.list_todays_priorities, page, today)
    wanted = read(priorities.PriorityQuery, {"date": given.date, "completed": completed})
    return call.ask(priorities.list_priorities, page, wanted)


def choice(status: str | None, meanings: dict[str, bool]) -> bool | None:
    if status is not None and status not in meanings:
        raise Invalid({"status": f"must be {' or '.join(meanings)} here"})
    return None if status is None else meanings[status]


def _workers(call: Call, given: WorkFind, page: Paging) -> Any:
    sent = sent_of(given, status="status", primitive="primitive", task="task", session="session")
    return call.ask(workers.list_workers, page, read(workers.WorkerQuery, sent))


def _queue(call: Call, given: WorkFind, page: Paging) -> Any:
    return call.ask(workers.count_workers)


def _missions(call: Call, given: WorkFind, page: Paging) -> Any:
    wanted = read(
        missions.ScheduledMissionQuery,
        {
            "enabled": choice(given.status, {"enabled": True, "paused": False}),
            "project": given.project,
        },
    )
    return call.ask(missions.list_missions, page, wanted)


def _runs(call: Call, given: WorkFind, page: Paging) -> Any:
    sent = sent_of(given, status="status", scheduled_mission="mission", since="since")
    wanted = read(mission_runs.MissionQuery, sent, {"scheduled_mission": "mission"})
    return call.ask(mission_runs.list_runs, page, wanted)


_FINDING: dict[What, tuple[Callable[[Call, WorkFind, Paging], Any], tuple[str, ...]]] = {
    What.TASKS: (_tasks, TASK),
    What.PRIORITIES: (_priorities, PRIORITY),
    What.WORKERS: (_workers, WORKER),
    What.QUEUE: (_queue, ()),
    What.MISSIONS: (_missions, MISSION),
    What.RUNS: (_runs, RUN),
}

FIND = Tool(
    name="work_find",
    title="Find work",
    description=(
        "List or search what is to be done and what runs: tasks (by words, status, project, "
        "assignee), a day's priorities, workers (work for agents) and their queue, scheduled "
        "missions and their runs. Use it before task_manage and work_manage, for ids and versions, "
        "and when the user asks what is open, what runs, or what failed. Newest first; "
        "memory_get reads one of them in full."
    ),
    takes=WorkFind,
    gives=WorkFound,
    run=find,
    reads=True,
    repeatable=True,
    whole=False,
    names={"q": "query"},
)


# --- Manage -----------------------------------------------------------------------------------


class WorkManage(Writing):
    operation: Literal[
        "spawn", "claim", "beat", "ask", "complete", "fail", "release",
        "cancel", "retry", "answer", "snooze",
        "schedule", "reschedule", "enable", "pause", "run", "cancel_run",
    ] = Field(
        description="spawn to snooze: a worker; the others: a mission, by slug or id, or its run"
    )  # fmt: skip
    id: Text | None = Field(
        None,
        max_length=120,
        description="claim without: the next; spawn, schedule: none",
    )
    primitive: Text | None = Field(
        None, max_length=60, description="The kind of work. spawn; claim: only this kind; schedule"
    )
    name: Text | None = Field(None, max_length=300, description="spawn, schedule, reschedule")
    instructions: Text | None = Field(
        None, max_length=1_000_000, description="spawn, schedule, reschedule: what is to be done"
    )
    params: JsonObject | None = Field(None, description="spawn, schedule, reschedule")
    task: RowId | None = Field(None, description="spawn: the task it works on")
    session: RowId | None = Field(None, description="spawn: yours; claim: the one that runs it")
    depends_on: list[RowId] | None = Field(
        None, max_length=100, description="spawn: workers to be complete first"
    )
    run_after: Moment | None = Field(None, description="spawn: not before; snooze: until")
    worker_priority: int | None = Field(None, description="spawn: higher is claimed first")
    dedupe_key: Text | None = Field(None, max_length=200, description="spawn: repeated, it returns")
    lease_id: Text | None = Field(
        None, max_length=36, description="beat, ask, complete, fail, release: as claim gave it"
    )
    percent: Number | None = Field(None, ge=0, le=100, description="beat")
    text: Text | None = Field(
        None,
        max_length=1_000_000,
        description="beat: what it does; ask: the question; answer: the answer; complete: the "
        "report; fail: the error; others: why",
    )
    options: list[Text] | None = Field(None, max_length=50, description="ask: to choose from")
    final: bool | None = Field(None, description="fail: trying again is pointless")
    schedule_kind: ScheduleKind | None = Field(None, description="schedule, reschedule")
    schedule: Text | None = Field(
        None, max_length=200, description="once: a time; interval: seconds; cron: five fields"
    )
    timezone: Text | None = Field(None, max_length=64, description="IANA name")
    overlap_policy: OverlapPolicy | None = None
    project: Text | None = Field(None, max_length=300, description="schedule: its title or id")
    version: int | None = Field(None, ge=1, description="reschedule: as you read it; null: any")


class WorkManaged(Output):
    worker: ClaimedWorker | None = Field(description="null: nothing may run now")
    beat: BeatOut
    mission: ScheduledMissionOut
    run: MissionOut


def manage(call: Call, given: WorkManage) -> dict[str, Any]:
    name, row = _MANAGING[given.operation](call, given)
    if row is None or name == "beat" or is_detailed(given):
        return {name: row}
    fields = {"worker": WORKER, "mission": MISSION, "run": RUN}[name]
    return fitted(lambda cut: {name: picked(row, fields, cut)})


def _spawn(call: Call, given: WorkManage) -> tuple[str, Any]:
    needed(given, "primitive")
    sent = sent_of(
        given, primitive="primitive", name="name", instructions="instructions", params="params",
        task_id="task", session_id="session", depends_on="depends_on", run_after="run_after",
        priority="worker_priority", dedupe_key="dedupe_key",
    )  # fmt: skip
    renamed = {"task_id": "task", "session_id": "session", "priority": "worker_priority"}
    return "worker", call.ask(workers.spawn_worker, read(WorkerIn, sent, renamed))


def _claim(call: Call, given: WorkManage) -> tuple[str, Any]:
    sent = sent_of(given, session_id="session")
    if given.id is not None:
        wanted = read(Claim, sent)
        return "worker", call.ask(worker_runs.claim_worker, given.id, wanted)
    sent |= {"primitives": [given.primitive]} if given.primitive else {}
    return "worker", call.ask(worker_runs.claim_next_worker, read(ClaimNext, sent))


def _leased(
    operation: Callable[..., Any], schema: Any, name: str = "worker", **fields: str
) -> Callable[[Call, WorkManage], tuple[str, Any]]:
    """An operation of whoever holds the lease; `fields` are REST's names of its arguments."""

    def do(call: Call, given: WorkManage) -> tuple[str, Any]:
        worker = needed(given, "id", "lease_id")
        sent = sent_of(given, lease_id="lease_id", **fields)
        said = read(schema, sent, fields)
        return name, call.ask(operation, worker, said)

    return do


def _told(
    operation: Callable[..., Any], schema: Any, name: str = "worker", **fields: str
) -> Callable[[Call, WorkManage], tuple[str, Any]]:
    """An operation on one worker, mission or run."""

    def do(call: Call, given: WorkManage) -> tuple[str, Any]:
        row = needed(given, "id")
        return name, call.ask(operation, row, read(schema, sent_of(given, **fields), fields))

    return do


def _planned(call: Call, given: WorkManage) -> dict[str, Any]:
    sent = sent_of(
        given, name="name", prompt="instructions", params="params", primitive="primitive",
        schedule_kind="schedule_kind", schedule="schedule", timezone="timezone",
        overlap_policy="overlap_policy",
    )  # fmt: skip
    if given.project is not None:
        call.enter()
        sent["project_id"] = str(find_project(given.project))
    return sent


def _schedule(call: Call, given: WorkManage) -> tuple[str, Any]:
    needed(given, "name", "instructions", "schedule_kind", "schedule")
    made = read(ScheduledMissionIn, _planned(call, given), {"prompt": "instructions"})
    return "mission", call.ask(missions.create_mission, made)


def _reschedule(call: Call, given: WorkManage) -> tuple[str, Any]:
    mission = needed(given, "id")
    patch = read(ScheduledMissionPatch, _planned(call, given), {"prompt": "instructions"})
    row = call.ask(missions.patch_mission, mission, patch, version=version_of(given))
    return "mission", row


_MANAGING: dict[str, Callable[[Call, WorkManage], tuple[str, Any]]] = {
    "spawn": _spawn,
    "claim": _claim,
    "beat": _leased(worker_runs.beat_worker, Beat, "beat", percent="percent", text="text"),
    "ask": _leased(worker_runs.ask_about_worker, Ask, question="text", options="options"),
    "complete": _leased(worker_runs.complete_worker, Complete, report="text"),
    "fail": _leased(worker_runs.fail_worker, Fail, error="text", final="final"),
    "release": _leased(worker_runs.release_worker, Release, reason="text"),
    "cancel": _told(workers.cancel_worker, Why, reason="text"),
    "retry": _told(workers.retry_worker, Why, reason="text"),
    "answer": _told(workers.answer_worker, Answer, answer="text"),
    "snooze": _told(
        workers.snooze_worker, Snooze, until="run_after", lease_id="lease_id", reason="text"
    ),
    "schedule": _schedule,
    "reschedule": _reschedule,
    "enable": _told(missions.enable_mission, Why, "mission", reason="text"),
    "pause": _told(missions.pause_mission, Why, "mission", reason="text"),
    "run": _told(missions.run_mission, Why, "run", reason="text"),
    "cancel_run": _told(mission_runs.cancel_run, Why, "run", reason="text"),
}

MANAGE = Tool(
    name="work_manage",
    title="Run workers and missions",
    description=(
        "Give work to other agents, do such work, and plan missions that recur. Workers: spawn "
        "one with instructions and a primitive (the kind of work, by which it is claimed); claim "
        "the next and keep its lease_id, beat before the lease ends, then complete, fail, ask a "
        "person, or release; cancel, retry, snooze one, or answer its question. Missions: "
        "schedule, reschedule, enable, pause, run now; cancel_run. Use it when work should be "
        "done by another agent, later or regularly. To note what is to be done use task_manage."
    ),
    takes=WorkManage,
    gives=WorkManaged,
    run=manage,
    destroys=True,
    names={
        "task_id": "task",
        "session_id": "session",
        "prompt": "instructions",
        "until": "run_after",
        "priority": "worker_priority",
    },
)
