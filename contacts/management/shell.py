"""What the commands that write rows share: who does it, and errors in one line."""

import getpass
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError
from psycopg.errors import UndefinedTable

from config.lib.actor import Actor
from config.lib.db.roles import RoleError
from config.lib.disk import database_is_full
from config.lib.errors import DomainError, Exhausted, Invalid


def shell_actor(command: str) -> Actor:
    """Whoever is logged in at the machine; the record names the command and the account."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user has no name
        account = "unknown account"
    return Actor("system", command, f"{command} ({account})", "shell")


class ShellCommand(BaseCommand):
    """A command whose `work` may raise domain errors; they are printed without a traceback."""

    # The web server and the tests run the checks; here they would only slow the start.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.work(options)
        except Invalid as error:
            problems = (f"{_option(name)}: {text}" for name, text in error.errors.items())
            raise CommandError("; ".join(problems)) from None
        except (DomainError, Exhausted) as error:
            raise CommandError(error.detail) from None
        except ProgrammingError as error:
            if not isinstance(error.__cause__, UndefinedTable):
                raise
            raise CommandError(
                "the database has no tables yet; `manage.py migrate` (or `serve`) makes them"
            ) from None
        except RoleError as error:
            raise CommandError(str(error)) from None
        except OperationalError as error:
            if database_is_full(error):
                raise CommandError(
                    "no space left on the database's disk: free some and do it again; the database "
                    "goes on by itself"
                ) from None
            reason = str(error).strip().splitlines()[0]
            hint = "; is it running (`make run`)?" if settings.EMBEDDED else ""
            raise CommandError(f"the database cannot be reached: {reason}{hint}") from None

    def work(self, options: dict[str, Any]) -> None:
        raise NotImplementedError


def _option(field: str) -> str:
    """A service's field as the command line calls it."""
    known = {"scopes": "--scope", "expires_at": "--expires-days", "agent": "--agent"}
    return known.get(field, field)
