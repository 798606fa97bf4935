"""What a source is to the frame: it opens a file, folder or address and yields its rows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Protocol

from memory.importers.problems import Problem
from memory.importers.rows import Entry


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who imports has said about it. `agent` is whose sessions they are, where
    the source does not name one; `zone` is where its times without a zone were written. `keep_ids`
    brings an export back as it was, history and all."""

    agent: str = ""
    zone: tzinfo | None = None
    keep_ids: bool = False


class Reading(Protocol):
    """A source that is open. `entries` can be asked for again: verification reads twice."""

    @property
    def totals(self) -> Mapping[str, int]:
        """How many rows each table has that is carried over, as the source counts them."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with the source as a whole: unknown tables and columns."""

    def entries(self) -> Iterator[Entry]:
        """Every row of the tables in `totals`, each exactly once or as another draft's `also`."""


class Source(Protocol):
    """`name` is what people type and what rows have as their `source`; `times` says in a sentence
    how a time without a zone is read."""

    name: str
    title: str
    times: str

    def open(self, where: str, scratch: Path, options: Options) -> AbstractContextManager[Reading]:
        """Look at `where` and get ready to read it. `scratch` is an empty folder of its own.

        Raises SourceError, one line that says what to do, where there is nothing to read.
        """


def times_of(source: Source) -> str:
    """How it reads times, as a sentence without Markdown."""
    return source.times.replace("`", "")
