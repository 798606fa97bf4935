"""`manage.py verify`: a database is what this release expects, and its rows are whole."""

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError

from contacts.management.shell import ShellCommand
from contacts.models import Workspace
from contacts.selectors import get_workspace
from memory.verify import Check, Options, check_structure, check_workspace

# Without these the rows cannot be asked about.
NEEDED = {"tables", "columns"}


class Command(ShellCommand):
    help = (
        "Check tables, indexes, policies and grants against this release, then every workspace's "
        "rows: numbering, counters, references, search index, chain of changes. Exits with 1 on "
        "any finding. Can be run while serving, with either login."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", help="slug (default: every workspace)")
        parser.add_argument("--structure", action="store_true", help="look at no rows")
        parser.add_argument(
            "--fix",
            action="store_true",
            help="rebuild what follows from other rows: passages, counters, vectors",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--waiting",
            type=int,
            default=15,
            metavar="MINUTES",
            help="how long a passage may wait for its vector (default: 15)",
        )

    def work(self, options: dict[str, Any]) -> None:
        # First, so that a wrong slug is told before anything takes its time.
        slug = options["workspace"]
        chosen = [get_workspace(slug)] if slug else None
        checks = check_structure()
        broken = any(check.findings for check in checks if check.name in NEEDED)
        if not options["structure"] and not broken:
            wanted = Options(fix=options["fix"], waiting=timedelta(minutes=options["waiting"]))
            for workspace in chosen or Workspace.objects.order_by("slug"):
                checks += check_workspace(workspace, wanted)
        findings = sum(check.findings for check in checks)
        if options["json"]:
            found = {"findings": findings, "checks": [check.as_json() for check in checks]}
            self.stdout.write(json.dumps(found, indent=2))
        else:
            self._print(checks)
            if broken and not options["structure"]:
                self.stdout.write("The rows were not looked at: tables are not as they should be.")
        if findings:
            raise CommandError(f"{findings:,} finding{'s' if findings > 1 else ''}")

    def _print(self, checks: list[Check]) -> None:
        lines = [("where", "what", "expected", "found", "")]
        lines += [
            (
                check.workspace or check.category,
                check.name,
                f"{check.expected:,}",
                f"{check.found:,}",
                ", ".join(_outcome(check)),
            )
            for check in checks
        ]
        widths = [max(len(line[n]) for line in lines) for n in range(4)]
        for where, what, expected, found, outcome in lines:
            self.stdout.write(
                f"{where:<{widths[0]}}  {what:<{widths[1]}}  {expected:>{widths[2]}}  "
                f"{found:>{widths[3]}}  {outcome}".rstrip()
            )
        for check in checks:
            for text in check.problems + check.notes:
                self.stdout.write(f"{check.workspace or check.category}, {check.name}: {text}")
            if check.more:
                self.stdout.write(
                    f"{check.workspace or check.category}, {check.name}: and {check.more:,} more"
                )


def _outcome(check: Check) -> list[str]:
    if not check.findings and not check.fixed:
        return ["ok"]
    said = [f"{check.fixed:,} fixed"] if check.fixed else []
    return [*said, *([f"{check.findings:,} wrong"] if check.findings else [])]
