"""`manage.py backup`: one verified copy of the whole database, made while it serves."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from contacts.management.shell import ShellCommand
from memory.backup.making import make_backup


class Command(ShellCommand):
    help = (
        "Back up every workspace into one file, while serving; then restore it into a throwaway "
        "server and verify it there. Exits with 1 unless it is whole."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", type=Path, metavar="DIR", help="folder (see settings)")
        parser.add_argument("--keep", type=_count, metavar="N", help="backups to keep; 0: all")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def work(self, options: dict[str, Any]) -> None:
        made = make_backup(to=options["to"], keep=options["keep"])
        if options["json"]:
            told = {
                "path": str(made.dump.path),
                "bytes": made.dump.bytes,
                "sha256": made.dump.sha256,
                "at": made.dump.at.isoformat(),
                "verified": True,
                "removed": [str(path) for path in made.removed],
            }
            self.stdout.write(json.dumps(told, indent=2))
            return
        self.stdout.write(
            f"{made.dump.path}: {made.dump.bytes:,} bytes, restored elsewhere and verified"
        )
        for path in made.removed:
            self.stdout.write(f"removed: {path}")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 10_000:
        raise ArgumentTypeError("must be a whole number from 0 to 10000")
    return int(text)
