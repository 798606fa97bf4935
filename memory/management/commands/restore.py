"""`manage.py restore`: a backup in the place of the database, or only tried out."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from contacts.management.shell import ShellCommand
from memory.backup.dump import require_backup
from memory.backup.restoring import restore
from memory.backup.trial import Outcome, try_out


class Command(ShellCommand):
    help = (
        "Restore a backup. Nothing is replaced before all of it is restored beside the database "
        "and verified; the embedded database's old folder is kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="what `manage.py backup` made")
        way = parser.add_mutually_exclusive_group()
        way.add_argument(
            "--verify", action="store_true", help="only try it, in a server that is thrown away"
        )
        way.add_argument("--force", action="store_true", help="put a database that is there aside")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def work(self, options: dict[str, Any]) -> None:
        path = options["file"].expanduser().absolute()
        if options["verify"]:
            require_backup(path)
            self._tried(path, try_out(path, migrate=True), as_json=options["json"])
            return
        done = restore(path, force=options["force"])
        if options["json"]:
            told = {"path": str(path), "former": str(done.former) if done.former else None}
            self.stdout.write(json.dumps(told, indent=2))
            return
        self.stdout.write(f"{path}: restored and verified")
        if done.former is not None:
            self.stdout.write(f"what was there is kept: {done.former}")
        if settings.EMBEDDED:
            self.stdout.write("start it with `make run`")

    def _tried(self, path: Path, outcome: Outcome, *, as_json: bool) -> None:
        if as_json:
            told = {"path": str(path), "findings": outcome.findings, "checks": outcome.checks}
            self.stdout.write(json.dumps(told, indent=2))
        if outcome.findings:
            raise CommandError(f"{outcome.findings:,} wrong in it, first {outcome.first}")
        if not as_json:
            self.stdout.write(f"{path}: whole; restored elsewhere and verified")
