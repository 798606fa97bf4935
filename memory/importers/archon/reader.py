"""Reads an Archon: from a dump or from its database, by way of a stage."""

import contextlib
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from memory.importers.archon import mapping
from memory.importers.archon.dump import CutOff, Dump, DumpError
from memory.importers.archon.live import is_address, stage_live
from memory.importers.archon.stage import Stage, Staged
from memory.importers.archon.tables import IGNORED, TABLES, TELLING
from memory.importers.problems import Code, Finding, Problem, SourceError
from memory.importers.rows import Entry
from memory.importers.sniff import HEAD_BYTES, existing_file, sniff
from memory.importers.source import Options
from memory.importers.storable import shown
from memory.importers.values import parse_time

_GZIP = b"\x1f\x8b"
_SQL = re.compile(
    rb"^\s*(?:--|/\*|\\restrict|SET\s|SELECT\s+pg_catalog|COPY\s|INSERT\s+INTO|CREATE\s|BEGIN\b|"
    rb"ALTER\s|START\s|TRUNCATE\s)",
    re.IGNORECASE | re.MULTILINE,
)
# When an event was, in seconds. Functions are given as text only what is UTF-8.
_AT = 'moment(CAST(e."timestamp" AS BLOB))'
# Beyond this, subtasks of subtasks are a chain that nobody made on purpose.
MAX_DEPTH = 1000


class Archon:
    name = "archon"
    title = "Archon (PostgreSQL dump or address)"
    times = (
        "sessions and events as they are stored, with their zone; projects, tasks and document "
        "versions were written as local times without a zone and stored as if they were UTC, so "
        "they are read as UTC unless --time-zone names the zone of the machine that wrote them"
    )

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        stage = Stage(scratch / "archon.db")
        live = is_address(where)
        if live:
            stage_live(where, stage)
        else:
            _stage_dump(Path(where).expanduser(), stage)
        stage.finish()
        with contextlib.closing(Staged(stage, "the address" if live else where)) as staged:
            yield Reader(staged, options)


ARCHON = Archon()


# --- A dump -------------------------------------------------------------------------------------


def _stage_dump(path: Path, stage: Stage) -> None:
    existing_file(path, "name the dump file in it")
    name = shown(path)
    try:
        with _opened(path) as stream:
            head = stream.read(HEAD_BYTES)
            guess = sniff(path)
            if not _looks_like_sql(head) or guess.importer not in (None, "archon"):
                raise SourceError(f"{name} {guess.sentence(path)}")
        with _opened(path) as stream:
            is_other = _take(Dump(stream), stage)
    except (CutOff, EOFError, zlib.error) as error:
        said = error if isinstance(error, CutOff) else "it ends in the middle of its gzip data"
        raise SourceError(
            f"{name} is cut off ({said}): copy or make the dump again; nothing was imported"
        ) from None
    except DumpError as error:
        raise SourceError(f"{name} cannot be read as a dump: {error}") from None
    except gzip.BadGzipFile as error:
        raise SourceError(
            f"{name} is a damaged gzip file ({error}): copy or make the dump again"
        ) from None
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror or error}") from None
    if is_other:
        found = ", ".join(sorted(stage.columns, key=lambda name: ("." in name, name))[:5])
        what = f"a dump of something else, with the tables {found}" if found else "SQL without rows"
        raise SourceError(f"{name} is no dump of an Archon database: it looks like {what}")


def _opened(path: Path) -> BinaryIO:
    with open(path, "rb") as stream:
        packed = stream.read(len(_GZIP)) == _GZIP
    return cast(BinaryIO, gzip.open(path)) if packed else open(path, "rb")


def _looks_like_sql(head: bytes) -> bool:
    if b"\x00" in head or head.lstrip()[:1] in (b"{", b"["):
        return False
    return _SQL.search(head) is not None


def _take(dump: Dump, stage: Stage) -> bool:
    """Everything of a dump, by the schema of the first of Archon's tables; whether it is of
    something else."""
    schema: str | None = None
    for row in dump.rows():
        table = row.table
        if schema is None and table.name in TABLES:
            schema = table.schema
        name = _shown_name(table.schema, table.name, schema)
        if row.problem:
            stage.broken(name, row.line, row.problem)
        else:
            stage.add(name, table.columns, row.values)
    for (space, name), table in dump.tables.items():
        if schema is None and name in TELLING:
            schema = space
        stage.table(_shown_name(space, name, schema), table.columns)
    return TABLES.keys().isdisjoint(stage.columns)


def _shown_name(space: str, name: str, schema: str | None) -> str:
    """Tables of the same name in another schema are not the ones."""
    mine = space == schema or (space == "public" and name not in TABLES)
    return name if mine else f"{space}.{name}"


# --- What is staged -----------------------------------------------------------------------------


class Reader:
    """An open stage. What is pointed at comes before what points at it, where it can."""

    def __init__(self, staged: Staged, options: Options) -> None:
        self.staged = staged
        self.zone = options.zone
        self.totals: Mapping[str, int] = {
            table: staged.count(table) for table in TABLES if table in staged.tables
        }
        self.problems: Sequence[Problem] = [*staged.unknown(TABLES, IGNORED), *self._zone_notice()]
        staged.connection.create_function("moment", 1, _moment, deterministic=True)
        self.agents = self._agents()

    def entries(self) -> Iterator[Entry]:
        each = self.staged.table
        yield from self._broken()
        yield from self._projects()
        for row in each("archon_sources"):
            yield mapping.source(row)
        yield from self._tasks()
        yield from self._sessions()
        yield from self._events()
        for row in each("archon_document_versions"):
            task = row.get("task_id") or ""
            project = row.get("project_id") or self._one("archon_tasks", task, "project_id")
            lost = self.staged.has("archon_tasks") and not self._there("archon_tasks", task)
            yield mapping.document_version(
                row, project or "", self.zone, lost_task=task if lost else ""
            )

    def _broken(self) -> Iterator[Entry]:
        for table, line, reason in self.staged.broken():
            finding = Finding(Code.INCOMPLETE, reason, "skipped")
            yield Entry(table, f"line {line}", findings=[finding])

    def _zone_notice(self) -> Iterator[Problem]:
        tables = [name for name in ("archon_projects", "archon_tasks") if self.staged.has(name)]
        if self.zone is None and tables:
            yield Problem(
                tables[-1], None,
                "times of projects, tasks and document versions were written without their zone",
                "read as UTC; name the writer's zone with --time-zone if they are off",
                Code.NO_TIME_ZONE,
            )  # fmt: skip

    def _one(self, table: str, key: str | None, column: str) -> str | None:
        """A column of the row `key`."""
        if key is None:
            return None
        sql = f'SELECT "{column}" AS found FROM {table} WHERE id = ?'  # noqa: S608
        return next((row["found"] for row in self.staged.rows(sql, (key,))), None)

    def _there(self, table: str, key: str | None) -> bool:
        return self._one(table, key, "id") is not None

    # --- Projects and their sources -------------------------------------------------------

    def _projects(self) -> Iterator[Entry]:
        links_of = (
            "SELECT p.*, s.title AS source_title, s.source_url, s.source_id IS NOT NULL "
            "AS is_known FROM archon_project_sources p "
            "LEFT JOIN archon_sources s ON s.source_id = p.source_id "
            "WHERE p.project_id = ? ORDER BY p.rowid"
        )
        for row in self.staged.table("archon_projects"):
            links = list(self.staged.rows(links_of, (row["id"],)))
            yield mapping.project(row, [link for link in links if link["is_known"]], self.zone)
            for link in links:
                if not link["is_known"]:
                    yield mapping.lost_link(link, f"the source {link['source_id']!r:.80}")
        lost = (
            "SELECT * FROM archon_project_sources p WHERE NOT EXISTS "
            "(SELECT 1 FROM archon_projects x WHERE x.id = p.project_id) ORDER BY p.rowid"
        )
        for link in self.staged.rows(lost):
            yield mapping.lost_link(link, f"the project {link['project_id']!r:.80}")

    # --- Tasks ----------------------------------------------------------------------------

    def _tasks(self) -> Iterator[Entry]:
        for row in self.staged.table("archon_tasks"):
            parent = row.get("parent_task_id")
            why = self._no_parent(row, parent) if parent else ""
            yield mapping.task(row, self.zone, no_parent=why)

    def _no_parent(self, row: Mapping[str, Any], parent: str) -> str:
        """Why a task cannot have the parent that it names; empty where it can, or where the parent
        is not there."""
        if why := self.staged.ring(
            "archon_tasks", "id", "parent_task_id", row, what="tasks", most=MAX_DEPTH
        ):
            return why
        other = self._one("archon_tasks", parent, "project_id")
        if self._there("archon_tasks", parent) and other != row.get("project_id"):
            return "its parent belongs to another project"
        return ""

    # --- Sessions and events --------------------------------------------------------------

    def _agents(self) -> dict[str, str]:
        """Each agent, spelt as most of its sessions do."""
        spelt: dict[str, Counter[str]] = {}
        sql = "SELECT agent, count(*) AS n FROM archon_sessions GROUP BY agent ORDER BY agent"
        for row in self.staged.rows(sql):
            name = " ".join((row["agent"] or "").split())
            spelt.setdefault(name.casefold(), Counter())[name] += row["n"]
        return {folded: names.most_common(1)[0][0] for folded, names in spelt.items()}

    def _sessions(self) -> Iterator[Entry]:
        sql = (
            f"SELECT s.*, (SELECT max({_AT}) FROM archon_session_events e "  # noqa: S608
            "WHERE e.session_id = s.id) AS last_event FROM archon_sessions s ORDER BY s.rowid"
        )
        for row in self.staged.rows(sql):
            yield mapping.session(row, self.agents)

    def _events(self) -> Iterator[Entry]:
        """Session by session, each in the order of time."""
        tasks = self.staged.has("archon_tasks")
        order = f"{_AT}, e.rowid"
        if self.staged.has("archon_sessions"):
            sql = (
                "SELECT e.*, s.rowid IS NOT NULL AS is_known FROM archon_session_events e "  # noqa: S608
                f"LEFT JOIN archon_sessions s ON s.id = e.session_id ORDER BY s.rowid, {order}"
            )
        else:
            # Of a dump without sessions: they may have been brought before.
            sql = (
                "SELECT e.*, e.session_id IS NOT NULL AS is_known FROM archon_session_events e "  # noqa: S608
                f"ORDER BY e.session_id, {order}"
            )
        for row in self.staged.rows(sql):
            known = bool(row.pop("is_known"))
            task = mapping.task_of(row)
            lost = bool(task) and tasks and not self._there("archon_tasks", task)
            yield mapping.event(row, known=known, lost_task=task if lost else "")


def _moment(text: bytes | None) -> float | None:
    moment = None if text is None else parse_time(text.decode("utf-8", "replace"))
    return None if moment is None else moment.timestamp()
