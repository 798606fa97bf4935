"""`manage.py invite`: a link that lets one person set a password and join a workspace."""

from typing import Any

from django.core.management.base import CommandParser

from config.lib.scope import workspace_scope
from contacts.management.shell import ShellCommand, shell_actor
from contacts.models.workspace import Role
from contacts.selectors import get_workspace
from contacts.services.workspaces import invite_person


class Command(ShellCommand):
    help = "Print a link that lets one person set a password and join, once, for seven days."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="who is invited; the account's name afterwards")
        parser.add_argument(
            "--workspace", default="default", metavar="SLUG", help="default: %(default)s"
        )
        parser.add_argument(
            "--role", choices=Role.values, default=Role.VIEWER.value, help="default: %(default)s"
        )

    def work(self, options: dict[str, Any]) -> None:
        workspace = get_workspace(options["workspace"])
        with workspace_scope(workspace.id):
            invitation, link = invite_person(
                actor=shell_actor("invite"), email=options["email"], role=options["role"]
            )
        self.stdout.write(f"/invite/{link}")
        self.stderr.write(
            f"For {invitation.email} as {invitation.role} of {workspace.slug}, once, until "
            f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC. Put your server's address before it."
        )
