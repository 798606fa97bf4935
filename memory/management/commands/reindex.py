"""`manage.py reindex`: make the search index anew from the rows it was derived from."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.lib.errors import DomainError
from contacts.models import Workspace
from contacts.selectors import get_workspace
from memory.services.passages import reindex_workspace


class Command(BaseCommand):
    help = (
        "Make all passages anew, batch by batch, while serving. Vectors of unchanged texts stay. "
        "Can be stopped and run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", help="slug (default: every workspace)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            slug = options["workspace"]
            chosen = [get_workspace(slug)] if slug else list(Workspace.objects.order_by("slug"))
        except DomainError as error:
            raise CommandError(str(error)) from None
        for workspace in chosen:
            count = reindex_workspace(workspace.id)
            self.stdout.write(f"{workspace.slug}: {count:,} passages")
