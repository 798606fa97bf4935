"""`manage.py reindex`: make the search index anew from the rows it was derived from."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from config.lib.scope import workspace_scope
from contacts.management.shell import ShellCommand
from contacts.models import Workspace
from contacts.selectors import get_workspace
from memory.embedding import EmbeddingError, get_embedder
from memory.models.passage import Lane
from memory.services.embedding import has_pending, renew_refused
from memory.services.passages import reindex_workspace
from memory.services.queue import defer_now
from memory.tasks_recall import check_soon


class Command(ShellCommand):
    help = (
        "Make all passages anew, batch by batch, while serving. Vectors of unchanged texts stay; "
        "`reembed` changes the model. Can be stopped and run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", help="slug (default: every workspace)")

    def work(self, options: dict[str, Any]) -> None:
        slug = options["workspace"]
        chosen = [get_workspace(slug)] if slug else list(Workspace.objects.order_by("slug"))
        try:
            embedder = get_embedder()
        except EmbeddingError as error:
            raise CommandError(str(error)) from None
        for workspace in chosen:
            count = reindex_workspace(workspace.id)
            if embedder is not None:
                renew_refused(workspace.id)
                defer_now(workspace.id, Lane.BULK)
            with workspace_scope(workspace.id):
                waits = embedder is not None and has_pending(Lane.BULK)
            if not waits:
                # Otherwise the job does so when the last vector is made.
                check_soon(workspace.id, "reindex")
            self.stdout.write(f"{workspace.slug}: {count:,} passages")
