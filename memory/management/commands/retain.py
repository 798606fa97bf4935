"""`manage.py retain`: let go now what is past its time, or count it."""

import dataclasses
import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from contacts.management.shell import ShellCommand
from contacts.models import Workspace
from contacts.selectors import get_workspace
from memory.services.retention import retain


class Command(ShellCommand):
    help = (
        "Delete or empty what is older than the workspace's settings keep it, while serving, as "
        "the job does each night. It can be stopped and run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", help="slug (default: every workspace)")
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        parser.add_argument("--json", action="store_true", help="the report as JSON")

    def work(self, options: dict[str, Any]) -> None:
        slug, dry_run = options["workspace"], options["dry_run"]
        chosen = [get_workspace(slug)] if slug else list(Workspace.objects.order_by("slug"))
        done = {one.slug: retain(one.id, dry_run=dry_run) for one in chosen}
        if options["json"]:
            kinds = {slug: [dataclasses.asdict(one) for one in all] for slug, all in done.items()}
            self.stdout.write(json.dumps({"dry_run": dry_run, "workspaces": kinds}))
        else:
            for name, report in done.items():
                for one in report:
                    kept = "for ever" if one.days is None else f"{one.days:,} days"
                    verb = "would go" if dry_run else "gone"
                    told = one.skipped or ("" if one.days is None else f"{one.rows:,} {verb}")
                    self.stdout.write(f"{name}  {one.kind:<14} kept {kept:<12} {told}".rstrip())
        if any(one.skipped for report in done.values() for one in report):
            raise CommandError("some kinds were not done: DATABASE_OWNER_URL is needed")
