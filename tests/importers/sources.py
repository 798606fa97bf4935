"""A sample of each source, by which it has all the tests of the frame's properties.

Whoever adds a source adds a line here, or a function that makes a sample where the test data has
none of its kind.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from memory.importers.registry import SOURCES
from memory.importers.report import ImportReport
from memory.importers.run import run_import
from memory.importers.source import Source
from tests.importers.legacy import Legacy


@dataclass(frozen=True)
class Sample:
    """`path` is below the test data's folder. A run of it is killed after so many `batches`."""

    source: str
    path: str
    batches: int = 4

    def __str__(self) -> str:
        return f"{self.source}:{self.path}"

    @property
    def importer(self) -> Source:
        return SOURCES[self.source]

    def where(self, legacy: Legacy) -> Path:
        found = legacy.root / self.path
        if not found.exists():
            pytest.skip(f"the test data has no {self.path}")
        return found


SAMPLES = (
    Sample("amp", "amp/sessions_after.sqlite"),
    Sample("claude-code", "transcripts/claude"),
    Sample("codex", "transcripts/codex", batches=2),
    Sample("experience-store", "ai_exp/raw_store.db"),
    Sample("life-engine", "claude_os/real_5da23e82/system.db"),
    Sample("life-engine", "claude_os/seed_shape/system.db"),
)


def take(workspace, sample: Sample, where: Path, **options) -> ImportReport:
    """Import a sample into a workspace."""
    return run_import(
        workspace_id=workspace.id, source=sample.importer, where=str(where), **options
    )
