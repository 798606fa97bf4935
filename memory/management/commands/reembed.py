"""`manage.py reembed`: change the model that search understands meaning by, while serving."""

import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

import orjson
import psycopg
from django.conf import settings
from django.core.management.base import CommandError

from contacts.management.shell import ShellCommand
from contacts.models import Workspace
from contacts.selectors import get_workspace
from memory.embedding import Embedder, EmbeddingError, embedder_for, get_embedder
from memory.embedding.files import MODEL
from memory.models import EmbeddingSpace
from memory.models.passage import SpaceState
from memory.services import space_report, spaces
from memory.services.golden_spaces import compare_golden

EVERY = "all"
SHOWN_EVERY_SECONDS = 2.0


class Command(ShellCommand):
    help = (
        "Make every passage's vector by another model, beside those that search reads, and switch "
        "when all are there. Can be killed and run again at any time: it goes on. The vectors that "
        "were left stay, for --rollback, until --drop or the next model."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--provider", choices=["local", "openai"], help="of the new model")
        parser.add_argument("--model", help="its name, as the endpoint calls it")
        parser.add_argument(
            "--dimensions", type=int, help="length of its vectors (default: as the settings say)"
        )
        parser.add_argument(
            "--workspace", default=EVERY, help="slug (default: all, one after the other)"
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--switch",
            action="store_true",
            help="switch at once, complete or not: what is missing is found by its words until the "
            "job has embedded it",
        )
        what.add_argument(
            "--build-only", action="store_true", help="fill and compare; do not switch yet"
        )
        what.add_argument(
            "--drop", action="store_true", help="forget the space that search does not read"
        )
        parser.add_argument(
            "--rollback", action="store_true", help="go back to the model that search read before"
        )
        parser.add_argument(
            "--status", action="store_true", help="say how far it is; change nothing"
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="one JSON object of how it stands in the end; what happens goes to stderr",
        )

    def work(self, options: dict[str, Any]) -> None:
        slug = options["workspace"]
        self._told: dict[str, dict[str, Any]] | None = {} if options["json"] else None
        chosen = (
            list(Workspace.objects.order_by("slug")) if slug == EVERY else [get_workspace(slug)]
        )
        try:
            configured = get_embedder()
            if not (options["status"] or options["drop"]) and configured is None:
                raise CommandError("REMEMBRANCER_EMBEDDING_PROVIDER is none: search is by words")
            wanted = self._wanted(configured, options)
            for workspace in chosen:
                self._one(workspace, configured, wanted, options)
        except EmbeddingError as error:
            raise CommandError(
                f"{error}. Nothing is lost: run this again when that is mended."
            ) from None
        if self._told is not None:
            self.stdout.write(orjson.dumps(self._told, option=orjson.OPT_INDENT_2).decode())

    def _wanted(self, configured: Embedder | None, options: dict[str, Any]) -> Embedder | None:
        """The embedder of the model that is named, where one has to be."""
        if options["status"] or options["drop"] or options["rollback"]:
            if options["provider"] or options["model"]:
                raise CommandError("--status, --drop and --rollback take no --provider or --model")
            return None
        provider, model = options["provider"], options["model"]
        if provider == "local":
            model = model or MODEL
        if not provider or not model:
            raise CommandError("--provider and --model: name the model to change to")
        usual = 384 if provider == "local" else settings.EMBEDDING_DIMENSIONS
        return embedder_for(
            configured,
            provider=provider,
            model=model,
            dimensions=usual if options["dimensions"] is None else options["dimensions"],
        )

    def _one(
        self,
        workspace: Workspace,
        configured: Embedder | None,
        wanted: Embedder | None,
        options: dict[str, Any],
    ) -> None:
        if options["drop"]:
            self._drop(workspace)
        elif not options["status"]:
            embedder = wanted
            if options["rollback"]:
                left = spaces.left_space(workspace.id)
                embedder = embedder_for(
                    configured,
                    provider=left.provider,
                    model=left.model,
                    dimensions=left.dimensions,
                )
            if embedder is not None:
                self._change(workspace, embedder, configured, options)
        standings = space_report.standings(workspace.id)
        self._tell(
            workspace,
            spaces=[
                {
                    "state": one.space.state,
                    "provider": one.space.provider,
                    "model": one.space.model,
                    "dimensions": one.space.dimensions,
                    "vectors": one.vectors,
                    "passages": one.passages,
                    "indexed": one.indexed,
                }
                for one in standings
            ],
        )
        for one in standings:
            self._say(
                workspace,
                f"{one.space.state:8}  {one.space}: {one.vectors:,} of {one.passages:,} passages"
                + ("" if one.indexed else ", no index: searches compare all"),
            )

    def _change(
        self,
        workspace: Workspace,
        embedder: Embedder,
        configured: Embedder | None,
        options: dict[str, Any],
    ) -> None:
        space = spaces.begin(workspace.id, embedder)
        if space.state == SpaceState.ACTIVE:
            self._say(workspace, f"search reads {space} already")
            return
        if options["switch"]:
            spaces.switch(workspace.id, space.id, refused=())
            self._say(workspace, f"search reads {space}; what is missing is queued")
            return
        standing = next(
            one for one in space_report.standings(workspace.id) if one.space.id == space.id
        )
        progress = _Progress(self, workspace, standing.vectors, standing.passages)
        refused = spaces.fill(
            workspace.id,
            space,
            embedder,
            progress=progress.done,
            trouble=lambda error, wait: self._say(workspace, f"{error}; again in {wait:.0f} s"),
        )
        progress.end()
        self._tell(workspace, refused=len(refused))
        if refused:
            self._say(workspace, f"{len(refused):,} refused by the provider, found by words only")
        self._index(workspace, space)
        self._compare(workspace, space, embedder, configured)
        if options["build_only"]:
            self._say(workspace, f"{space} is complete; run again without --build-only to switch")
            return
        spaces.switch(workspace.id, space.id, refused=refused)
        self._say(workspace, f"search reads {space} now; --rollback goes back")

    def _drop(self, workspace: Workspace) -> None:
        others = [
            one.space
            for one in space_report.standings(workspace.id)
            if one.space.state != SpaceState.ACTIVE
        ]
        for space in others:
            gone = spaces.give_up(workspace.id, space.id)
            self._say(workspace, f"forgot {space} with {gone:,} vectors")

    def _index(self, workspace: Workspace, space: EmbeddingSpace) -> None:
        standing = next(
            one for one in space_report.standings(workspace.id) if one.space.id == space.id
        )
        if standing.indexed:
            return
        name, statement = space_report.index_sql(space)
        if settings.OWNER_URL is None:
            self._say(
                workspace,
                "searches compare all vectors until the tables' owner has run: "
                f"{statement.as_string(None)}",
            )
            return
        self._say(workspace, f"making the index {name}")
        try:
            space_report.make_index(space)
        except psycopg.Error as error:
            self._say(workspace, f"{name} was not made; searches compare all: {error}")

    def _compare(
        self,
        workspace: Workspace,
        space: EmbeddingSpace,
        embedder: Embedder,
        configured: Embedder | None,
    ) -> None:
        active = next(
            (
                one.space
                for one in space_report.standings(workspace.id)
                if one.space.state == SpaceState.ACTIVE
            ),
            None,
        )
        if active is None:
            return
        found = space_report.compare(workspace.id, active, space)
        self._tell(workspace, compared=asdict(found))
        self._say(
            workspace,
            f"of the {space_report.NEAREST} nearest by {active}, {found.overlap:.0%} are among the "
            f"{space_report.NEAREST} nearest by {space} ({found.asked} passages asked)",
        )
        try:
            by_active = embedder_for(
                configured,
                provider=active.provider,
                model=active.model,
                dimensions=active.dimensions,
            )
        except EmbeddingError as error:
            self._say(workspace, f"golden queries are not compared: {error}")
            return
        if by_active is not None:
            self._golden(workspace, old=(active, by_active), new=(space, embedder))

    def _golden(
        self,
        workspace: Workspace,
        *,
        old: tuple[EmbeddingSpace, Embedder],
        new: tuple[EmbeddingSpace, Embedder],
    ) -> None:
        """The golden queries by both spaces; those that differ by name."""
        asked = compare_golden(workspace.id, old=old, new=new)
        self._tell(workspace, golden=[asdict(one) for one in asked])
        if not asked:
            return
        before, after = (sum(getattr(a, s) for a in asked) / len(asked) for s in ("old", "new"))
        self._say(
            workspace,
            f"golden queries ({len(asked)}): recall {before:.3f} by {old[0]}, {after:.3f} by "
            f"{new[0]}",
        )
        for one in asked:
            if one.lost or one.gained or one.problem:
                line = f"  {one.old:.3f} -> {one.new:.3f} within {one.within}  {one.name}"
                for what, said in (
                    ("lost", ", ".join(one.lost)),
                    ("gained", ", ".join(one.gained)),
                    ("problem", one.problem),
                ):
                    line += f"; {what}: {said}" if said else ""
                self._say(workspace, line)

    def _say(self, workspace: Workspace, text: str) -> None:
        stream = self.stdout if self._told is None else self.stderr
        stream.write(f"{workspace.slug}: {text}")
        stream.flush()

    def _tell(self, workspace: Workspace, **figures: Any) -> None:
        if self._told is not None:
            self._told.setdefault(workspace.slug, {}).update(figures)


class _Progress:
    """A line every other second: how many, how fast, how long yet."""

    def __init__(self, command: Command, workspace: Workspace, there: int, all_: int) -> None:
        self._command, self._workspace = command, workspace
        self._there, self._all, self._made = there, all_, 0
        self._began = self._shown = time.monotonic()
        command._say(workspace, f"{there:,} of {all_:,} passages are there")

    def done(self, count: int) -> None:
        self._made += count
        if time.monotonic() - self._shown >= SHOWN_EVERY_SECONDS:
            self._show()

    def end(self) -> None:
        self._show()

    def _show(self) -> None:
        self._shown = now = time.monotonic()
        rate = self._made / max(now - self._began, 1e-3)
        done = self._there + self._made
        left = max(0, self._all - done)
        share = done / max(self._all, done, 1)
        line = f"{done:,} of {max(self._all, done):,} ({share:.0%}), {rate:,.0f}/s"
        if left and rate:
            line += f", about {left / rate:,.0f} s left"
        self._command._say(self._workspace, line)
