"""`manage.py remap`: map again what hooks have sent and nobody could map, after an upgrade."""

from argparse import ArgumentParser
from typing import Any

from contacts.management.shell import ShellCommand
from contacts.models import Workspace
from contacts.selectors import get_workspace
from memory.hooks.dialects import DIALECTS
from memory.models.hooks import PayloadState
from memory.services.hooks import remap

LEFT = [PayloadState.UNMAPPED, PayloadState.FAILED, PayloadState.WAITING]


class Command(ShellCommand):
    help = (
        "Map again the payloads of hooks that could not be mapped, oldest first, while serving. "
        "Nothing is written twice; it can be stopped and run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", help="slug (default: every workspace)")
        parser.add_argument("--agent", choices=sorted(DIALECTS), help="only of this kind of agent")
        parser.add_argument(
            "--all", action="store_true", help="also what was mapped before, by a better mapping"
        )

    def work(self, options: dict[str, Any]) -> None:
        slug = options["workspace"]
        chosen = [get_workspace(slug)] if slug else list(Workspace.objects.order_by("slug"))
        states = [*LEFT, PayloadState.MAPPED] if options["all"] else LEFT
        for workspace in chosen:
            counts = remap(workspace.id, states=states, dialect=options["agent"] or "")
            told = ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items()))
            self.stdout.write(f"{workspace.slug}: {told or 'nothing to map'}")
