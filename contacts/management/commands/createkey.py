"""`manage.py createkey`: an API key for an agent, from the machine itself."""

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.management.shell import ShellCommand, shell_actor
from contacts.scopes import AGENT_SCOPES, SCOPES
from contacts.selectors import get_workspace
from contacts.services.agents import ensure_agent
from contacts.services.keys import create_key

# Beyond a century it is a typing error, and soon beyond what a date can hold.
MAX_DAYS = 36_500


class Command(ShellCommand):
    help = "Make an API key for an agent (made if there is none) and print its token, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--agent", required=True, metavar="NAME", help="the agent's name")
        parser.add_argument(
            "--workspace", default="default", metavar="SLUG", help="default: %(default)s"
        )
        parser.add_argument(
            "--scope",
            action="append",
            metavar="SCOPE",
            help=f"may be repeated, or `all`; of {', '.join(SCOPES)}. "
            f"Without: {', '.join(AGENT_SCOPES)}",
        )
        parser.add_argument("--name", default="", help="where the key is used, for people")
        parser.add_argument("--expires-days", type=int, metavar="DAYS", help="without: it lives on")
        parser.add_argument("--json", action="store_true", help="one JSON object on one line")

    def work(self, options: dict[str, Any]) -> None:
        days, expires_at = options["expires_days"], None
        if days is not None:
            if not 1 <= days <= MAX_DAYS:
                raise CommandError(f"--expires-days: must be from 1 to {MAX_DAYS:,}")
            expires_at = clock.now() + timedelta(days=days)
        scopes = options["scope"]
        if scopes and "all" in scopes:
            scopes = list(SCOPES)
        actor = shell_actor("createkey")
        workspace = get_workspace(options["workspace"])
        with workspace_scope(workspace.id):
            key, token = create_key(
                actor=actor,
                agent=ensure_agent(actor=actor, name=options["agent"]),
                name=options["name"],
                scopes=scopes,
                expires_at=expires_at,
            )
        made = {
            "token": token,
            "id": str(key.id),
            "agent": options["agent"],
            "workspace": workspace.slug,
            "scopes": key.scopes,
            "expires_at": expires_at.isoformat() if expires_at else None,
        }
        if options["json"]:
            self.stdout.write(json.dumps(made))
            return
        self.stdout.write(token)
        self.stderr.write(
            f"Key of agent {made['agent']} in workspace {made['workspace']}, "
            f"{'until ' + made['expires_at'] if made['expires_at'] else 'until revoked'}; "
            f"scopes: {', '.join(key.scopes)}. It is shown this once."
        )
