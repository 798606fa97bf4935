"""`manage.py removefactor`: for somebody who lost the phone whose code is asked for."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandParser

from config.lib.errors import NotFound
from contacts.management.shell import ShellCommand, shell_actor
from contacts.services.factors import remove


class Command(ShellCommand):
    help = "Remove a person's second factor: their password alone opens, until they set up another."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="the account's name")
        parser.add_argument("--reason", default="", help="kept in the history")

    def work(self, options: dict[str, Any]) -> None:
        name = options["username"]
        user = get_user_model()._default_manager.filter(username=name).first()
        if user is None:
            raise NotFound(f"account {name!r}")
        remove(actor=shell_actor("removefactor"), user=user, reason=options["reason"])
        self.stdout.write(f"{name} comes in by the password alone now.")
