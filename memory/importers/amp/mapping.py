"""What each row of an Amp session manager becomes. One function for each table.

Columns came with the versions: one that is not there is empty.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from config.lib import clock
from config.lib.shorten import before_secret
from memory.importers.claude_code.messages import describe_call
from memory.importers.problems import Code
from memory.importers.rows import Appended, Draft, Entry, Ref
from memory.importers.values import Fields, at_or, later, short, without_empty
from sessions.models import Session, Thread, Worker
from sessions.models.session import Mode, Outcome, State
from sessions.models.thread import ThreadStatus
from sessions.models.worker import WorkerStatus
from sessions.services.events import NewEvent
from sessions.services.legacy_threads import MIGRATED
from sessions.services.orphans import ORPHANED
from sessions.services.threads import NewMessage

Row = Mapping[str, Any]

NO_NAME = "(no name)"
NOT_THERE = "(not in the file)"
# As the life engine has it: without a sign for so long nobody will end it.
SILENT = timedelta(hours=2)
MODES = {"async": Mode.BACKGROUND, "interactive": Mode.INTERACTIVE}
AMP_MODES = ("production", "local-cli")
STATUSES = {
    "idle": Outcome.UNKNOWN,
    "running": Outcome.UNKNOWN,
    "awaiting-input": Outcome.UNKNOWN,
    "done": Outcome.SUCCESS,
    "error": Outcome.FAILURE,
}
ENDS = ("done", "error")
THREADS = {"active": ThreadStatus.OPEN}
ROLES = {one: one for one in ("user", "assistant", "system", "tool")}
ITEMS = {
    "queued": WorkerStatus.CANCELLED,
    "running": WorkerStatus.CANCELLED,
    "success": WorkerStatus.COMPLETE,
    "fail": WorkerStatus.FAILED,
    "error": WorkerStatus.FAILED,
    "timeout": WorkerStatus.FAILED,
}
# What is kept of threads that are one here; `said` is how many messages the empty one had.
COLUMNS = ("id", "name", "createdAt", "updatedAt", "status", "ampMode", "said")
# What rows name that name nothing.
NONE = "(none)"
# In dollars.
MOST_COST = 10**7
MISSING_SESSIONS, MISSING_THREADS = "(missing sessions)", "(missing threads)"
BATCH_PRIMITIVE = "amp-batch"
TEXT, MESSAGE = 1_000_000, 8_000_000
# A thread's address instead of its id.
_ADDRESS = re.compile(
    r"^(?:\w+:/)?\S*/(?P<id>(?:T-)?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?:[/?#]\S*)?$"
)


def thread_key(theirs: str) -> str:
    """The id of a thread, where its address may stand for it."""
    found = _ADDRESS.match(theirs.strip())
    return found[1] if found else theirs.strip()


def session(row: Row, agent: str, *, sharing: Sequence[str], has_thread: bool) -> Entry:
    """A session. Its `threadId` becomes a thread where the file has none; `sharing` are later
    sessions that name the same one. `row` has sums of its iterations beside its columns."""
    f = Fields(row)
    key = _key(f)
    if not key:
        return Entry("sessions", "", findings=f.findings)
    created = moment(f, "createdAt")
    ran = moment(f, "lastRun")
    began = at_or(created, ran)
    if ran is not None and ran < began:
        f.find(Code.BAD_VALUE, f"lastRun lies before createdAt, by {began - ran}",
               "kept in metadata")  # fmt: skip
    f.note_unknown("ampMode", f.text("ampMode"), AMP_MODES)
    seen = max(began, at_or(ran, began), at_or(f.time("threads_at"), began))
    status = f.text("status")
    outcome = f.choice("status", STATUSES, Outcome.UNKNOWN)
    ended, reason = None, ""
    if status in ENDS:
        ended, reason = at_or(ran, began), status
    elif clock.now() - seen > SILENT:
        ended, reason = seen, ORPHANED
    name = f.text("name", 300)
    if not name.strip():
        f.find(Code.EMPTY, "it has no name", f"became {NO_NAME}")
        name = NO_NAME
    named = f.text("threadId")
    legacy = thread_key(named)
    if legacy != named.strip():
        f.find(Code.BAD_VALUE, f"threadId is an address: {short(named)}", f"read as {legacy}")
    elif "/" in legacy or " " in legacy:
        f.find(Code.BAD_VALUE, f"threadId is no id: {short(named)}", "kept as it is")
    if sharing:
        others = ", ".join(sharing[:5])
        f.find(Code.DUPLICATE, f"its threadId {short(legacy)} is also that of {others}",
               "the thread is this session's; the others name it")  # fmt: skip
    cost = f.number("cost", 0, MOST_COST) or 0
    draft = Draft(
        Session,
        key,
        {
            "name": name,
            "prompt": f.text("ampPrompt", TEXT),
            "mode": f.choice("mode", MODES, Mode.BACKGROUND),
            "current_state": State.IDLE if ended is None else State.ENDED,
            "outcome": outcome,
            "legacy_thread_id": legacy[:120],
            "repo_root": f.text("repoRoot", 1000),
            "cwd": f.text("worktreePath", 1000),
            "branch": f.text("branchName", 300),
            "model": f.text("modelOverride", 120) or f.text("last_model", 120),
            "input_tokens": int(f.number("prompt_tokens", 0, default=0)),
            "output_tokens": int(f.number("completion_tokens", 0, default=0)),
            "cost_usd": Decimal(str(round(cost, 6))).quantize(Decimal("0.000001"))
            if cost else None,
            "started_at": began,
            "last_seen_at": seen,
            "ended_at": ended,
            "end_reason": reason,
            "metadata": without_empty(
                status=status,
                mode=f.text("mode") if f.text("mode") not in MODES else "",
                started_at_unknown=True if created is None and ran is None else None,
                last_run=None if ran is None else ran.isoformat(),
                base_branch=f.text("baseBranch"),
                worktree_path=f.text("worktreePath"),
                follow_up_prompts=_prompts(f),
                script_command=f.text("scriptCommand"),
                model_override=f.text("modelOverride"),
                context_included=_flag(f, "contextIncluded"),
                auto_commit=_flag(f, "autoCommit"),
                amp_mode=f.text("ampMode"),
                thread_id=named if named != legacy else "",
                notes=f.text("notes"),
            ),
        },
        agent=agent,
        once=frozenset({"current_state", "last_seen_at", "branch", "cwd", "model"}),
    )  # fmt: skip
    entry = Entry("sessions", key, [draft], findings=f.findings, at=seen)
    if legacy and not has_thread:
        # What the manager's own migration makes of it.
        entry.drafts.append(_thread(legacy, key, {"name": name, "created_at": began}))
        entry.appended.append(
            Appended(Ref(Thread, legacy), (migrated(legacy, MIGRATED + named, began),))
        )
    return entry


def migrated(legacy: str, content: str, at: datetime) -> NewMessage:
    """The system message that a migration begins a thread with: once, whichever file tells it."""
    return NewMessage(
        role="system", content=content, occurred_at=at, native_uuid=f"migrated:{legacy}"[:120]
    )


def thread(row: Row, into: str, twin: Row | None) -> Entry:
    """A thread. One that a migration made is known by the legacy id, `into`; `twin` is the empty
    one that later code made of the same id."""
    f = Fields(row)
    own = _key(f)
    if not own:
        return Entry("threads", "", findings=f.findings)
    _note_missing(f, "sessionId", "session")
    key = thread_key(into or own)
    created = f.time("createdAt")
    updated = f.time("updatedAt", what="its last message tells")
    others = [
        {name: value for name, value in one.items() if name in COLUMNS}
        for one in (row, twin)
        if one is not None and (twin is not None or one["id"] != key)
    ]
    draft = _thread(
        key,
        f.text("sessionId") or NONE,
        {
            "name": f.text("name", 300),
            "status": f.choice("status", THREADS, ThreadStatus.CLOSED),
            "created_at": at_or(created, updated),
            "metadata": without_empty(
                status=f.text("status") if f.text("status") not in THREADS else "",
                amp_mode=f.text("ampMode"),
                updated_at=None if updated is None else updated.isoformat(),
                merged=others,
            ),
        },
    )
    if twin is not None:
        draft.also = Counter(threads=1)
    return Entry("threads", own, [draft], findings=f.findings, at=updated or created)


def message(row: Row, into: str, begun: Any, place: int) -> Entry:
    """A message, in the order of `idx`; `place` is where it stands. `begun` is its thread's time,
    for a message without one. `idx` is kept where it is another."""
    f = Fields(row)
    key = _key(f)
    _note_missing(f, "threadId", "thread")
    at = f.past("createdAt", what="that of its thread is taken")
    moment_ = at_or(at, Fields({"begun": begun}).time("begun"))
    content = f.text("content", MESSAGE)
    idx = f.raw("idx")
    role = f.choice("role", ROLES, "system")
    if role == "system" and content.startswith(MIGRATED):
        new = migrated(thread_key(content.removeprefix(MIGRATED)), content, moment_)
    else:
        new = NewMessage(
            role=role,
            content=content,
            occurred_at=moment_,
            native_uuid=key,
            metadata=without_empty(
                idx=idx if isinstance(idx, int) and idx != place else None,
                role=f.text("role") if f.text("role") not in ROLES else "",
            ),
        )
    to = Ref(Thread, thread_key(into or f.text("threadId") or NONE))
    appended = [Appended(to, (new,))] if key else []
    return Entry("thread_messages", key, appended=appended, findings=f.findings, at=at)


def iteration(row: Row) -> Entry:
    f = Fields(row)
    started, ended = moment(f, "startTime"), moment(f, "endTime")
    if started is not None and ended is not None and ended < started:
        f.find(Code.BAD_VALUE, "endTime lies before startTime", "left out")
        ended = None
    said = f.text("output", TEXT)
    tokens = {
        ours: f.number(theirs, 0)
        for ours, theirs in (
            ("prompt_tokens", "promptTokens"), ("completion_tokens", "completionTokens"),
            ("total_tokens", "totalTokens"), ("token_usage", "tokenUsage"),
        )
    }  # fmt: skip
    data = without_empty(
        started_at=None if started is None else started.isoformat(),
        ended_at=None if ended is None else ended.isoformat(),
        commit_sha=f.text("commitSha"),
        changed_files=f.number("changedFiles", 0),
        test_result=f.text("testResult"),
        test_exit_code=f.number("testExitCode"),
        **tokens,
        model=f.text("model"),
        amp_version=f.text("ampVersion"),
        amp_args=f.text("ampArgs"),
        exit_code=f.number("exitCode"),
        cli_tool_uses=f.number("cliToolUsageCount"),
        cli_errors=f.number("cliErrorCount"),
        cli_duration_ms=f.number("cliLogDurationMs"),
    )
    return _event(f, "iterations", "iteration", said, data, started or ended)


def tool_call(row: Row, *, has_iteration: bool) -> Entry:
    f = Fields(row)
    iteration_id = f.text("iterationId")
    if not has_iteration:
        f.find(Code.DANGLING, f"iterationId names {iteration_id!r:.80}, an iteration that is not "
               "there", "kept as text in its data")  # fmt: skip
    tool = f.text("toolName") or "tool"
    arguments = _json(f, "argsJson")
    data = without_empty(
        tool=tool,
        tool_use_id=f.text("id"),
        input=arguments,
        iteration_id=iteration_id,
        duration_ms=f.number("durationMs", 0),
        raw=_json(f, "rawJson"),
    )
    data["is_error"] = f.raw("success") is not None and not f.flag("success")
    at = moment(f, "timestamp")
    return _event(f, "tool_calls", "tool_use", describe_call(tool, arguments), data, at)


def stream_event(row: Row) -> Entry:
    f = Fields(row)
    found = _json(f, "data")
    data = found if isinstance(found, dict) else {} if found in (None, "") else {"value": found}
    said = next(
        (data[name] for name in ("text", "content", "message") if isinstance(data.get(name), str)),
        found if isinstance(found, str) else "",
    )
    kind = f.text("type").strip() or "stream_event"
    return _event(f, "stream_events", kind, before_secret(said, TEXT), data, moment(f, "timestamp"))


def merge(row: Row) -> Entry:
    f = Fields(row)
    started, finished = moment(f, "startedAt"), moment(f, "finishedAt")
    data = without_empty(
        base_branch=f.text("baseBranch"),
        mode=f.text("mode"),
        result=f.text("result"),
        conflict_files=_json(f, "conflictFiles"),
        squash_message=f.text("squashMessage"),
        finished_at=None if finished is None else finished.isoformat(),
    )
    said = f"{f.text('mode') or 'merge'} onto {f.text('baseBranch')}: {f.text('result')}"
    return _event(f, "merge_history", "merge", said, data, started or finished)


def swebench_case(row: Row) -> Entry:
    """A case of a benchmark that a session ran; `row` has its run's columns as `run_...`."""
    f = Fields({**row, "id": f"{row.get('runId')}/{row.get('caseId')}"})
    data = without_empty(
        run=f.text("runId"), run_name=f.text("run_name"), case=f.text("caseId"),
        status=f.text("status"), iterations=f.number("iterations", 0),
        seconds=f.number("wallTimeSec", 0),
    )  # fmt: skip
    said = f"{f.text('caseId')}: {f.text('status')}"
    at = moment(f, "run_at")
    return _event(f, "swebench_case_results", "benchmark_case", said, data, at)


def batch_item(row: Row, batches: int) -> Entry:
    """A worker that has run. `row` has its batch's columns as `batch_...`; `batches` is 1 for the
    first item of one."""
    f = Fields(row)
    key = _key(f)
    if not key:
        return Entry("batch_items", "", findings=f.findings)
    said = f.text("status")
    status = f.choice("status", ITEMS, WorkerStatus.FAILED)
    if status == WorkerStatus.CANCELLED:
        f.find(Code.NOT_CARRIED, f"it was {said}; its batch does not run here", "cancelled")
    prompt = f.text("prompt", TEXT)
    if f.raw("batch") is None:
        f.find(Code.DANGLING, f"runId names {f.text('runId')!r:.80}, a batch that is not there",
               "kept as text in metadata")  # fmt: skip
    created, started = moment(f, "batch_created"), moment(f, "startedAt")
    ended = moment(f, "finishedAt")
    draft = Draft(
        Worker,
        key,
        {
            "primitive": BATCH_PRIMITIVE,
            "status": status,
            "name": before_secret(prompt.strip().split("\n", 1)[0], 300),
            "instructions": prompt,
            "workspace_path": f.text("repo", 1000),
            "attempts": 1,
            "started_at": started,
            "ended_at": at_or(ended, started, created),
            "error": f.text("error", 20_000),
            "created_at": at_or(created, started, ended),
            "metadata": without_empty(
                status=said,
                batch=f.text("runId"),
                defaults=_json(f, "batch_defaults"),
                model=f.text("model"),
                commit_sha=f.text("iterSha"),
                total_tokens=f.number("tokensTotal", 0),
                tool_calls=f.number("toolCalls", 0),
                thread_id=f.text("threadId"),
            ),
        },
        once=frozenset({"attempts"}),
        also=Counter({"batches": batches} if batches else {}),
    )
    if session_id := f.text("sessionId"):
        draft.refs["run_session"] = Ref(Session, session_id)
    return Entry("batch_items", key, [draft], findings=f.findings, at=ended or started or created)


def left_batch(row: Row, *, again: bool) -> Entry:
    """A batch that no item brings along: one without any, or `again` one whose id came before."""
    f = Fields(row)
    if again:
        f.find(Code.DUPLICATE, "its id has come before", "the first one stands")
    else:
        f.find(Code.NOT_CARRIED, "a batch without items", "skipped")
    return Entry("batches", f.text("runId"), findings=f.findings)


def missing_session(key: str, rows: int, agent: str, at: Any) -> Entry:
    """A stand-in for a session that rows name and that is not there: nothing of them is lost."""
    f = Fields({"at": at})
    when = moment(f, "at")
    f.find(Code.DANGLING, f"{rows:,} rows name this session, which is not there",
           "kept in a session that stands for it")  # fmt: skip
    draft = _stand_in(key, agent, at_or(when))
    return Entry(MISSING_SESSIONS, key, [draft], findings=f.findings)


def missing_thread(key: str, rows: int, agent: str, at: Any) -> Entry:
    f = Fields({"at": at})
    when = at_or(moment(f, "at"))
    f.find(Code.DANGLING, f"{rows:,} messages name this thread, which is not there",
           "kept in a thread that stands for it")  # fmt: skip
    inside = _stand_in(f"thread:{key}", agent, when)
    draft = _thread(key, inside.key, {"name": NOT_THERE, "created_at": when})
    return Entry(MISSING_THREADS, key, [draft, inside], findings=f.findings)


# --- Parts --------------------------------------------------------------------------------------


def moment(f: Fields, name: str) -> datetime | None:
    """A time of what has happened; an empty text is none."""
    return None if f.raw(name) == "" else f.past(name)


def _key(f: Fields) -> str:
    key = f.text("id").strip()
    if not key:
        f.find(Code.REFUSED, "it has no id", "skipped")
    return key


def _note_missing(f: Fields, column: str, what: str) -> None:
    if f.flag("is_missing"):
        f.find(Code.DANGLING, f"{column} names {f.text(column)!r:.80}, a {what} that is not there",
               f"kept in a {what} that stands for it")  # fmt: skip


def _flag(f: Fields, name: str) -> bool | None:
    return None if f.raw(name) is None else f.flag(name)


def _json(f: Fields, name: str) -> Any:
    """The JSON in a column, whatever it is; what is none stays text, and is found."""
    text = f.text(name)
    if text.strip() in ("", "null"):
        return None
    before = len(f.findings)
    value = f.parsed(name, text, object, what="kept as text")
    return text if len(f.findings) > before else value


def _prompts(f: Fields) -> list[Any]:
    before = len(f.findings)
    prompts: list[Any] = f.json("followUpPrompts", list, what="kept as one prompt")
    return [f.text("followUpPrompts")] if len(f.findings) > before else prompts


def _event(
    f: Fields, table: str, kind: str, text: str, data: dict[str, Any], at: datetime | None
) -> Entry:
    key = _key(f)
    to = f.text("sessionId") or NONE
    _note_missing(f, "sessionId", "session")
    if at is None:
        f.find(Code.MISSING_TIMESTAMP, "it has no time", "that of its session is taken")
        at = Fields({"at": f.raw("session_at")}).time("at")
    new = NewEvent(
        event_type=kind,
        text=text,
        data=data,
        occurred_at=at_or(at),
        dedupe_key=f"{table}:{key}",
    )
    appended = [Appended(Ref(Session, to), (new,))] if key else []
    return Entry(table, key, appended=appended, findings=f.findings, at=at)


def _thread(key: str, session_id: str, values: dict[str, Any]) -> Draft:
    return Draft(
        Thread,
        key,
        values,
        refs={"session": Ref(Session, session_id)},
        needed=frozenset({"session"}),
    )


def _stand_in(key: str, agent: str, at: datetime) -> Draft:
    values = {
        "name": NOT_THERE, "current_state": State.ENDED, "started_at": at, "last_seen_at": at,
        "ended_at": later(at, 0), "end_reason": "missing",
    }  # fmt: skip
    return Draft(
        Session, key, values, agent=agent, once=frozenset({"last_seen_at", "current_state"})
    )
