"""Runs the job worker: queued and periodic jobs, until SIGTERM. The supervisor starts it.

Not for what the jobs do (each app's tasks.py).
"""

import asyncio
import logging
import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from procrastinate import App
from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector

from config.embedded.lifeline import grace_seconds, watch_lifeline
from config.lib.db.roles import RoleError

log = logging.getLogger("remembrancer.jobs")

# NOTIFY wakes the worker at once; where it does not arrive (a connection pooler in between, or
# Citus), this is how long a job waits.
POLLING_SECONDS = 1.0
# Whoever waits for an answer goes first: embedding takes every core it is given.
NICER = 10


class Command(BaseCommand):
    help = "Run queued and periodic jobs until stopped. `serve` starts this itself."
    # The web server and the tests run the checks; here they would only slow the start.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        os.nice(NICER)
        watch_lifeline(
            grace_seconds(embedded=settings.EMBEDDED, shutdown_seconds=settings.SHUTDOWN_SECONDS)
        )
        try:
            # Jobs write as this login: a wrong one is refused here, before the first of them.
            connection.ensure_connection()
        except RoleError as error:
            raise CommandError(str(error)) from None
        finally:
            connection.close()
        assert isinstance(app.connector, DjangoConnector)
        with app.replace_connector(app.connector.get_worker_connector()) as worker_app:
            asyncio.run(_work(worker_app))


async def _work(worker_app: App) -> None:
    """SIGTERM ends the fetching; jobs that run get SHUTDOWN_SECONDS to finish."""
    async with worker_app.open_async():
        await worker_app.run_worker_async(
            concurrency=settings.JOB_CONCURRENCY,
            listen_notify=True,
            fetch_job_polling_interval=POLLING_SECONDS,
            abort_job_polling_interval=POLLING_SECONDS,
            shutdown_graceful_timeout=settings.SHUTDOWN_SECONDS,
            # What succeeded is in the rows it wrote; what failed is kept for a person to see.
            delete_jobs="successful",
        )
