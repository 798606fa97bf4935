"""Reads the stories: TOML files, each a list of tables under the name of what they tell of."""

import tomllib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from memory.demo.transcript import StoryError

FOLDER = Path(__file__).parent / "stories"
KINDS = frozenset(
    {
        "agent", "person", "project", "task", "priority", "contact", "session", "worker",
        "mission", "handoff", "ping", "staged", "memory", "search",
    }
)  # fmt: skip


class Story(dict[str, Any]):
    """One table. Its fields are taken out, so that a misspelt one is found."""

    def __init__(self, kind: str, values: dict[str, Any], where: str) -> None:
        super().__init__(values)
        self.kind = kind
        self.where = f"{where}: {kind} {values.get('key') or values.get('name') or ''}".strip()

    def need(self, name: str) -> Any:
        if name not in self:
            raise StoryError(f"{self.where} has no {name}")
        return self.pop(name)

    def take(self, *names: str) -> dict[str, Any]:
        """Those of the fields that are given."""
        return {name: self.pop(name) for name in names if name in self}

    def done(self) -> None:
        if self:
            raise StoryError(f"{self.where}: nobody reads {', '.join(self)}")


def read_stories() -> dict[str, list[Story]]:
    """By kind, in the order of the files and in them. StoryError names what cannot be read."""
    found: dict[str, list[Story]] = {kind: [] for kind in KINDS}
    for path in sorted(FOLDER.glob("*.toml")):
        for kind, tables in _parsed(path).items():
            for values in _tables(kind, tables, KINDS, path.name):
                found[kind].append(Story(kind, dict(values), path.name))
    return found


@cache
def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise StoryError(f"{path.name}: {error}") from None


def _tables(kind: str, tables: Any, known: Collection[str], where: str) -> Iterator[dict[str, Any]]:
    if kind not in known or not isinstance(tables, list):
        raise StoryError(f"{where}: {kind!r} is none of {', '.join(sorted(known))}")
    yield from tables
