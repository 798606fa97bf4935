"""`manage.py import SOURCE PATH`: bring in what another program has kept, or take it back."""

import gc
import json
import sys
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError

from config.lib.scope import workspace_scope
from config.lib.text import visible
from contacts.management.shell import ShellCommand, shell_actor
from contacts.models import Workspace
from contacts.selectors import get_workspace
from contacts.services.workspaces import adopt_workspace
from memory.backup.making import make_backup
from memory.importers import asked
from memory.importers.problems import SourceError
from memory.importers.registry import SOURCES, WITHOUT_SINCE
from memory.importers.remembrancer import REMEMBRANCER, exported_workspace
from memory.importers.report import ImportReport
from memory.importers.run import run_import
from memory.importers.source import Options
from memory.importers.undo import find_run, undo_import
from memory.importers.values import parse_time
from memory.unlearning.report import named

SHOWN_PROBLEMS = 50
PLAIN_SECONDS = 10.0
DEFAULT = "default"
# Options that have no meaning where a run is taken back.
_OF_AN_IMPORT = ("agent", "time_zone", "keep_ids", "since", "report")


class Command(ShellCommand):
    help = "Import what another program has kept. Running it again adds only what is new."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", nargs="?", choices=sorted(SOURCES), help="what it is")
        parser.add_argument("path", nargs="?", help="a file, a folder or an address of the source")
        parser.add_argument("--workspace", help="slug (default: default)")
        parser.add_argument("--agent", default="", help="whose sessions they are")
        parser.add_argument(
            "--time-zone", metavar="NAME", help="where its times without a zone were written (IANA)"
        )
        parser.add_argument(
            "--keep-ids",
            action="store_true",
            help="of an export: make its workspace here as it was, with its history",
        )
        parser.add_argument("--dry-run", action="store_true", help="read and report, write nothing")
        parser.add_argument("--backup", action="store_true", help="make a verified backup first")
        parser.add_argument("--since", help="leave out what is older (ISO date or time, UTC)")
        parser.add_argument("--verbose", action="store_true", help="list every problem")
        parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        parser.add_argument("--undo", metavar="RUN", help="take back what a run brought (its id)")

    def work(self, options: dict[str, Any]) -> None:
        # Batches of thousands of rows, none of them in a cycle: looking for cycles at every 700
        # new objects is a tenth of an import's time.
        gc.set_threshold(50_000, 20, 100)
        if options["undo"] is not None:
            self._refuse_with_undo(options)
            self._back_up(options)
            try:
                self._undo(options)
            except SourceError as error:
                raise CommandError(str(error)) from None
            return
        if options["source"] is None or options["path"] is None:
            raise CommandError("name a source and a path, or a run with --undo; see --help")
        if options["since"] and options["source"] in WITHOUT_SINCE:
            raise CommandError(f"--since: {WITHOUT_SINCE[options['source']]}")
        zone, since = _zone(options["time_zone"]), _since(options["since"])
        self._back_up(options)
        workspace = self._workspace(options)
        shown = _Shown(self, quiet=options["json"])
        try:
            report = run_import(
                workspace_id=workspace.id,
                source=SOURCES[options["source"]],
                where=options["path"],
                options=Options(
                    agent=options["agent"],
                    zone=zone,
                    keep_ids=options["keep_ids"],
                ),
                dry_run=options["dry_run"],
                since=since,
                started_by=shell_actor("import").label,
                progress=shown.progress,
            )
        except SourceError as error:
            shown.end()
            raise CommandError(str(error)) from None
        shown.end()
        self._report(report, options, workspace)
        checked = report.checked
        if checked is not None and not checked.ok and not options["dry_run"]:
            raise CommandError("it does not add up; see the differences above")

    def _workspace(self, options: dict[str, Any]) -> Workspace:
        if not options["keep_ids"]:
            return get_workspace(options["workspace"] or DEFAULT)
        if options["source"] != REMEMBRANCER.name or options["dry_run"]:
            raise CommandError(f"--keep-ids: only with {REMEMBRANCER.name}, and without --dry-run")
        if options["workspace"] is not None:
            raise CommandError("--keep-ids: makes the workspace of the file; no --workspace")
        try:
            found = exported_workspace(options["path"])
        except SourceError as error:
            raise CommandError(str(error)) from None
        return adopt_workspace(found)

    def _back_up(self, options: dict[str, Any]) -> None:
        if options["backup"]:
            made = make_backup()
            if not options["json"]:
                self.stdout.write(f"backup: {made.dump.path}")

    @staticmethod
    def _refuse_with_undo(options: dict[str, Any]) -> None:
        """What says something of an import would be passed over in silence."""
        given = [f"--{name.replace('_', '-')}" for name in _OF_AN_IMPORT if options[name]]
        given += [options[name] for name in ("source", "path") if options[name] is not None]
        if given:
            raise CommandError(f"--undo: takes the id of a run, and no {', '.join(given)}")

    def _undo(self, options: dict[str, Any]) -> None:
        workspace = get_workspace(options["workspace"] or DEFAULT)
        with workspace_scope(workspace.id):
            run = find_run(options["undo"])
        if not asked.is_recorded(run):
            raise CommandError(asked.WITH_HISTORY)
        report = undo_import(
            workspace_id=workspace.id,
            run_id=run.id,
            actor=shell_actor("import"),
            preview=options["dry_run"],
        )
        if options["json"]:
            self.stdout.write(json.dumps(report.told(), indent=2))
            return
        for one in report.kept if options["verbose"] else report.kept[:SHOWN_PROBLEMS]:
            self.stdout.write(
                f"stays: {named(one.model)} {visible(one.name)!r} ({one.row_id}): {one.why}"
            )
        will = "would be " if report.preview else ""
        for what, counts in (
            (f"{will}removed", report.removed),
            (f"{will}set back", report.reverted),
            ("staying", report.staying),
        ):
            listed = ", ".join(f"{n:,} {name}" for name, n in sorted(counts.items()) if n)
            self.stdout.write(f"{what}: {listed or 'nothing'}")
        if report.preview:
            self.stdout.write("preview: nothing was changed")
            return
        back = f"manage.py unlearn --workspace {workspace.slug} --undo {report.unit_id}"
        self.stdout.write(f"bring it back: {back}")

    def _report(self, report: ImportReport, options: dict[str, Any], workspace: Workspace) -> None:
        text = json.dumps(report.as_dict(), indent=2, default=str)
        if options["report"] is not None:
            try:
                options["report"].write_text(text + "\n", encoding="utf-8")
            except OSError as error:
                raise CommandError(f"--report {options['report']}: {error.strerror}") from None
        if options["json"]:
            self.stdout.write(text)
        else:
            self._print(report, options["verbose"])
            if not report.dry_run:
                self.stdout.write(_taking_back(report, workspace, options["keep_ids"]))

    def _print(self, report: ImportReport, verbose: bool) -> None:
        kept = report.problems.kept
        listed = kept if verbose else kept[:SHOWN_PROBLEMS]
        for problem in listed:
            self.stdout.write(f"{problem.code.level}: {problem}")
        more = report.problems.total - len(listed)
        if more > 0:
            hint = "--report lists them" if verbose else "--verbose or --report lists them"
            self.stdout.write(f"... and {more:,} more; {hint}")
        self.stdout.write(
            f"{'table':<28}{'rows':>9}{'new':>9}{'changed':>9}{'same':>9}{'skipped':>9}{'older':>9}"
        )
        for name, count in sorted(report.tables.items()):
            self.stdout.write(
                f"{name:<28}{count.total:>9,}{count.created:>9,}{count.updated:>9,}"
                f"{count.unchanged:>9,}{count.skipped:>9,}{count.older:>9,}"
            )
        self.stdout.write(
            f"{report.sum('read'):,} rows read in {report.seconds:.1f} s ({report.rate:,.0f}/s); "
            f"{report.redacted:,} secrets redacted; {report.problems.total:,} problems, "
            f"{report.broken:,} of them errors"
        )
        checked = report.checked
        if checked is not None:
            for difference in checked.differences:
                self.stdout.write(f"difference: {difference}")
            state = "adds up" if checked.ok else "DOES NOT ADD UP"
            self.stdout.write(f"checked: {state}; {checked.compared:,} rows compared by field")
        if report.dry_run:
            self.stdout.write("dry run: nothing was written")
        elif not report.changed:
            self.stdout.write("nothing was new")


class _Shown:
    """One line that renews itself on a terminal; a plain line now and then elsewhere."""

    def __init__(self, command: ShellCommand, *, quiet: bool) -> None:
        self.command = command
        self.quiet = quiet
        self.terminal = sys.stderr.isatty()
        self.last = 0.0

    def progress(self, report: ImportReport, line: str) -> None:
        if self.quiet:
            return
        if self.terminal:
            self.command.stderr.write(f"\r\x1b[K{line}", ending="")
            self.command.stderr.flush()
        elif report.seconds - self.last >= PLAIN_SECONDS:
            self.last = report.seconds
            self.command.stderr.write(line)

    def end(self) -> None:
        if self.terminal and not self.quiet:
            self.command.stderr.write("\r\x1b[K", ending="")


def _taking_back(report: ImportReport, workspace: Workspace, keep_ids: bool) -> str:
    """How, as it can be typed."""
    if keep_ids:
        return f"run {report.run_id} of workspace {workspace.slug}, with its history"
    where = "" if workspace.slug == DEFAULT else f" --workspace {workspace.slug}"
    return f"run {report.run_id}; take it back with: import --undo {report.run_id}{where}"


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise CommandError(f"--time-zone {name}: is no time zone; write Europe/Berlin") from None


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = parse_time(text)
    if moment is None:
        raise CommandError(f"--since {text}: is no date or time; write 2026-01-31 or with a time")
    return moment
