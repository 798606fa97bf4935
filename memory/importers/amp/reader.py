"""Reads an Amp session manager's sessions.sqlite: which threads are one, and in what order."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from memory.importers.amp import mapping
from memory.importers.keys import Seen
from memory.importers.problems import Problem
from memory.importers.rows import Entry
from memory.importers.source import Options
from memory.importers.sqlite import Database, opened, wrong_kind
from sessions.services.legacy_threads import MIGRATED

# Which tables are carried over, with the columns of all versions.
TABLES: dict[str, tuple[str, ...]] = {
    "sessions": (
        "id", "name", "ampPrompt", "followUpPrompts", "repoRoot", "baseBranch", "branchName",
        "worktreePath", "status", "scriptCommand", "modelOverride", "threadId", "createdAt",
        "lastRun", "notes", "contextIncluded", "mode", "autoCommit", "ampMode",
    ),
    "threads": ("id", "sessionId", "name", "createdAt", "updatedAt", "status", "ampMode"),
    "thread_messages": ("id", "threadId", "role", "content", "createdAt", "idx"),
    "iterations": (
        "id", "sessionId", "startTime", "endTime", "commitSha", "changedFiles", "testResult",
        "testExitCode", "tokenUsage", "promptTokens", "completionTokens", "totalTokens", "model",
        "ampVersion", "exitCode", "ampArgs", "output", "cliToolUsageCount", "cliErrorCount",
        "cliLogDurationMs",
    ),
    "tool_calls": (
        "id", "sessionId", "iterationId", "timestamp", "toolName", "argsJson", "success",
        "durationMs", "rawJson",
    ),
    "stream_events": ("id", "sessionId", "type", "timestamp", "data"),
    "merge_history": (
        "id", "sessionId", "startedAt", "finishedAt", "baseBranch", "mode", "result",
        "conflictFiles", "squashMessage",
    ),
    "batches": ("runId", "createdAt", "defaultsJson"),
    "batch_items": (
        "id", "runId", "sessionId", "repo", "prompt", "status", "error", "startedAt", "finishedAt",
        "model", "iterSha", "tokensTotal", "toolCalls", "threadId",
    ),
    "swebench_case_results": (
        "runId", "caseId", "sessionId", "status", "iterations", "wallTimeSec",
    ),
}  # fmt: skip
MEASURED = "measurements of the same iterations; what they cost is summed in the session"
# What has no counterpart here, with why.
IGNORED = {
    "migrations": "which migrations the manager has run",
    "swebench_runs": "the run's name stands in its cases",
    "metric_iterations": MEASURED,
    "metric_tool_calls": MEASURED,
    "metric_llm_usage": MEASURED,
    "metric_git_operations": MEASURED,
    "metric_test_results": MEASURED,
    "metric_file_edits": MEASURED,
    "metric_user_messages": "what was asked, which the threads have",
}
# What becomes events, with the column of its time.
EVENTS = {
    "iterations": "startTime",
    "tool_calls": "timestamp",
    "stream_events": "timestamp",
    "merge_history": "startedAt",
    "swebench_case_results": "",
}
# Of one iteration; sums of more would not fit a column.
MOST_TOKENS = 10**12
_NAMED_SO = "Migrated Thread for "


class Amp:
    name = "amp"
    title = "Amp session manager (sessions.sqlite)"
    times = (
        "UTC, as the manager writes them (ISO with Z); a time without a zone is UTC too, one with "
        "an offset keeps it"
    )

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        path = Path(where).expanduser()
        with opened(path, scratch, TABLES) as database:
            if not {"sessions", "iterations"} <= database.tables.keys():
                raise wrong_kind(path, "Amp sessions.sqlite")
            yield Reader(database, options.agent or self.name)


AMP = Amp()


class Reader:
    """An open database. Sessions come first, then threads, what was said, and what happened."""

    def __init__(self, database: Database, agent: str) -> None:
        self.database = database
        self.agent = agent
        self.totals: dict[str, int] = {
            table: database.count(table) for table in TABLES if table in database.tables
        }
        self.problems: Sequence[Problem] = database.unknown(TABLES, IGNORED)
        self._sum_up()
        self._merge_threads()
        self._name_threads()
        self._find_missing()

    def entries(self) -> Iterator[Entry]:
        yield from self._sessions()
        yield from self._threads()
        yield from self._messages()
        yield from self._events()
        yield from self._batches()

    # --- What is known before rows are read -----------------------------------------------

    def _sum_up(self) -> None:
        """Per session: tokens and the last model of its iterations, costs, and when its threads
        were last written."""
        run = self.database.run
        run("CREATE TEMP TABLE used (session TEXT PRIMARY KEY, prompt, completion)")
        prompt, completion, total = (
            self._number("iterations", name)
            for name in ("promptTokens", "completionTokens", "totalTokens")
        )
        started, model = (
            self._column("iterations", "startTime"),
            self._column("iterations", "model"),
        )
        # The total tells what one of the two does not; alone, it is what was read.
        run(
            f"INSERT INTO used SELECT sessionId, sum(coalesce(prompt, max(total - completion, 0), "  # noqa: S608
            "max(total, 0), 0)), sum(coalesce(completion, max(total - prompt, 0), 0)) "
            f"FROM (SELECT sessionId, {prompt} AS prompt, {completion} AS completion, "
            f"{total} AS total FROM iterations) WHERE sessionId IS NOT NULL GROUP BY sessionId"
        )
        run("CREATE TEMP TABLE modelled (session TEXT PRIMARY KEY, model, at)")
        run(
            f"INSERT INTO modelled SELECT sessionId, {model}, max({started}) FROM iterations "  # noqa: S608
            f"WHERE sessionId IS NOT NULL AND {model} <> '' GROUP BY sessionId"
        )
        run("CREATE TEMP TABLE cost (session TEXT PRIMARY KEY, usd)")
        if self._has("metric_iterations", "session_id", "total_cost_usd"):
            run(
                "INSERT INTO cost SELECT session_id, sum(total_cost_usd) FROM metric_iterations "
                "WHERE session_id IS NOT NULL AND total_cost_usd > 0 GROUP BY session_id"
            )
        run("CREATE TEMP TABLE written (session TEXT PRIMARY KEY, at)")
        if self._has("threads", "sessionId", "updatedAt"):
            run(
                "INSERT INTO written SELECT sessionId, max(updatedAt) FROM threads "
                "WHERE sessionId IS NOT NULL AND updatedAt <> '' GROUP BY sessionId"
            )

    def _merge_threads(self) -> None:
        """Threads that a migration made, by the legacy id that their one message names: that is
        what they are known by, and an empty thread of this id is the same one."""
        run = self.database.run
        run("CREATE TEMP TABLE merged (id TEXT PRIMARY KEY, into_id TEXT UNIQUE, twin INTEGER)")
        if not self._has("threads") or not self._has("thread_messages"):
            return
        sql = (
            "SELECT t.id, t.sessionId AS session, m.content, "
            "(SELECT count(*) FROM thread_messages o WHERE o.threadId = t.id) AS said "
            "FROM threads t JOIN thread_messages m ON m.threadId = t.id "
            "WHERE t.name LIKE ? AND m.role = 'system' AND m.content LIKE ? ORDER BY t.rowid, m.idx"
        )
        for row in self.database.rows(sql, (f"{_NAMED_SO}%", f"{MIGRATED}%")):
            legacy = row["content"].removeprefix(MIGRATED).strip()
            if not legacy or legacy == row["id"]:
                continue
            same = next(self._thread_of(legacy), None)
            if same is not None and (
                same["sessionId"] != row["session"] or (row["said"] > 1 and same["said"])
            ):
                continue
            run(
                "INSERT OR IGNORE INTO merged VALUES (?, ?, ?)",
                (row["id"], legacy, same is not None),
            )

    def _thread_of(self, thread: str) -> Iterator[dict[str, Any]]:
        sql = (
            "SELECT t.*, (SELECT count(*) FROM thread_messages m WHERE m.threadId = t.id) AS said "
            "FROM threads t WHERE t.id = ?"
        )
        return self.database.rows(sql, (thread,))

    def _name_threads(self) -> None:
        """Which threads there will be, and which sessions name which, the first one first."""
        run = self.database.run
        run("CREATE TEMP TABLE known (thread TEXT PRIMARY KEY)")
        if self._has("threads"):
            sql = (
                "SELECT coalesce(m.into_id, t.id) AS id FROM threads t "
                "LEFT JOIN merged m ON m.id = t.id"
            )
            for row in self.database.rows(sql):
                run("INSERT OR IGNORE INTO known VALUES (?)", (mapping.thread_key(str(row["id"])),))
        run("CREATE TEMP TABLE named (thread TEXT, session TEXT, number INTEGER PRIMARY KEY)")
        run("CREATE INDEX temp.named_thread ON named (thread)")
        if self._has("sessions", "threadId"):
            sql = "SELECT rowid AS n, id, threadId FROM sessions WHERE threadId <> ''"
            for row in self.database.rows(sql):
                thread = mapping.thread_key(str(row["threadId"]))
                run("INSERT INTO named VALUES (?, ?, ?)", (thread, str(row["id"]), row["n"]))

    def _find_missing(self) -> None:
        """Sessions and threads that rows name and that are not there, and when first."""
        run = self.database.run
        run("CREATE TEMP TABLE missing (id TEXT PRIMARY KEY, number INTEGER, at)")
        run("CREATE TEMP TABLE lost (id TEXT PRIMARY KEY, number INTEGER, at)")
        parts = [
            f"SELECT {_named('sessionId')} AS session, "  # noqa: S608
            f"{self._column(table, column)} AS at FROM {table}"
            for table, column in {**EVENTS, "threads": "createdAt"}.items()
            if self._has(table, "sessionId")
        ]
        run(
            f"INSERT INTO missing SELECT session, count(*), min(at) "  # noqa: S608
            f"FROM ({' UNION ALL '.join(parts)}) e WHERE NOT EXISTS "
            "(SELECT 1 FROM sessions s WHERE s.id = e.session) GROUP BY session"
        )
        if self._has("thread_messages"):
            there = "SELECT 1 FROM threads t WHERE t.id = m.thread" if self._has("threads") else (
                "SELECT 1 WHERE 0"
            )  # fmt: skip
            run(
                f"INSERT INTO lost SELECT thread, count(*), min(createdAt) FROM "  # noqa: S608
                f"(SELECT {_named('threadId')} AS thread, createdAt FROM thread_messages) m "
                f"WHERE NOT EXISTS ({there}) GROUP BY thread"
            )
        for table, name in (
            ("missing", mapping.MISSING_SESSIONS),
            ("lost", mapping.MISSING_THREADS),
        ):
            if number := self.database.count(table):
                self.totals[name] = number

    # --- Rows -----------------------------------------------------------------------------

    def _sessions(self) -> Iterator[Entry]:
        sql = (
            "SELECT s.*, u.prompt AS prompt_tokens, u.completion AS completion_tokens, "
            "m.model AS last_model, c.usd AS cost, w.at AS threads_at FROM sessions s "
            "LEFT JOIN used u ON u.session = s.id LEFT JOIN modelled m ON m.session = s.id "
            "LEFT JOIN cost c ON c.session = s.id LEFT JOIN written w ON w.session = s.id "
            "ORDER BY s.rowid"
        )
        for row in self.database.rows(sql):
            thread = mapping.thread_key(str(row.get("threadId") or ""))
            sharing: list[str] = []
            there = True
            if thread:
                who = "SELECT session FROM named WHERE thread = ? ORDER BY number"
                sessions = [one["session"] for one in self.database.rows(who, (thread,))]
                first = sessions[:1] == [str(row["id"])]
                sharing = sessions[1:] if first else []
                there = not first or self._is_known(thread)
            yield mapping.session(row, self.agent, sharing=sharing, has_thread=there)
        for row in self.database.rows("SELECT * FROM missing ORDER BY id"):
            yield mapping.missing_session(str(row["id"]), row["number"], self.agent, row["at"])

    def _is_known(self, thread: str) -> bool:
        sql = "SELECT 1 AS here FROM known WHERE thread = ?"
        return next(self.database.rows(sql, (thread,)), None) is not None

    def _threads(self) -> Iterator[Entry]:
        if self._has("threads"):
            for row in self.database.rows(self._each_thread()):
                into = row.pop("into_id") or ""
                twin = next(self._thread_of(into), None) if row.pop("twin") else None
                yield mapping.thread(row, into, twin)
        for row in self.database.rows("SELECT * FROM lost ORDER BY id"):
            yield mapping.missing_thread(str(row["id"]), row["number"], self.agent, row["at"])

    def _each_thread(self) -> str:
        """All threads but those that are another one's twin."""
        return (
            "SELECT t.*, m.into_id, m.twin, x.id IS NOT NULL AS is_missing FROM threads t "  # noqa: S608
            "LEFT JOIN merged m ON m.id = t.id "
            f"LEFT JOIN missing x ON x.id = {_named('t.sessionId')} "
            "WHERE NOT EXISTS (SELECT 1 FROM merged o WHERE o.twin AND o.into_id = t.id) "
            "ORDER BY t.rowid"
        )

    def _messages(self) -> Iterator[Entry]:
        """Thread by thread, in the order of `idx`: their times may lie."""
        if not self._has("thread_messages"):
            return
        said = "SELECT *, 0 AS is_missing FROM thread_messages WHERE {} ORDER BY idx, rowid"
        named = said.format("threadId = ?")
        seen = Seen()
        if self._has("threads"):
            for thread in self.database.rows(self._each_thread()):
                into = thread["into_id"] or ""
                for one in (thread["id"], into if thread["twin"] else None):
                    if not one or seen.again(str(one)):
                        continue
                    for place, row in enumerate(self.database.rows(named, (one,))):
                        yield mapping.message(row, into, thread["createdAt"], place)
        for lost in self.database.rows("SELECT * FROM lost ORDER BY id"):
            if lost["id"] == mapping.NONE:
                rows = self.database.rows(said.format("coalesce(threadId, '') = ''"))
            else:
                rows = self.database.rows(named, (lost["id"],))
            for place, row in enumerate(rows):
                yield mapping.message({**row, "is_missing": 1}, "", lost["at"], place)

    def _events(self) -> Iterator[Entry]:
        """What happened, session by session in time, whichever table it is in."""
        tables = [table for table in EVENTS if self._has(table)]
        parts = [
            f"SELECT {number} AS kind, rowid AS n, {self._column(table, 'sessionId')} AS session, "  # noqa: S608
            f"{self._column(table, EVENTS[table])} AS at FROM {table}"
            for number, table in enumerate(tables)
        ]
        order = f"{' UNION ALL '.join(parts)} ORDER BY session, at, kind, n"
        fetch = [self._one_of(table) for table in tables]
        for found in self.database.rows(order):
            table = tables[found["kind"]]
            row = next(self.database.rows(fetch[found["kind"]], (found["n"],)))
            match table:
                case "iterations":
                    yield mapping.iteration(row)
                case "tool_calls":
                    yield mapping.tool_call(row, has_iteration=bool(row["has_iteration"]))
                case "stream_events":
                    yield mapping.stream_event(row)
                case "merge_history":
                    yield mapping.merge(row)
                case _:
                    yield mapping.swebench_case(row)

    def _one_of(self, table: str) -> str:
        """One row of a table by its rowid, with its session's time and whether that is there."""
        more, joined = "", ""
        if table == "tool_calls":
            more = (
                ", EXISTS (SELECT 1 FROM iterations i WHERE i.id = e.iterationId) AS has_iteration"
            )
        if table == "swebench_case_results" and self._has("swebench_runs", "name", "createdAt"):
            more = ", r.name AS run_name, r.createdAt AS run_at"
            joined = " LEFT JOIN swebench_runs r ON r.id = e.runId"
        return (
            f"SELECT e.*, x.id IS NOT NULL AS is_missing, s.createdAt AS session_at{more} "  # noqa: S608
            f"FROM {table} e LEFT JOIN missing x ON x.id = {_named('e.sessionId')} "
            f"LEFT JOIN sessions s ON s.id = e.sessionId{joined} WHERE e.rowid = ?"
        )

    def _batches(self) -> Iterator[Entry]:
        batches, items = self._has("batches"), self._has("batch_items")
        if items:
            more = (
                ", b.createdAt AS batch_created, b.defaultsJson AS batch_defaults, b.runId AS batch"
            )
            # Of several with one runId the first: beside min() SQLite gives that row's columns.
            joined = (
                " LEFT JOIN (SELECT *, min(rowid) FROM batches GROUP BY runId) b"
                " ON b.runId = i.runId"
            )
            sql = (
                f"SELECT i.*{more if batches else ''} FROM batch_items i"  # noqa: S608
                f"{joined if batches else ''} ORDER BY i.runId, i.rowid"
            )
            before = None
            for row in self.database.rows(sql):
                batch = row.get("batch")
                entry = mapping.batch_item(row, int(batch is not None and batch != before))
                yield entry
                if entry.drafts:
                    before = batch
        if batches:
            first = "SELECT min(rowid) FROM batches GROUP BY runId"
            again = f"runId IS NOT NULL AND rowid NOT IN ({first})"
            for row in self.database.rows(f"SELECT * FROM batches WHERE {again}"):  # noqa: S608
                yield mapping.left_batch(row, again=True)
            alone = ""
            if self._has("batch_items", "id", "runId"):
                alone = (
                    " AND NOT EXISTS (SELECT 1 FROM batch_items i "
                    "WHERE i.runId = b.runId AND trim(i.id) <> '')"
                )
            for row in self.database.rows(
                f"SELECT * FROM batches b WHERE NOT ({again}){alone}"  # noqa: S608
            ):
                yield mapping.left_batch(row, again=False)

    # --- Shapes ---------------------------------------------------------------------------

    def _has(self, table: str, *columns: str) -> bool:
        return set(columns) <= set(self.database.tables.get(table, ())) and (
            table in self.database.tables
        )

    def _column(self, table: str, column: str) -> str:
        """A column for a statement; NULL where this version has none."""
        return column if column and self._has(table, column) else "NULL"

    def _number(self, table: str, column: str) -> str:
        """The same of what may not be negative."""
        name = self._column(table, column)
        return f"CASE WHEN {name} >= 0 THEN min(CAST({name} AS INTEGER), {MOST_TOKENS}) END"


def _named(column: str) -> str:
    """A column that names a row, or the name of what stands for those that it does not name."""
    return f"coalesce(nullif({column}, ''), '{mapping.NONE}')"
