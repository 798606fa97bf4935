"""`manage.py learn`: look at once at what is new in sessions, or at all of them again."""

from argparse import ArgumentParser
from typing import Any

from config.lib.scope import workspace_scope
from contacts.management.shell import ShellCommand
from contacts.models import Workspace
from contacts.selectors import get_workspace
from memory.services.learning import learn_again, learn_due

SLICE_SECONDS = 60.0


class Command(ShellCommand):
    help = (
        "Extract memories and summaries from sessions by rules, while serving. Nothing is found "
        "twice, and what a person rejected stays so; it can be stopped and run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", help="slug (default: every workspace)")
        parser.add_argument(
            "--again",
            action="store_true",
            help="all sessions from their beginning, by better rules",
        )

    def work(self, options: dict[str, Any]) -> None:
        slug = options["workspace"]
        chosen = [get_workspace(slug)] if slug else list(Workspace.objects.order_by("slug"))
        for workspace in chosen:
            told = "what is new"
            if options["again"]:
                with workspace_scope(workspace.id):
                    told = f"{learn_again(workspace.id):,} sessions"
            while learn_due(workspace.id, seconds=SLICE_SECONDS):
                pass
            self.stdout.write(f"{workspace.slug}: looked at {told}")
