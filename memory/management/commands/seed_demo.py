"""`manage.py seed_demo`: a workspace with a believable month of a small team's agents."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import get_user_model

from config.lib import clock
from config.lib.errors import NotFound
from contacts.management.shell import ShellCommand, shell_actor
from memory.demo.seed import seed_demo

SLUG, SEED = "demo", 1


class Command(ShellCommand):
    help = (
        "Make a workspace with a month of a small team's agents, to try the product on: sessions, "
        "tasks, workers, missions, contacts, pings and memories, ending now. Touches no other "
        "workspace. While `serve` runs, what is made is embedded at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--slug", default=SLUG, help="of the workspace; default: %(default)s")
        parser.add_argument(
            "--user", default="", metavar="NAME", help="an account that becomes its owner (admin)"
        )
        parser.add_argument(
            "--replace", action="store_true", help="remove the workspace first, if it is there"
        )
        parser.add_argument(
            "--seed", type=int, default=SEED, help="other times and ids; default: %(default)s"
        )
        parser.add_argument(
            "--now",
            type=_moment,
            default=None,
            metavar="TIME",
            help="the month ends here (ISO 8601) instead of now; the same time and seed make the "
            "same rows",
        )

    def work(self, options: dict[str, Any]) -> None:
        user = None
        if options["user"]:
            users = get_user_model()._default_manager
            user = users.filter(username=options["user"]).first()
            if user is None:
                raise NotFound("account", options["user"], where="")
        done = seed_demo(
            actor=shell_actor("seed_demo"),
            slug=options["slug"],
            seed=options["seed"],
            now=options["now"] or clock.now(),
            replace=options["replace"],
            user=user,
        )
        made = ", ".join(f"{count} {_plural(kind)}" for kind, count in sorted(done.told.items()))
        self.stdout.write(f"Made workspace {done.slug} ({done.workspace_id}): {made}.")
        if user is None:
            self.stdout.write(
                f"Next: manage.py invite EMAIL --workspace {done.slug} --role owner, or again with "
                "--user admin --replace"
            )


def _plural(kind: str) -> str:
    irregular = {"memory": "memories", "priority": "priorities", "search": "searches",
                 "staged": "staged texts"}  # fmt: skip
    return irregular.get(kind, f"{kind}s")


def _moment(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time such as 2026-09-18T14:40Z") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)
