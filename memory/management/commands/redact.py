"""`manage.py redact`: take secrets out of what was stored before their form was known."""

import json
from argparse import ArgumentParser
from typing import Any

from config.lib.db.owner import require_owner
from config.lib.errors import Conflict
from contacts.management.shell import ShellCommand, shell_actor
from contacts.models import Workspace
from contacts.selectors import get_workspace
from memory.erasing.redacting import Redacted, redact_stored
from memory.erasing.work import backups_kept


class Command(ShellCommand):
    help = (
        "Take secrets, and what the workspace's patterns say, out of what is stored: rows, search "
        "index, history, kept answers. It counts first, says what it found and asks; it is not "
        "undone. It can be stopped and run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", help="slug (default: every workspace)")
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="the report as JSON")

    def work(self, options: dict[str, Any]) -> None:
        slug, actor = options["workspace"], shell_actor("redact")
        if not options["dry_run"]:
            require_owner("take secrets out of what is stored")
        chosen = [get_workspace(slug)] if slug else list(Workspace.objects.order_by("slug"))
        done = {}
        for workspace in chosen:
            report = redact_stored(workspace.pk, actor=actor, dry_run=True)
            wanted = report.rows and not options["dry_run"]
            if wanted and not options["yes"]:
                self._tell(workspace.slug, report)
                wanted = input("Type redact to take them out: ").strip() == "redact"
            if wanted:
                report = redact_stored(workspace.pk, actor=actor, dry_run=False)
            done[workspace.slug] = report
        if options["json"]:
            told = {name: report.as_dict() for name, report in done.items()}
            self.stdout.write(json.dumps({"workspaces": told}))
        else:
            for name, report in done.items():
                self._tell(name, report)
            self.stdout.write(f"remains: {backups_kept()}")
        if any(report.kept for report in done.values()):
            raise Conflict("Some rows could not be written; they are named above.")

    def _tell(self, name: str, report: Redacted) -> None:
        verb = "would be redacted" if report.dry_run else "redacted"
        for table, rows in sorted(report.rows.items()):
            kinds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(report.kinds[table].items()))
            self.stdout.write(f"{name}  {table:<24} {rows:,} {verb} ({kinds})")
        self.stdout.write(
            f"{name}  {report.changes:,} changes of the history, {report.answers:,} kept answers"
        )
        for table, pk in report.kept:
            self.stdout.write(f"{name}  not written: {table} {pk}")
