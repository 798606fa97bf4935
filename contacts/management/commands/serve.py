"""`manage.py serve`: runs everything, under one supervisor (config/embedded/supervisor.py).

Here is only what needs Django: the settings, the migrations, the checks of the database, the
first rows, and what is printed.
"""

import os
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import ConnectionHandler

from config.embedded.layout import EmbeddedError
from config.embedded.supervisor import Options, Supervisor
from config.embedded.tuning import connections_needed
from config.lib.db.roles import RoleError, check_runtime_role, check_server_settings
from config.lib.errors import DomainError
from config.settings.base import database
from contacts.services.bootstrap import FirstRun, bootstrap_installation

# The web server's own default (config/gunicorn.py).
WEB_POOL = 8


class Command(BaseCommand):
    help = (
        "Run Remembrancer: the embedded PostgreSQL (unless DATABASE_URL is set), migrations, the "
        "web server and the job worker. Ctrl-C or SIGTERM stops all of it in order."
    )
    # The web server runs them; here they would import every view just to slow the start.
    requires_system_checks = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.first_run: FirstRun | None = None
        self.told = False

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.EMBEDDED and not os.environ.get("SECRET_KEY", "").strip():
            raise CommandError("SECRET_KEY: needed beside DATABASE_URL; 50 random characters")
        where = settings.DATA_DIR if settings.EMBEDDED else "your PostgreSQL (DATABASE_URL)"
        self._say(f"Starting Remembrancer; its data is in {where}")
        supervisor = Supervisor(
            _options(), prepare_database=self._prepare_database, ready=self._announce
        )
        try:
            supervisor.run()
        except (EmbeddedError, RoleError) as error:
            raise CommandError(str(error)) from None
        except DomainError as error:
            raise CommandError(error.detail) from None
        finally:
            # They are shown once, and are made already, whatever happened after.
            self._tell_first_run()
        self._say("Stopped")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    # --- Between the database and the web server ------------------------------------------------

    def _prepare_database(self) -> None:
        connection = connections["default"]
        # This process has few queries and starts others: no pool, whose threads a fork would lose.
        connection.settings_dict["OPTIONS"].pop("pool", None)
        try:
            check_server_settings(connection)
            self._migrate()
            _check_runtime_login()
            if settings.DATABASE_LOGIN == "owner":
                self.first_run = bootstrap_installation(settings.ADMIN_PASSWORD)
        finally:
            connections.close_all()

    def _migrate(self) -> None:
        """Costs a few queries when there is nothing to do, so that a second start is quick."""
        executor = MigrationExecutor(connections["default"])
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not plan:
            return
        if settings.DATABASE_LOGIN != "owner":
            raise CommandError(
                f"DATABASE_OWNER_URL: {len(plan)} migrations are not applied, first "
                f"{plan[0][0]}; set it and run `manage.py migrate`, then start again"
            )
        self._say(f"Applying {len(plan)} migrations")
        call_command("migrate", interactive=False, verbosity=0)

    # --- What is printed ------------------------------------------------------------------------

    def _announce(self, seconds: float) -> None:
        self._say(f"\nRemembrancer is ready: {_address()}  ({seconds:.1f} s)\n")
        self._say(f"  Admin      {_address()}admin/")
        self._tell_first_run()
        self._say("\nCtrl-C stops it.")

    def _tell_first_run(self) -> None:
        """The first admin and key, once."""
        first = self.first_run
        if first is None or self.told:
            return
        self.told = True
        password = first.admin_password or "(the one in REMEMBRANCER_ADMIN_PASSWORD)"
        self._say(f"  User       {first.admin_username}")
        self._say(f"  Password   {password}")
        self._say(f"  API key    {first.api_key}")
        self._say(f"             of agent {first.agent_name} in workspace {first.workspace_slug}")
        self._say("\n  Password and key are shown this once. Lost them?")
        self._say(f"  `manage.py changepassword {first.admin_username}` and `manage.py createkey`")
        self._say("\n  Try it:")
        self._say(f'  curl -H "Authorization: Bearer {first.api_key}" {_address()}api/v1/me')


def _options() -> Options:
    return Options(
        data_dir=settings.DATA_DIR,
        host=settings.HOST,
        port=settings.PORT,
        embedded=settings.EMBEDDED,
        host_header=_host_header(),
        max_connections=connections_needed(
            web_workers=settings.WEB_WORKERS,
            pool=settings.DATABASE_POOL or WEB_POOL,
            threads=settings.WEB_THREADS,
            jobs=settings.JOB_CONCURRENCY,
        ),
        shutdown_seconds=settings.SHUTDOWN_SECONDS,
    )


def _host_header() -> str:
    """A host name that ALLOWED_HOSTS accepts, for asking the web server how it is."""
    for host in settings.ALLOWED_HOSTS:
        if host != "*":
            return str(host).lstrip(".")
    return "localhost"


def _address() -> str:
    # 0.0.0.0 and :: are not addresses one can open.
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(settings.HOST, settings.HOST)  # noqa: S104
    return f"http://[{host}]:{settings.PORT}/" if ":" in host else f"http://{host}:{settings.PORT}/"


def _check_runtime_login() -> None:
    """Row-level security holds only for the right kind of role, so the web's login is looked at."""
    config = database(settings.RUNTIME_URL)
    config["OPTIONS"].pop("pool", None)
    handler = ConnectionHandler({"default": config})
    try:
        check_runtime_role(handler["default"])
    finally:
        handler["default"].close()
