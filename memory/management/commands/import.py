"""`manage.py import SOURCE PATH`: bring in what another program has kept."""

import gc
import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from contacts.management.shell import ShellCommand
from contacts.selectors import get_workspace
from memory.importers.problems import SourceError
from memory.importers.run import ImportReport, import_claude_code

SOURCES = {"claude-code": import_claude_code}
SHOWN_PROBLEMS = 50


class Command(ShellCommand):
    help = "Import what another program has kept. Running it again adds only what is new."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", choices=sorted(SOURCES))
        parser.add_argument("path", type=Path, help="a file or a folder of the source")
        parser.add_argument("--workspace", default="default", help="slug (default: default)")
        parser.add_argument("--agent", default="claude-code", help="whose sessions they are")
        parser.add_argument("--dry-run", action="store_true", help="read and report, write nothing")
        parser.add_argument("--json", action="store_true", help="the report as JSON")

    def work(self, options: dict[str, Any]) -> None:
        # Batches of thousands of rows, none of them in a cycle: looking for cycles at every 700
        # new objects is a tenth of an import's time.
        gc.set_threshold(50_000, 20, 100)
        workspace = get_workspace(options["workspace"])
        try:
            report = SOURCES[options["source"]](
                workspace_id=workspace.id,
                path=options["path"].expanduser(),
                agent_name=options["agent"],
                dry_run=options["dry_run"],
                progress=self._progress(options),
            )
        except SourceError as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict(), indent=2, default=str))
        else:
            self._print(report, options["dry_run"])

    def _progress(self, options: dict[str, Any]) -> Any:
        """One line that renews itself on a terminal; nothing where nobody looks."""
        if options["json"] or not sys.stderr.isatty():
            return lambda line: None

        def show(line: str) -> None:
            self.stderr.write(f"\r\x1b[K{line}", ending="")
            self.stderr.flush()

        return show

    def _print(self, report: ImportReport, dry_run: bool) -> None:
        if sys.stderr.isatty():
            self.stderr.write("")
        for problem in list(report.problems)[:SHOWN_PROBLEMS]:
            self.stdout.write(f"{problem.code.level}: {problem}")
        more = report.problems.total - min(len(report.problems.kept), SHOWN_PROBLEMS)
        if more > 0:
            self.stdout.write(f"... and {more:,} more; --json lists them")
        rate = report.lines / report.seconds if report.seconds else 0
        self.stdout.write(
            f"{_count(report.sessions, 'session')} with {_count(report.lines, 'line')} read in "
            f"{report.seconds:.1f} s ({rate:,.0f} lines/s)"
        )
        if dry_run:
            self.stdout.write("dry run: nothing was written")
            return
        if not report.lines_new:
            self.stdout.write("nothing was new")
            return
        self.stdout.write(
            f"new: {_count(report.sessions_new, 'session')} "
            f"({report.sessions_grown:,} more grown), {_count(report.threads_new, 'thread')}, "
            f"{_count(report.messages_new, 'message')}, {_count(report.events_new, 'event')}, "
            f"{_count(report.lines_new, 'raw line')}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
