"""`manage.py runworkers`: run a command for each worker that may be claimed."""

import dataclasses
import shlex
import shutil
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import IntegrityError

from config.lib.actor import Actor
from contacts.management.shell import ShellCommand, shell_actor
from contacts.models import Agent
from contacts.selectors import get_workspace
from contacts.services.agents import ensure_agent
from sessions.runner.pool import Pool
from sessions.runner.record import short_scope
from sessions.runner.run import Orders
from sessions.services.worker_runs import MAX_LEASE_SECONDS, MIN_LEASE_SECONDS

MAX_CONCURRENCY = 64


class Command(ShellCommand):
    help = (
        "Claim workers and run a command for each: the instructions on its standard input, in the "
        "worker's workspace_path, with REMEMBRANCER_WORKER_ID and the like in its environment. "
        "Exit code 0 completes the worker, any other is a failed attempt. SIGTERM ends what runs "
        "and puts the workers back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--command", required=True, dest="run", help="such as 'claude -p'; no shell reads it"
        )
        parser.add_argument("--concurrency", type=int, default=1, help="commands at once (1)")
        parser.add_argument(
            "--primitive", action="append", help="only this kind; may be given several times"
        )
        parser.add_argument("--workspace", default="default", help="slug (default: default)")
        parser.add_argument("--agent", default="runner", help="who claims (default: runner)")
        parser.add_argument(
            "--once", action="store_true", help="stop when nothing may be claimed any more"
        )
        parser.add_argument(
            "--lease", type=int, default=60, metavar="SECONDS",
            help="after a crash the worker is claimed again so much later (60)",
        )  # fmt: skip
        parser.add_argument(
            "--grace", type=float, default=10.0, metavar="SECONDS",
            help="from SIGTERM to SIGKILL (10)",
        )  # fmt: skip
        parser.add_argument(
            "--poll", type=float, default=2.0, metavar="SECONDS",
            help="how often an empty queue is looked at (2)",
        )  # fmt: skip

    def work(self, options: dict[str, Any]) -> None:
        command = _command(options["run"])
        _check(options)
        workspace = get_workspace(options["workspace"])
        actor = shell_actor("runworkers")
        agent = _agent(workspace.id, actor, options["agent"])
        orders = Orders(
            workspace_id=workspace.id,
            workspace=workspace.slug,
            actor=dataclasses.replace(actor, agent_id=agent.id),
            command=command,
            lease_seconds=options["lease"],
            grace=options["grace"],
        )
        pool = Pool(
            orders,
            agent=agent,
            primitives=options["primitive"],
            concurrency=options["concurrency"],
            poll_seconds=options["poll"],
            once=options["once"],
        )
        pool.stop_on_signals()
        kinds = ", ".join(options["primitive"] or ["every kind"])
        self.stdout.write(
            f"Running workers of {workspace.slug} ({kinds}), {options['concurrency']} at once: "
            f"{shlex.join(command)}"
        )
        self.stdout.flush()
        pool.work()


def _agent(workspace_id: uuid.UUID, actor: Actor, name: str) -> Agent:
    try:
        with short_scope(workspace_id):
            return ensure_agent(actor=actor, name=name)
    except IntegrityError:
        # Another runner of this name, started at the same moment, has made it.
        with short_scope(workspace_id):
            return ensure_agent(actor=actor, name=name)


def _command(text: str) -> list[str]:
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise CommandError(f"--command: {error}") from None
    if not command:
        raise CommandError("--command: must not be empty")
    # Found now rather than with every worker of the queue.
    if shutil.which(command[0]) is None:
        raise CommandError(f"--command: there is no program {command[0]!r}")
    return command


def _check(options: dict[str, Any]) -> None:
    if not 1 <= options["concurrency"] <= MAX_CONCURRENCY:
        raise CommandError(f"--concurrency: must be from 1 to {MAX_CONCURRENCY}")
    if not MIN_LEASE_SECONDS <= options["lease"] <= MAX_LEASE_SECONDS:
        raise CommandError(f"--lease: must be from {MIN_LEASE_SECONDS} to {MAX_LEASE_SECONDS}")
    if not 0 <= options["grace"] <= MAX_LEASE_SECONDS:
        raise CommandError(f"--grace: must be from 0 to {MAX_LEASE_SECONDS}")
    if not 0 < options["poll"] <= MAX_LEASE_SECONDS:
        raise CommandError(f"--poll: must be more than 0 and at most {MAX_LEASE_SECONDS}")
