"""`manage.py unlearn`: take back what a session, worker, key or run wrote, or bring it back."""

import uuid
from argparse import ArgumentParser
from typing import Any

from config.lib.db.lookup import find_id
from config.lib.errors import Invalid
from config.lib.scope import set_local, workspace_scope
from contacts.management.shell import ShellCommand, shell_actor
from contacts.models import ApiKey
from contacts.selectors import get_workspace
from memory.importers.values import parse_time
from memory.models import Unlearning
from memory.models.unlearning import ASKED_FOR, UnlearningKind
from memory.services import unlearning
from sessions.models import Session, Worker

_MODELS: dict[UnlearningKind, Any] = {
    UnlearningKind.SESSION: Session,
    UnlearningKind.WORKER: Worker,
    UnlearningKind.KEY: ApiKey,
}


class Command(ShellCommand):
    help = (
        "Take back what one source wrote, and what follows from it: memories are archived, other "
        "rows removed, changes reverted. All or nothing; --undo brings it back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, help="slug")
        what = parser.add_mutually_exclusive_group(required=True)
        for kind in ASKED_FOR:
            what.add_argument(f"--{kind.value}", metavar="ID")
        what.add_argument(
            "--undo", metavar="ID", help="of what was taken back, also an import: bring it back"
        )
        parser.add_argument("--since", help="leave what it wrote before (ISO date or time, UTC)")
        parser.add_argument("--reason", default="")
        parser.add_argument("--preview", action="store_true", help="only say what would be done")

    def work(self, options: dict[str, Any]) -> None:
        workspace, actor = get_workspace(options["workspace"]), shell_actor("unlearn")
        since = parse_time(options["since"]) if options["since"] else None
        if options["since"] and since is None:
            raise Invalid({"--since": "is no date or time"})
        with workspace_scope(workspace.id):
            # As long as it takes: one transaction, or nothing.
            set_local("statement_timeout", "0")
            if options["undo"]:
                unit = unlearning.undo_unlearning(
                    actor=actor, unlearning_id=find_id(Unlearning, options["undo"]), most=None
                )
                self._tell("brought back", unit.undone)
                return
            kind = next(one for one in ASKED_FOR if options[one.value])
            unit = unlearning.propose_unlearning(
                actor=actor, kind=kind, target_id=_target(kind, options[kind.value]),
                since=since, reason=options["reason"], most=None,
            )  # fmt: skip
            if options["preview"]:
                self._tell("would be", unit.preview)
                return
            unit = unlearning.run_unlearning(actor=actor, unlearning_id=unit.pk, most=None)
            self._tell("was", unit.report)
            self.stdout.write(
                f"bring it back: manage.py unlearn --workspace {workspace.slug} --undo {unit.pk}"
            )

    def _tell(self, verb: str, report: dict[str, Any]) -> None:
        for name in ("archived", "removed", "reverted", "losing", "staying"):
            for table, rows in report[name].items():
                self.stdout.write(f"{verb} {name}: {rows:,} {table}")
        for one in report["kept"]:
            self.stdout.write(f"stays: {one['model']} {one['id']}: {one['why']}")


def _target(kind: UnlearningKind, text: str) -> uuid.UUID:
    model = _MODELS.get(kind)
    if model is not None:
        return find_id(model, text)
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Invalid({"--run": "is no full id"}) from None
