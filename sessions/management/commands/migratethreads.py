"""`manage.py migratethreads`: threads for the sessions that only name a legacy thread id."""

import json
from typing import Any

from django.core.management.base import CommandParser

from contacts.management.shell import ShellCommand, shell_actor
from contacts.models import Workspace
from contacts.selectors import get_workspace
from sessions.services.legacy_threads import migrate_all


class Command(ShellCommand):
    help = (
        "Turn sessions' legacy thread ids into threads. What is migrated is skipped, so it can be "
        "stopped and run again at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--workspace", metavar="SLUG", help="default: every workspace")
        parser.add_argument("--json", action="store_true", help="one JSON object on a line each")

    def work(self, options: dict[str, Any]) -> None:
        slug = options["workspace"]
        chosen = [get_workspace(slug)] if slug else list(Workspace.objects.order_by("slug"))
        for workspace in chosen:
            done = migrate_all(actor=shell_actor("migratethreads"), workspace_id=workspace.id)
            if options["json"]:
                counts = {"migrated": done.migrated, "skipped": done.skipped}
                self.stdout.write(json.dumps({"workspace": workspace.slug, **counts}))
                continue
            self.stdout.write(
                f"{workspace.slug}: {done.migrated:,} migrated, {done.skipped:,} skipped"
            )
