"""One run of an import: read, written batch by batch, checked, and kept as an ImportRun.

Each batch commits, so that a run that was killed loses nothing but its last one; the next run reads
all again and finds what is there. A dry run does all of this in one transaction that is rolled
back: its report is the real one, and nothing is written.
"""

import contextlib
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import IntegrityError, OperationalError, transaction

from config.lib import clock
from config.lib.actor import Actor
from config.lib.disk import database_is_full, says_full
from config.lib.errors import Erased, NoRoom
from config.lib.ids import new_id
from config.lib.redact import current_extra, looking_once, redact_text, redacting_for
from config.lib.scope import send, set_local, workspace_scope
from config.lib.spans import span
from contacts.services import funnel
from memory.importers.ahead import ahead, give_way
from memory.importers.archon import ARCHON
from memory.importers.archon.live import is_address
from memory.importers.check import check, numbered
from memory.importers.joined import drop_told_twice
from memory.importers.made import make_appended, make_row
from memory.importers.problems import Code, Finding, SourceError
from memory.importers.report import ImportReport
from memory.importers.rows import Entry
from memory.importers.scratch import no_room, scratch_folder
from memory.importers.source import Options, Reading, Source
from memory.importers.spool import Spool
from memory.importers.storable import shown
from memory.importers.texts import cut_texts
from memory.importers.writer import Writer
from memory.models import ImportRun
from memory.models.imports import ImportState
from memory.services.sources import Cut, cut_before

Progress = Callable[[ImportReport, str], None]
BATCH_ROWS, BATCH_CHARS = 500, 4_000_000
ATTEMPTS = 4
# As many problems as the row of a run keeps; the report has more.
KEPT_PROBLEMS = 500
# A run of which nothing was heard for so long was killed.
SILENT = 120.0
SAMPLE = 200


class Steps:
    """The transactions of a run: one for each step, or one around all that is rolled back."""

    def __init__(self, workspace_id: uuid.UUID, *, dry_run: bool) -> None:
        self.workspace_id = workspace_id
        self.dry_run = dry_run
        self.begun = 0

    @contextlib.contextmanager
    def all(self) -> Iterator[None]:
        if not self.dry_run:
            yield
            return
        undone = contextlib.suppress(_RolledBack)
        with workspace_scope(self.workspace_id), undone, transaction.atomic():
            yield
            raise _RolledBack

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        self.begun += 1
        if self.dry_run:
            with transaction.atomic():
                self._plan_anew()
                yield
            return
        with workspace_scope(self.workspace_id):
            self._plan_anew()
            # What a crash loses is read again by the next run.
            set_local("synchronous_commit", "off")
            yield

    def _plan_anew(self) -> None:
        """With each doubling of the steps. The plans by which foreign keys are checked are kept,
        and were made when the tables were empty: by any index that begins with the workspace, of
        which each check then reads all. PostgreSQL makes new ones when autovacuum has counted a
        table, but that comes once a minute, and to a dry run, which commits nothing, never."""
        if self.begun & (self.begun - 1) == 0:
            send("DISCARD PLANS")


class Stopped(Exception):
    """Raised by `progress`: leave it at that. Whoever stops a run says what state it is in."""


class _RolledBack(Exception):
    """The end of a dry run."""


def run_import(
    *,
    workspace_id: uuid.UUID,
    source: Source,
    where: str,
    options: Options | None = None,
    dry_run: bool = False,
    since: datetime | None = None,
    compare: int = SAMPLE,
    started_by: str = "",
    progress: Progress = lambda report, line: None,
    continued: uuid.UUID | None = None,
) -> ImportReport:
    """Read all of `where` into a workspace. Outside any scope; can run again.

    Raises SourceError, one line, when there is nothing to read. `since` leaves out rows that are
    older. `compare` is how many rows of each table are compared field by field afterwards.
    `continued` is a run that is there already; what it brought before it was killed counts as
    brought by it.
    """
    options = options or Options()
    run_id = continued or new_id()
    actor = Actor("import", str(run_id), f"import {source.name} {_name(where)}"[:200], "import")
    report = ImportReport(source.name, _without_password(where), str(run_id), dry_run)
    _require_readable(source, where)
    stamp = _stamp(where)
    with one_line(), scratch_folder() as scratch:
        (scratch / "source").mkdir()
        with source.open(where, scratch / "source", options) as reading:
            steps = Steps(workspace_id, dry_run=dry_run)
            spool = Spool(scratch)
            run = _Run(source, reading, report, steps, actor, spool, since, progress)
            with contextlib.closing(spool), steps.all():
                with steps.step():
                    _close_lost(source.name)
                    extra = current_extra()
                    row = run.resume(continued) if continued else run.begin(options, started_by)
                # Read and redacted in a thread of its own, which does not touch the database.
                with redacting_for(workspace_id, extra):
                    run.go(row, compare, changed=lambda: _stamp(where) != stamp)
    return report


class _Run:
    def __init__(
        self,
        source: Source,
        reading: Reading,
        report: ImportReport,
        steps: Steps,
        actor: Actor,
        spool: Spool,
        since: datetime | None,
        progress: Progress,
    ) -> None:
        self.source = source
        self.reading = reading
        self.report = report
        self.steps = steps
        self.actor = actor
        self.spool = spool
        self.since = since
        self.progress = progress
        self.writer = Writer(source=source.name, actor=actor, spool=spool, report=report)
        self.began = time.monotonic()
        # Rows by table that this run brought before it was killed.
        self.earlier: dict[str, dict[str, int]] = {}
        # How many problems its row has of this process; none of what it found before it was killed.
        self.kept_problems = -1
        # Whether the source has written its rows of the batch that is being stored.
        self.written = False

    def go(self, row: ImportRun, compare: int, changed: Callable[[], bool]) -> None:
        report = self.report
        for table, rows in self.reading.totals.items():
            report.table(table).total = rows
        for problem in self.reading.problems:
            report.problems.add(problem)
        try:
            with contextlib.closing(ahead(self._batches())) as batches:
                for batch, cut, clean in batches:
                    with cut_before(cut), looking_once(clean):
                        self._store(batch, row)
                    self.progress(report, self._line("read"))
            for table, rows in self.reading.totals.items():
                report.table(table).total = rows
            for waiting in self.spool.batches():
                with self.steps.step():
                    self.writer.settle(waiting)
                    self._beat(row)
                self._note_time()
                self.progress(report, self._line("linked"))
            drop_told_twice(self.source.name, self.actor, self.steps.step)
            self.progress(report, "checking")
            report.checked = check(
                self.source, self.reading, report, self.steps.step, self.since, compare
            )
            if not report.checked.ok and changed():
                report.checked.differences.append(
                    "the source was changed while it was read: run the import again"
                )
        except Stopped:
            raise
        except NoRoom as error:
            # A page's run goes on when there is room; a command's is started again.
            if not row.by_page:
                self._fail(row, error)
            raise
        except BaseException as error:
            if not self.steps.dry_run:
                self._fail(row, error)
            raise
        with self.steps.step():
            self._beat(row, state=ImportState.DONE, ended_at=clock.now())

    def begin(self, options: Options, started_by: str) -> ImportRun:
        asked: dict[str, Any] = {"agent": options.agent} if options.agent else {}
        if options.keep_ids:
            asked["keep_ids"] = True
        if options.zone is not None:
            asked["time_zone"] = str(options.zone)
        if self.since is not None:
            asked["since"] = self.since.isoformat()
        run = ImportRun(
            id=uuid.UUID(self.report.run_id),
            source=self.source.name,
            path=self.report.path[:2000],
            options=asked,
            actor_label=started_by[:200],
        )
        # It is its own history.
        funnel.append([run], actor=self.actor)
        return run

    def _batches(self) -> Iterator[tuple[list[Entry], Cut, set[str]]]:
        """Each with the chunks of its texts, and the texts that hold no secrets."""
        for batch in _batches(self.reading.entries()):
            cut: Cut = {}
            with looking_once() as clean:
                for entry in batch:
                    give_way()
                    if not self._is_older(entry):
                        self._prepare(entry, cut)
            yield batch, cut, clean

    def _prepare(self, entry: Entry, cut: Cut) -> None:
        """All that needs no database: the reader has time for it, while that works."""
        self.writer.cleaner.clean(entry)
        # What is there already is neither cut nor made again.
        if self.writer.makes_rows:
            # Its own row; further drafts are most often of rows that others name too.
            for draft in entry.drafts[:1]:
                draft.made = make_row(draft, self.source.name, self.steps.workspace_id)
            entry.appended = [make_appended(one, self.steps.workspace_id) for one in entry.appended]
            if entry.work is not None:
                entry.work.prepare(self.steps.workspace_id)
            cut_texts(entry, cut)

    def _is_older(self, entry: Entry) -> bool:
        return self.since is not None and entry.at is not None and entry.at < self.since

    def resume(self, run_id: uuid.UUID) -> ImportRun:
        run = ImportRun.objects.get(pk=run_id)
        self.earlier = run.counts
        return run

    def _store(self, batch: list[Entry], row: ImportRun) -> None:
        """One transaction; of rows that a source writes itself, again where another run or an
        agent wrote the same ones."""
        own = batch[0].work is not None
        for attempt in range(ATTEMPTS if own else 1):
            self.written = False
            try:
                with self.steps.step():
                    if own:
                        self._work(batch[0])
                    else:
                        self._write(batch)
                    self._beat(row)
                self._note_time()
                return
            except (IntegrityError, OperationalError):
                # What was written is counted, and known to whoever wrote it: not twice.
                if self.written or attempt == ATTEMPTS - 1 or not own:
                    raise

    def _note_time(self) -> None:
        """What the rate is of: reading, writing and linking; the check at the end is none of it."""
        self.report.seconds = round(time.monotonic() - self.began, 3)

    def _work(self, entry: Entry) -> None:
        assert entry.work is not None
        try:
            with transaction.atomic():
                tally = entry.work.write(self.actor)
                self.written = True
        except Erased as refusal:
            found = Finding(Code.REFUSED, refusal.detail, "left out")
            self.report.table(entry.table).note("skipped")
            self.report.problems.add(found.of(entry.table, entry.key))
            return
        for table, outcomes in tally.tables.items():
            for outcome, rows in outcomes.items():
                self.report.table(table).note(outcome, rows)
        for name, rows in tally.made.items():
            self.report.rows[name] += rows
        self.writer.makes_rows = tally.made.total() > 0
        for problem in tally.problems:
            self.report.problems.add(problem)
        self.report.redacted += tally.redacted

    def _write(self, batch: list[Entry]) -> None:
        fresh = []
        for entry in batch:
            if self._is_older(entry):
                self.report.table(entry.table).note("older")
                for draft in entry.drafts[:1]:
                    for table, rows in draft.also.items():
                        self.report.table(table).note("older", rows)
            else:
                fresh.append(entry)
        self.writer.write(fresh)

    def _beat(self, row: ImportRun, **more: object) -> None:
        report = self.report
        checked = {} if report.checked is None else report.checked.as_dict()
        kept = report.problems.kept[:KEPT_PROBLEMS]
        if len(kept) != self.kept_problems:
            # Not with each batch: there may be hundreds, and the same for all the rest of a run.
            more["problems"] = [problem.as_dict() for problem in kept]
            self.kept_problems = len(kept)
        funnel.touch(
            row,
            counts=_together(self.earlier, report.counts()),
            problem_counts={str(code): n for code, n in report.problems.by_code.items()},
            redacted=report.redacted,
            checked=checked,
            beat_at=clock.now(),
            **more,
        )

    def _fail(self, row: ImportRun, error: BaseException) -> None:
        # The database may be what failed.
        with contextlib.suppress(Exception), self.steps.step():
            # What the last beat told may have been rolled back.
            self.kept_problems = -1
            said = str(_explained(error)) or type(error).__name__
            self._beat(row, state=ImportState.FAILED, error=said[:20_000], ended_at=clock.now())

    def _line(self, what: str) -> str:
        report = self.report
        done, total = report.sum("read"), max(report.sum("total"), report.sum("read"))
        rate = report.rate
        left = (
            f", {span(timedelta(seconds=round((total - done) / rate)))} left"
            if rate and done < total
            else ""
        )
        return f"{done:,} of {total:,} rows {what}, {rate:,.0f}/s{left}"


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """Entries in groups that fit one transaction, by count and by size."""
    batch: list[Entry] = []
    size = 0
    for entry in numbered(entries):
        give_way()
        if entry.work is not None:
            if batch:
                yield batch
                batch, size = [], 0
            yield [entry]
            continue
        batch.append(entry)
        size += entry.size
        if len(batch) >= BATCH_ROWS or size >= BATCH_CHARS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _together(
    earlier: dict[str, dict[str, int]], counts: dict[str, dict[str, int]]
) -> dict[str, dict[str, int]]:
    """What a run that was killed had brought is found unchanged when it goes on, and is its own."""
    found = dict(counts)
    for table, before in earlier.items():
        now = dict(found.get(table) or dict.fromkeys(before, 0) | {"total": before["total"]})
        mine = before["created"] + before["updated"]
        now["unchanged"] -= min(mine, now["unchanged"])
        now["created"] += before["created"]
        now["updated"] += before["updated"]
        found[table] = now
    return found


def _close_lost(source: str) -> None:
    """Runs of this source that were killed say so; what they wrote stays, and is theirs. Those that
    a job does, go on by themselves."""
    silent = clock.now().timestamp() - SILENT
    lost = ImportRun.objects.filter(source=source, state=ImportState.RUNNING, by_page=False)
    for run in lost:
        if run.beat_at.timestamp() < silent:
            funnel.touch(run, state=ImportState.INTERRUPTED, ended_at=run.beat_at)


def _require_readable(source: Source, where: str) -> None:
    """Refuses what no source can read. Whoever opens a pipe waits for what nobody may ever write,
    and reads it but once; what stands in an address may be a password."""
    scheme, is_one, _ = where.partition("://")
    if is_one:
        if source.name == ARCHON.name and is_address(where):
            return
        raise SourceError(
            f"{shown(Path(scheme))}://... is an address, and only {ARCHON.name} reads one "
            "(postgresql://user:password@host:5432/database); name a file or a folder"
        )
    path = Path(where).expanduser()
    if path.exists() and not path.is_file() and not path.is_dir():
        raise SourceError(f"{shown(path)} is neither a file nor a folder; save it as a file first")


def _stamp(where: str) -> tuple[int, int] | None:
    """What of a file shows that somebody wrote to it; None of what is no file."""
    path = Path(where).expanduser()
    if "://" in where or not path.is_file():
        return None
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Around work of an import: a full disk is a SourceError, whoever says so."""
    try:
        yield
    except Exception as error:
        said = _explained(error)
        if said is error:
            raise
        raise said from error


def _explained(error: BaseException) -> BaseException:
    """The error, or one line for what an operator can do something about."""
    if database_is_full(error):
        return SourceError(
            "no space left on the database's disk: free some and do it again; it goes on where it "
            "was"
        )
    if isinstance(error, (OSError, sqlite3.Error)) and says_full(error):
        return no_room()
    return error


def _name(where: str) -> str:
    return shown(Path(_without_password(where))).rsplit("/", 1)[-1]


def _without_password(where: str) -> str:
    if "://" not in where:
        return redact_text(shown(Path(where)))
    # What an address has behind its question mark may be a password too.
    return redact_text(where.partition("?")[0])
