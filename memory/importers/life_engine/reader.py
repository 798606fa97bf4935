"""Reads a life engine's system.db: which of its two shapes it has, and what belongs together."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contacts.services.addresses import read_email, read_phone
from memory.importers.keys import Seen
from memory.importers.life_engine import parts, people, sessions, work
from memory.importers.problems import Problem
from memory.importers.rows import Entry
from memory.importers.source import Options
from memory.importers.sqlite import Database, opened, wrong_kind
from memory.importers.values import Fields
from sessions.services.sessions import MOST_PARENTS

# Which tables are carried over, with all columns of both shapes.
TABLES: dict[str, tuple[str, ...]] = {
    "sessions": (
        "id", "session_id", "role", "mode", "session_type", "session_subtype",
        "mission_execution_id", "started_at", "last_seen_at", "ended_at", "end_reason",
        "transcript_path", "claude_session_id", "cwd", "tmux_window", "tmux_pane", "description",
        "status_text", "current_state", "has_pinged", "created_at", "updated_at",
        "conversation_id", "parent_session_id", "context_warning_level",
    ),
    "workers": (
        "id", "session_id", "primitive", "instructions", "workspace_path", "task_type",
        "params_json", "depends_on_json", "has_dependent_children", "execute_at", "priority",
        "retry_count", "retry_at", "dedupe_hash", "status", "last_error", "system_log_path",
        "report_md", "report_summary", "live_output", "attention_title", "attention_kind",
        "attention_severity", "attention_domain", "attention_data_json", "notify_after",
        "clarification_session_id", "clarification_answer", "clarification_answered_at",
        "spawned_by_session", "conversation_id", "created_at", "updated_at", "completed_at",
    ),
    "missions": (
        "id", "name", "slug", "description", "source", "app_slug", "prompt_type", "prompt_file",
        "prompt_inline", "schedule_type", "schedule_cron", "schedule_time", "schedule_days",
        "trigger_type", "trigger_config_json", "timeout_minutes", "role", "mode", "enabled",
        "next_run", "last_run", "last_status", "created_at", "updated_at", "scheduled_mission_id",
        "status", "started_at", "ended_at", "session_id", "output", "error",
    ),
    "scheduled_missions": (
        "id", "slug", "name", "description", "schedule", "prompt", "enabled", "next_run",
        "last_run", "created_at", "updated_at",
    ),
    "mission_executions": (
        "id", "mission_id", "mission_slug", "started_at", "ended_at", "status", "session_id",
        "transcript_path", "output_summary", "error_message", "duration_seconds",
    ),
    "chief_duties": (
        "id", "slug", "name", "description", "schedule_time", "prompt_file", "timeout_minutes",
        "enabled", "last_run", "last_status", "created_at", "updated_at", "next_run",
    ),
    "chief_duty_executions": (
        "id", "duty_id", "duty_slug", "started_at", "ended_at", "status", "session_id",
        "transcript_path", "output_summary", "error_message", "duration_seconds",
    ),
    "contacts": (
        "id", "name", "phone", "email", "company", "role", "location", "description",
        "relationship", "context_notes", "value_exchange", "notes", "last_contact_date",
        "imessage_count", "macos_contact_id", "source", "pinned", "created_at", "updated_at",
    ),
    "contact_tags": ("contact_id", "tag"),
    "priorities": (
        "id", "content", "level", "pool", "completed", "date", "position", "created_at",
        "updated_at", "completed_at",
    ),
    "pings": ("id", "session_id", "message", "created_at", "acknowledged_at"),
    "reminders": (
        "id", "message", "remind_at", "session_id", "acknowledged_at", "created_at",
    ),
    "conversation_notifications": (
        "id", "conversation_id", "worker_id", "notification_type", "entity_id", "notified_at",
        "session_id",
    ),
    "staged_content": (
        "id", "content_type", "title", "body", "payload", "session_id", "conversation_id",
        "position", "pinned", "created_at", "dismissed_at", "expires_at",
    ),
    "handoffs": (
        "id", "session_id", "role", "mode", "tmux_pane", "handoff_path", "reason", "status",
        "requested_at", "executed_at", "completed_at", "new_session_id", "error", "created_at",
        "updated_at", "conversation_id", "content",
    ),
    "observations": (
        "id", "text", "needs_exploration", "source_session", "source_role", "processed_at",
        "routed_to", "created_at", "updated_at",
    ),
    "events": ("id", "timestamp", "event_type", "event_action", "actor", "data", "date"),
}  # fmt: skip
# What has no counterpart here, with why.
IGNORED = {
    "session_notifications": "deprecated there: conversation_notifications took its place",
    "settings": "settings of the engine itself",
    "activity_log": "a log of the engine itself",
    "timers": "timers of the engine's own process",
    "triggers": "triggers of the engine's own process",
    "accounts": "accounts and their secrets are not carried over",
    "calendar_accounts": "accounts and their secrets are not carried over",
    "email_accounts": "accounts and their secrets are not carried over",
    "email_known_recipients": "settings of the engine's mail",
    "email_rate_limits": "settings of the engine's mail",
    "email_send_log": "a log of the engine's mail",
    "email_settings": "settings of the engine's mail",
    "installed_apps": "apps of the engine itself",
    "claude_usage": "usage is counted from transcripts here",
    "workers_archive": "workers that the engine itself had put away",
    "contacts_extensions": "fields of apps of the engine",
    "contacts_extension_tags": "fields of apps of the engine",
}


class LifeEngine:
    name = "life-engine"
    title = "Life engine (system.db)"
    times = (
        "UTC, as SQLite's defaults write them; a time with an offset keeps it, and schedules are "
        "in America/Los_Angeles, as the engine reads them"
    )

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        path = Path(where).expanduser()
        with opened(path, scratch, TABLES) as database:
            if not {"sessions", "workers"} <= database.tables.keys():
                raise wrong_kind(path, "life-engine system.db")
            yield Reader(database, options.agent or self.name)


LIFE_ENGINE = LifeEngine()


class Reader:
    """An open database. What is pointed at comes before what points at it, where it can."""

    def __init__(self, database: Database, agent: str) -> None:
        self.database = database
        self.agent = agent
        self.totals: Mapping[str, int] = {
            table: database.count(table) for table in TABLES if table in database.tables
        }
        self.problems: Sequence[Problem] = database.unknown(TABLES, IGNORED)
        # In the documents' shape `missions` are the runs.
        documented = "scheduled_missions" in database.tables
        self.schedules = "scheduled_missions" if documented else "missions"
        self.runs = "missions" if documented else "mission_executions"
        self.session_id = "session_id" if self._has("sessions", "session_id") else "id"
        self._same_people()

    def entries(self) -> Iterator[Entry]:
        each = self.database.table
        naive = parts.Naive()
        yield from self._contacts()
        twins = self._twins()
        for row in each("sessions"):
            mine = str(row[self.session_id])
            others = [
                one for one in twins.get(row.get("claude_session_id") or "", ()) if one != mine
            ]
            yield sessions.session(
                row, self.agent, twins=others, no_parent=self._no_parent(row),
                lost=self._lost_run(row),
            )  # fmt: skip
        slugs = Seen()
        for table in (self.schedules, "chief_duties"):
            for row in each(table):
                slug = str(row.get("slug") or "").strip()[:100]
                yield work.schedule(row, table, taken=bool(slug) and slugs.again(table, slug))
        for row in each("workers"):
            yield work.worker(row, naive, self._lost_workers(row))
        moments, twins_of = Seen(), Counter[tuple[str, str]]()
        for table in (self.runs, "chief_duty_executions"):
            for row in each(table):
                moment = work.moment_of(row, table)
                if moments.again(*moment):
                    twins_of[moment] += 1
                yield work.run(row, table, twin=twins_of.get(moment, 0))
        for row in each("priorities"):
            yield work.priority(row)
        for table in ("pings", "reminders"):
            for row in each(table):
                yield sessions.ping(row, table)
        yield from self._notifications()
        for row in each("staged_content"):
            yield work.staged(row)
        for row in each("handoffs"):
            yield sessions.handoff(row)
        for row in each("observations"):
            yield sessions.observation(row, self.agent)
        for row in each("events"):
            yield sessions.event(row, self._session_of(row), self.agent)

    def _has(self, table: str, column: str) -> bool:
        return column in self.database.tables.get(table, ())

    def _there(self, table: str, key: str, value: Any) -> bool:
        if not self._has(table, key):
            return False
        sql = f"SELECT 1 AS here FROM {table} WHERE {key} = ?"  # noqa: S608
        return next(self.database.rows(sql, (value,)), None) is not None

    # --- Sessions -------------------------------------------------------------------------

    def _no_parent(self, row: Mapping[str, Any]) -> str:
        """Why a session cannot have the parent that it names; empty where it can."""
        if not row.get("parent_session_id"):
            return ""
        return self.database.ring(
            "sessions",
            self.session_id,
            "parent_session_id",
            row,
            what="sessions",
            most=MOST_PARENTS,
        )

    def _lost_run(self, row: Mapping[str, Any]) -> str:
        named = str(row.get("mission_execution_id") or "")
        tables = (self.runs, "chief_duty_executions")
        there = not named or any(self._there(table, "id", named) for table in tables)
        return "" if there else named

    def _lost_workers(self, row: Mapping[str, Any]) -> list[str]:
        named = Fields(row).json("depends_on_json", list)
        keys = [one for one in named if isinstance(one, str) and one]
        mine = str(row.get("id"))
        return [one for one in keys if one == mine or not self._there("workers", "id", one)]

    def _session_of(self, row: Mapping[str, Any]) -> str:
        """The session that an event's actor is, or whose worker it is."""
        actor = str(row.get("actor") or "")
        if actor and self._there("sessions", self.session_id, actor):
            return actor
        column = (
            "spawned_by_session" if self._has("workers", "spawned_by_session") else "session_id"
        )
        if not actor or not self._has("workers", column):
            return ""
        sql = f"SELECT {column} AS session FROM workers WHERE id = ?"  # noqa: S608
        worker = next(self.database.rows(sql, (actor,)), None)
        session = str(worker["session"] or "") if worker is not None else ""
        return session if self._there("sessions", self.session_id, session) else ""

    def _twins(self) -> dict[str, list[str]]:
        """Sessions of one native id, where there are several."""
        if not self._has("sessions", "claude_session_id"):
            return {}
        found: dict[str, list[str]] = defaultdict(list)
        sql = (
            f"SELECT {self.session_id} AS id, claude_session_id AS native FROM sessions "  # noqa: S608
            "WHERE claude_session_id IN (SELECT claude_session_id FROM sessions WHERE "
            "claude_session_id <> '' GROUP BY claude_session_id HAVING count(*) > 1)"
        )
        for row in self.database.rows(sql):
            found[row["native"]].append(str(row["id"]))
        return found

    # --- Contacts -------------------------------------------------------------------------

    def _same_people(self) -> None:
        """Every email and number in its one spelling, by which contacts may be the same."""
        run = self.database.run
        run("CREATE TEMP TABLE reached (what TEXT, value TEXT, contact TEXT)")
        run("CREATE INDEX temp.reached_value ON reached (what, value)")
        run("CREATE INDEX temp.reached_contact ON reached (contact)")
        for row in self.database.table("contacts"):
            for what, value in _reached(row):
                run("INSERT INTO reached VALUES (?, ?, ?)", (what, value, str(row["id"])))

    def _contacts(self) -> Iterator[Entry]:
        has_tags = "contact_tags" in self.database.tables
        tags_of = "SELECT tag FROM contact_tags WHERE contact_id = ? ORDER BY rowid"
        seen = Seen()
        for row in self.database.table("contacts"):
            again = seen.again(str(row["id"]))
            tags = self.database.rows(tags_of, (row["id"],)) if has_tags and not again else ()
            yield people.contact(row, [one["tag"] for one in tags], self._others(str(row["id"])))
        if has_tags:
            there = "SELECT 1 FROM contacts c WHERE c.id = t.contact_id"
            if "contacts" not in self.database.tables:
                there = "SELECT 1 WHERE 0"
            sql = (
                f"SELECT contact_id, tag FROM contact_tags t WHERE NOT EXISTS ({there}) "  # noqa: S608
                "ORDER BY t.rowid"
            )
            for row in self.database.rows(sql):
                key = str(row["contact_id"])
                yield parts.skipped("contact_tags", key, f"the contact {key!r:.80} is not there")

    def _others(self, contact: str) -> dict[str, list[str]]:
        sql = (
            "SELECT o.what, o.contact FROM reached m JOIN reached o USING (what, value) "
            "WHERE m.contact = ? AND o.contact <> m.contact ORDER BY o.rowid"
        )
        found: dict[str, list[str]] = {}
        for row in self.database.rows(sql, (contact,)):
            found.setdefault(row["what"], []).append(row["contact"])
        return found

    # --- Notifications --------------------------------------------------------------------

    def _notifications(self) -> Iterator[Entry]:
        """What tells of nothing that is there, to a session that is not there, tells nothing."""
        table = "conversation_notifications"
        entity = "entity_id" if self._has(table, "entity_id") else "worker_id"
        tables = [name for name in ("workers", self.schedules, self.runs)
                  if name in self.database.tables]  # fmt: skip
        there = " OR ".join(
            [f"n.{entity} IN (SELECT id FROM {name})" for name in tables]  # noqa: S608
            + ([f"n.session_id IN (SELECT {self.session_id} FROM sessions)"]  # noqa: S608
               if self._has(table, "session_id") else [])
        )  # fmt: skip
        if table in self.database.tables:
            sql = f"SELECT n.*, ({there}) AS is_known FROM {table} n ORDER BY n.rowid"  # noqa: S608
            for row in self.database.rows(sql):
                yield sessions.notification(row, known=bool(row.pop("is_known")))


def _reached(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(ValueError):
        if row.get("email"):
            yield "email", read_email(str(row["email"]))
    with contextlib.suppress(ValueError):
        if row.get("phone"):
            yield "phone", read_phone(str(row["phone"]), people.REGION)[0]
