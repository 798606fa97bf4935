"""`manage.py bootstrap`: the first workspace, admin and key on a database of one's own."""

from typing import Any

from django.conf import settings
from django.db import connection

from config.lib.db.roles import check_server_settings
from contacts.management.shell import ShellCommand
from contacts.services.bootstrap import bootstrap_installation


class Command(ShellCommand):
    help = "Make the first workspace, admin and API key, and print them once."

    def work(self, options: dict[str, Any]) -> None:
        check_server_settings(connection)
        first = bootstrap_installation(settings.ADMIN_PASSWORD)
        if first is None:
            self.stdout.write("There is a workspace already; nothing was made.")
            return
        password = first.admin_password or "(the one from REMEMBRANCER_ADMIN_PASSWORD)"
        self.stdout.write(f"workspace  {first.workspace_slug}")
        self.stdout.write(f"admin      {first.admin_username} / {password}")
        self.stdout.write(f"API key    {first.api_key}")
