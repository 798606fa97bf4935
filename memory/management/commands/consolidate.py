"""`manage.py consolidate`: tell episodes as narratives, or say what that would do; or undo it."""

import json
import uuid
from argparse import ArgumentParser
from typing import Any

from config.lib.scope import workspace_scope
from contacts.management.shell import ShellCommand, shell_actor
from contacts.selectors import get_workspace
from contacts.services import funnel
from memory.models import ConsolidationRun
from memory.models.consolidation import ConsolidationState
from memory.services import consolidation


class Command(ShellCommand):
    help = (
        "Tell the memories of closed sessions, and of days without one, as narratives. One run is "
        "one transaction; --revert RUN takes it back. A run that would archive too much is held "
        "until --release RUN."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, help="slug")
        parser.add_argument("--hide", action="store_true", default=None, help="archive the sources")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--dry-run", action="store_true", help="say what it would do")
        what.add_argument("--revert", type=uuid.UUID, metavar="RUN", help="take a run back")
        what.add_argument("--release", type=uuid.UUID, metavar="RUN", help="let a held run go on")

    def work(self, options: dict[str, Any]) -> None:
        actor = shell_actor("consolidate")
        workspace = get_workspace(options["workspace"])
        with workspace_scope(workspace.id):
            if options["dry_run"]:
                planned = consolidation.plan(hides=bool(options["hide"]))
                told = {
                    "read": planned.read,
                    "would_make": len(planned.groups),
                    "would_hide": planned.would_hide,
                    "of": planned.of,
                }
                self.stdout.write(json.dumps(told))
                return
            if options["revert"]:
                run = consolidation.revert(actor=actor, run_id=options["revert"])
                self._report(run)
                return
            if options["release"]:
                run = consolidation.release(actor=actor, run_id=options["release"])
            else:
                begun = consolidation.begin(actor=actor, hides=options["hide"])
                if begun is None:
                    self.stdout.write("Nothing to consolidate.")
                    return
                run = begun
        if run.state == ConsolidationState.RUNNING:
            consolidation.work(workspace.id)
        with workspace_scope(workspace.id):
            self._report(funnel.get_row(ConsolidationRun, run.pk))

    def _report(self, run: ConsolidationRun) -> None:
        told = {
            "run": str(run.pk),
            "state": run.state,
            "read": run.read,
            "made": run.made,
            "changed": run.changed,
        }
        told |= {"held": run.held} if run.held else {}
        told |= {"reverted": run.reverted} if run.reverted else {}
        self.stdout.write(json.dumps(told))
