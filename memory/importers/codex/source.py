"""Codex's rollouts as a source of the import frame."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from contacts.models.agent import AgentKind
from memory.importers.claude_code.source import Transcripts
from memory.importers.codex.files import discover
from memory.importers.codex.reader import CodexReader
from memory.importers.source import Options


class Codex:
    name = "codex"
    title = "Codex rollouts (~/.codex/sessions)"
    times = "UTC; a line without a time has that of the line before it"

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator[Transcripts]:
        found = discover(Path(where).expanduser())
        yield Transcripts(
            found,
            options.agent or self.name,
            source=self.name,
            kind=AgentKind.CODEX,
            reader=CodexReader,
        )


CODEX = Codex()
