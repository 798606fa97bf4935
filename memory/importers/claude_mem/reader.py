"""Reads claude-mem.db, of every version: columns that were renamed since have today's names."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memory.importers.claude_mem import mapping
from memory.importers.problems import Problem
from memory.importers.rows import Entry
from memory.importers.source import Options
from memory.importers.sqlite import Database, opened, quoted, wrong_kind

# Of what it keeps for its own synchronisation between machines.
_SYNC = ("origin_device_id", "origin_local_id", "sync_rev", "synced_at")
_TIMES = ("created_at", "created_at_epoch")
# Which tables are carried over, with all columns that a version of it has had.
TABLES: dict[str, tuple[str, ...]] = {
    "sdk_sessions": (
        "id", "content_session_id", "claude_session_id", "memory_session_id", "sdk_session_id",
        "project", "platform_source", "user_prompt", "started_at", "started_at_epoch",
        "completed_at", "completed_at_epoch", "status", "worker_port", "prompt_counter",
        "custom_title", "observed_model", "observed_billing", *_SYNC,
    ),
    "user_prompts": (
        "id", "session_db_id", "content_session_id", "claude_session_id", "prompt_number",
        "prompt_text", *_TIMES, *_SYNC,
    ),
    "tool_uses": (
        "id", "tool_use_id", "content_session_id", "memory_session_id", "session_db_id", "project",
        "platform_source", "tool_name", "tool_input", "tool_response", "cwd", "prompt_number",
        "agent_type", "agent_id", "observation_id", "or_generation_id", "or_session_id",
        "content_hash", *_TIMES, *_SYNC,
    ),
    "observations": (
        "id", "memory_session_id", "sdk_session_id", "project", "text", "type", "title",
        "subtitle", "facts", "narrative", "concepts", "files_read", "files_modified",
        "prompt_number", "discovery_tokens", "content_hash", "agent_type", "agent_id",
        "generated_by_model", "merged_into_project", "relevance_count", "metadata", *_TIMES, *_SYNC,
    ),
    "session_summaries": (
        "id", "memory_session_id", "sdk_session_id", "project", "request", "investigated",
        "learned", "completed", "next_steps", "files_read", "files_edited", "notes",
        "prompt_number", "discovery_tokens", "merged_into_project", *_TIMES, *_SYNC,
    ),
}  # fmt: skip
IGNORED = {
    "schema_versions": "which version the database is of",
    "pending_messages": "its own queue",
    "telegram_wrapups": "which summaries it has sent",
    "observation_feedback": "how often its own search used them",
    **{
        f"sync_{name}": "its synchronisation between machines"
        for name in (
            "state", "outbox", "entity_heads", "content_outbox", "dead_letter", "launch_exclusions"
        )
    },
}  # fmt: skip
_RENAMED = {"claude_session_id": "content_session_id", "sdk_session_id": "memory_session_id"}
# A word index keeps tables of its own beside the one that it is of.
_INDEX = "_fts"


class ClaudeMem:
    name = "claude-mem"
    title = "claude-mem (~/.claude-mem/claude-mem.db)"
    times = (
        "UTC: the columns of milliseconds (`*_epoch`) are what counts; a text without a zone, read "
        "where there are none, is UTC"
    )

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        path = Path(where).expanduser()
        if path.is_dir() and (path / "claude-mem.db").is_file():
            path = path / "claude-mem.db"
        with opened(path, scratch, TABLES) as database:
            if "sdk_sessions" not in database.tables:
                raise wrong_kind(path, "claude-mem database")
            yield Reader(database, options.agent)


CLAUDE_MEM = ClaudeMem()


class Reader:
    """An open database. Sessions come before what happened in them."""

    def __init__(self, database: Database, agent: str) -> None:
        self.database = database
        self.agent = agent
        for name in [name for name in database.tables if _INDEX in name]:
            del database.tables[name]
        self.totals: Mapping[str, int] = {
            table: database.count(table) for table in TABLES if table in database.tables
        }
        self.problems: Sequence[Problem] = database.unknown(TABLES, IGNORED)
        self._sessions()

    def entries(self) -> Iterator[Entry]:
        for row in self._rows("sdk_sessions"):
            yield mapping.session(row, self.agent)
        yield from self._placed("user_prompts", mapping.prompt)
        yield from self._placed("tool_uses", mapping.tool_use)
        for table, read in (
            ("observations", mapping.observation),
            ("session_summaries", mapping.summary),
        ):
            for row in self._rows(table):
                row["session_key"] = self._key_of("memory", row.get("memory_session_id"))
                yield read(row)

    def _placed(self, table: str, read: Callable[[mapping.Row], Entry]) -> Iterator[Entry]:
        for row in self._rows(table):
            row["session_key"] = self._key_of("id", row.get("session_db_id")) or self._key_of(
                "content", row.get("content_session_id")
            )
            if row["session_key"]:
                yield read(row)
            else:
                target = str(row.get("content_session_id"))
                yield mapping.lost(table, str(row["id"]), "content_session_id", target)

    # --- Which session ----------------------------------------------------------------------

    def _sessions(self) -> None:
        """The key of each session, by each of the three names that rows have for it."""
        run = self.database.connection.execute
        run("CREATE TEMP TABLE named (how TEXT, name TEXT, key TEXT, PRIMARY KEY (how, name))")
        for row in self._rows("sdk_sessions"):
            key = mapping.session_key(row)
            for how, column in (
                ("id", "id"), ("content", "content_session_id"), ("memory", "memory_session_id"),
            ):  # fmt: skip
                if row.get(column) is not None:
                    name = _storable(row[column])
                    run("INSERT OR IGNORE INTO named VALUES (?, ?, ?)", (how, name, key))

    def _key_of(self, how: str, name: Any) -> str:
        if name is None:
            return ""
        sql = "SELECT key FROM named WHERE how = ? AND name = ?"
        for row in self.database.rows(sql, (how, _storable(name))):
            return str(row["key"])
        return ""

    def _rows(self, table: str) -> Iterator[dict[str, Any]]:
        for row in self.database.table(table, order=quoted("id")):
            for old, new in _RENAMED.items():
                if old in row:
                    row.setdefault(new, row[old])
            yield row


def _storable(value: Any) -> str:
    """As SQLite takes a text, which lone surrogates are not."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
