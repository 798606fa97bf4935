"""A sample of each source, by which it has all the tests of the frame's properties.

Whoever adds a source adds a line here, or a function that makes a sample where the test data has
none of its kind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from memory.importers.registry import SOURCES
from memory.importers.report import ImportReport
from memory.importers.run import run_import
from memory.importers.source import Source
from tests.importers import made
from tests.importers.legacy import Legacy


@dataclass(frozen=True)
class Sample:
    """`path` is below the test data's folder, or below one in which `make` makes it. A run of it is
    killed after so many `batches`."""

    source: str
    path: str
    make: Callable[[Path], None] | None = None
    batches: int = 4

    def __str__(self) -> str:
        return f"{self.source}:{self.path}"

    @property
    def importer(self) -> Source:
        return SOURCES[self.source]

    def where(self, legacy: Legacy) -> Path:
        if self.make is not None:
            path = legacy.made / self.path
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                self.make(path)
            return path
        found = legacy.root / self.path
        if not found.exists():
            pytest.skip(f"the test data has no {self.path}")
        return found


SAMPLES = (
    Sample("amp", "amp/sessions_after.sqlite"),
    Sample("archon", "archon/archon_export.sql.gz"),
    Sample("vcard", "vcard/people.vcf", made.vcard),
    Sample("basic-memory", "basic-memory/notes", made.basic_memory),
    Sample("claude-md", "claude-md/shop", made.claude_md),
    Sample("mem0", "mem0/mem0.json", made.mem0),
    Sample("claude-mem", "claude-mem/claude-mem.db", made.claude_mem),
    Sample("memory-server", "memory-server/memory.jsonl", made.memory_server),
    Sample("chatgpt", "chatgpt/conversations.json", made.chatgpt),
    Sample("claude-code", "transcripts/claude"),
    Sample("codex", "transcripts/codex", batches=1),
    Sample("experience-store", "ai_exp/raw_store.db"),
    Sample("life-engine", "claude_os/real_5da23e82/system.db"),
    Sample("life-engine", "claude_os/seed_shape/system.db"),
)


def take(workspace, sample: Sample, where: Path, **options) -> ImportReport:
    """Import a sample into a workspace."""
    return run_import(
        workspace_id=workspace.id, source=sample.importer, where=str(where), **options
    )
