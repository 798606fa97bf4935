"""`manage.py erase`: remove something for good with every trace, after saying what would go."""

from argparse import ArgumentParser
from typing import Any

from config.lib.db.lookup import find_id
from config.lib.db.owner import require_owner
from config.lib.errors import Conflict
from config.lib.scope import workspace_scope
from contacts.management.shell import ShellCommand, shell_actor
from contacts.models.erasure import ErasureKind
from contacts.selectors import get_workspace
from memory.services import erasures

_BY_ID = (ErasureKind.MEMORY, ErasureKind.SESSION, ErasureKind.CONTACT)


class Command(ShellCommand):
    help = (
        "Erase a memory, a session, a contact or everything about a term: rows, search index, "
        "history, kept searches and answers. It says what would go and asks; it is not undone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, help="slug")
        what = parser.add_mutually_exclusive_group(required=True)
        for kind in _BY_ID:
            what.add_argument(f"--{kind.value}", metavar="ID", help=f"id of the {kind.value}")
        what.add_argument("--term", help="whole words, whatever their case")
        parser.add_argument("--reason", default="", help="kept; do not name what is erased")
        parser.add_argument("--preview", action="store_true", help="only say what would go")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def work(self, options: dict[str, Any]) -> None:
        require_owner("erase")
        workspace, actor = get_workspace(options["workspace"]), shell_actor("erase")
        kind = next((one for one in _BY_ID if options[one.value]), ErasureKind.TERM)
        with workspace_scope(workspace.id):
            target = None
            if kind is not ErasureKind.TERM:
                target = find_id(erasures.TARGETS[kind], options[kind.value])
            row = erasures.propose_erasure(
                actor=actor, kind=kind, target_id=target, term=options["term"] or "",
                reason=options["reason"], job=False,
            )  # fmt: skip
        self._tell("would be", erasures.look_now(workspace.id, row.pk))
        if options["preview"] or not (options["yes"] or self._asked()):
            with workspace_scope(workspace.id):
                erasures.drop_erasure(actor=actor, erasure_id=row.pk)
            self.stdout.write("nothing was removed")
            return
        with workspace_scope(workspace.id):
            row.refresh_from_db()
            row = erasures.begin_erasure(
                actor=actor, erasure_id=row.pk, confirm=erasures.confirmation_of(row), job=False
            )
        erasures.work_erasure(workspace.id, row.pk)
        with workspace_scope(workspace.id):
            row.refresh_from_db()
        if row.error:
            raise Conflict(row.error)
        self._tell("was", row.report)
        self.stdout.write(f"erasure {row.pk}: {row.report['tombstones']:,} tombstones")

    def _asked(self) -> bool:
        return input("Type erase to do it: ").strip() == "erase"

    def _tell(self, verb: str, report: dict[str, Any]) -> None:
        for table, rows in report["removed"].items():
            self.stdout.write(f"{verb} removed: {rows:,} {table}")
        for table, rows in report["struck"].items():
            self.stdout.write(f"{verb} struck out: {rows:,} {table}")
        self.stdout.write(f"{verb} emptied: {report['revisions']:,} changes")
        self.stdout.write(f"memories that lose a source and stay: {report['losing']:,}")
        for sentence in report["remains"]:
            self.stdout.write(f"remains: {sentence}")
