"""`manage.py createworkspace`: a further workspace, empty and closed to all others."""

from typing import Any

from django.core.management.base import CommandParser

from contacts.management.shell import ShellCommand, shell_actor
from contacts.services.workspaces import create_workspace


class Command(ShellCommand):
    help = "Make an empty workspace. `invite` lets people in, `createkey` agents."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="lower-case letters, digits and hyphens; for commands")
        parser.add_argument("--name", default="", help="for people; without: the slug")
        parser.add_argument("--timezone", default="UTC", help="IANA name; default: %(default)s")

    def work(self, options: dict[str, Any]) -> None:
        workspace = create_workspace(
            actor=shell_actor("createworkspace"),
            slug=options["slug"],
            name=options["name"],
            timezone=options["timezone"],
        )
        self.stdout.write(f"Made workspace {workspace.slug} ({workspace.id}).")
        self.stdout.write(f"Next: manage.py invite EMAIL --workspace {workspace.slug} --role owner")
