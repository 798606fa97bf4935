"""Prints the SQL for roles and database on a server of one's own. Needs no database connection.

Not needed with the embedded server, which runs the same SQL itself.
"""

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.lib.db.roles import RoleError, RoleNames, managed_script

OWNER_PLACEHOLDER = "CHANGE-ME-OWNER-PASSWORD"
RUNTIME_PLACEHOLDER = "CHANGE-ME-RUNTIME-PASSWORD"


class Command(BaseCommand):
    help = (
        "Print the SQL that makes Remembrancer's roles and database on a PostgreSQL server of "
        "your own. Run it with psql as that server's administrator, before the first migrate."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        defaults = RoleNames()
        parser.add_argument("--database", default=defaults.database, help="its name")
        parser.add_argument("--owner", default=defaults.owner, help="role that owns the tables")
        parser.add_argument("--runtime", default=defaults.runtime, help="role that serves")
        parser.add_argument("--search", default=defaults.search, help="role of the text search")
        parser.add_argument(
            "--generate-passwords",
            action="store_true",
            help="put random passwords in, and the two URLs to use them with at the end",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            names = RoleNames(
                owner=options["owner"],
                runtime=options["runtime"],
                search=options["search"],
                database=options["database"],
            )
        except RoleError as error:
            raise CommandError(str(error)) from None
        generate = options["generate_passwords"]
        owner = secrets.token_urlsafe(32) if generate else OWNER_PLACEHOLDER
        runtime = secrets.token_urlsafe(32) if generate else RUNTIME_PLACEHOLDER
        self.stdout.write(managed_script(names, owner_password=owner, runtime_password=runtime))
        if names.search != RoleNames().search:
            self.stdout.write(f"-- In every process:\n--   REMEMBRANCER_SEARCH_ROLE={names.search}")
        self.stdout.write(
            "-- Then, with your server's address:\n"
            f"--   DATABASE_URL=postgresql://{names.runtime}:{runtime}@HOST:5432/{names.database}\n"
            f"--   DATABASE_OWNER_URL=postgresql://{names.owner}:{owner}@HOST:5432/{names.database}"
        )
