"""One run of an import: read, written batch by batch, checked, and kept as an ImportRun.

Each batch commits, so that a run that was killed loses nothing but its last one; the next run reads
all again and finds what is there. A dry run does all of this in one transaction that is rolled
back: its report is the real one, and nothing is written.
"""

import contextlib
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from django.db import IntegrityError, OperationalError, transaction
from psycopg.errors import DiskFull

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Erased
from config.lib.ids import new_id
from config.lib.redact import redact_text
from config.lib.scope import set_local, workspace_scope
from contacts.services import funnel
from memory.importers.ahead import ahead
from memory.importers.check import check, numbered
from memory.importers.problems import Code, Finding, SourceError
from memory.importers.report import ImportReport
from memory.importers.rows import Entry
from memory.importers.source import Options, Reading, Source
from memory.importers.spool import Spool
from memory.importers.storable import shown
from memory.importers.writer import Writer
from memory.models import ImportRun
from memory.models.imports import ImportState

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
        if self.dry_run:
            with transaction.atomic():
                yield
            return
        with workspace_scope(self.workspace_id):
            # What a crash loses is read again by the next run.
            set_local("synchronous_commit", "off")
            yield


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
    with tempfile.TemporaryDirectory(prefix="remembrancer-import-") as folder:
        scratch = Path(folder)
        (scratch / "source").mkdir()
        with source.open(where, scratch / "source", options) as reading:
            steps = Steps(workspace_id, dry_run=dry_run)
            spool = Spool(scratch)
            run = _Run(source, reading, report, steps, actor, spool, since, progress)
            with contextlib.closing(spool), steps.all():
                with steps.step():
                    _close_lost(source.name)
                    row = run.resume(continued) if continued else run.begin(options, started_by)
                run.go(row, compare)
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

    def go(self, row: ImportRun, compare: int) -> None:
        report = self.report
        for table, rows in self.reading.totals.items():
            report.table(table).total = rows
        for problem in self.reading.problems:
            report.problems.add(problem)
        try:
            for batch in ahead(self._batches()):
                self._store(batch, row)
                self.progress(report, self._line("read"))
            for table, rows in self.reading.totals.items():
                report.table(table).total = rows
            for waiting in self.spool.batches():
                with self.steps.step():
                    self.writer.settle(waiting)
                    self._beat(row)
                self.progress(report, self._line("linked"))
            self.progress(report, "checking")
            report.checked = check(
                self.source, self.reading, report, self.steps.step, self.since, compare
            )
        except Stopped:
            raise
        except BaseException as error:
            if not self.steps.dry_run:
                self._fail(row, error)
            raise _explained(error) from error
        with self.steps.step():
            self._beat(row, state=ImportState.DONE, ended_at=clock.now())

    def begin(self, options: Options, started_by: str) -> ImportRun:
        asked = {"agent": options.agent} if options.agent else {}
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

    def _batches(self) -> Iterator[list[Entry]]:
        for batch in _batches(self.reading.entries()):
            for entry in batch:
                if not self._is_older(entry):
                    self.writer.cleaner.clean(entry)
            yield batch

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
            try:
                with self.steps.step():
                    if own:
                        self._work(batch[0])
                    else:
                        self._write(batch)
                    self._beat(row)
                return
            except (IntegrityError, OperationalError):
                if attempt == ATTEMPTS - 1 or not own:
                    raise

    def _work(self, entry: Entry) -> None:
        assert entry.work is not None
        try:
            with transaction.atomic():
                tally = entry.work.write(self.actor)
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
        for problem in tally.problems:
            self.report.problems.add(problem)
        self.report.seconds = round(time.monotonic() - self.began, 3)

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
        self.report.seconds = round(time.monotonic() - self.began, 3)

    def _beat(self, row: ImportRun, **more: object) -> None:
        report = self.report
        checked = {} if report.checked is None else report.checked.as_dict()
        funnel.touch(
            row,
            counts=_together(self.earlier, report.counts()),
            problem_counts={str(code): n for code, n in report.problems.by_code.items()},
            problems=[problem.as_dict() for problem in report.problems.kept[:KEPT_PROBLEMS]],
            redacted=report.redacted,
            checked=checked,
            beat_at=clock.now(),
            **more,
        )

    def _fail(self, row: ImportRun, error: BaseException) -> None:
        # The database may be what failed.
        with contextlib.suppress(Exception), self.steps.step():
            said = str(_explained(error)) or type(error).__name__
            self._beat(row, state=ImportState.FAILED, error=said[:20_000], ended_at=clock.now())

    def _line(self, what: str) -> str:
        report = self.report
        done, total = report.sum("read"), max(report.sum("total"), report.sum("read"))
        rate = report.rate
        left = f", {_duration((total - done) / rate)} left" if rate and done < total else ""
        return f"{done:,} of {total:,} rows {what}, {rate:,.0f}/s{left}"


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """Entries in groups that fit one transaction, by count and by size."""
    batch: list[Entry] = []
    size = 0
    for entry in numbered(entries):
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


def _explained(error: BaseException) -> BaseException:
    """The error, or one line for what an operator can do something about."""
    if isinstance(error, OperationalError) and isinstance(error.__cause__, DiskFull):
        return SourceError(
            "no space left on the database's disk: free some and run the import again; it goes on "
            "where it was"
        )
    return error


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _name(where: str) -> str:
    return shown(Path(_without_password(where))).rsplit("/", 1)[-1]


def _without_password(where: str) -> str:
    if "://" not in where:
        return redact_text(shown(Path(where)))
    # What an address has behind its question mark may be a password too.
    return redact_text(where.partition("?")[0])
