"""One run of an import: every session of a source, and a report a person can read.

Not for one format: what a format needs is in its own package.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from config.lib.actor import Actor
from config.lib.ids import new_id
from memory.importers.claude_code import SessionReader, discover
from memory.importers.claude_code.store import SessionStore, Stored
from memory.importers.problems import Level, ProblemLog

Progress = Callable[[str], None]


@dataclass(slots=True)
class ImportReport:
    """What a run did. `problems` are in the order found, each with file, line and reason."""

    source: str
    path: str
    run_id: str
    sessions: int = 0
    sessions_new: int = 0
    sessions_grown: int = 0
    lines: int = 0
    lines_new: int = 0
    messages_new: int = 0
    events_new: int = 0
    threads_new: int = 0
    seconds: float = 0.0
    problems: ProblemLog = field(default_factory=ProblemLog)

    def add(self, stored: Stored, reader: SessionReader) -> None:
        self.sessions += 1
        self.sessions_new += stored.is_new
        self.sessions_grown += bool(stored.lines) and not stored.is_new
        self.lines += sum(file.lines for file in reader.files)
        self.lines_new += stored.lines
        self.messages_new += stored.messages
        self.events_new += stored.events
        self.threads_new += stored.threads
        for problem in reader.problems:
            self.problems.add(problem)

    @property
    def broken(self) -> int:
        """How many problems left something out."""
        return self.problems.count(Level.ERROR)

    def as_dict(self) -> dict[str, Any]:
        """For --json: counts, and every problem that was kept."""
        counts = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name != "problems"
        }
        return counts | {
            "broken": self.broken,
            "problem_counts": {str(code): n for code, n in self.problems.by_code.items()},
            "problems_omitted": self.problems.omitted,
            "problems": [asdict(problem) for problem in self.problems],
        }


def import_claude_code(
    *,
    workspace_id: uuid.UUID,
    path: Path,
    agent_name: str = "claude-code",
    dry_run: bool = False,
    progress: Progress = lambda _: None,
) -> ImportReport:
    """Read every transcript below `path` into a workspace. Outside any scope; can run again.

    Raises SourceError, one line, when there is nothing to read. A dry run reads everything and
    writes nothing.
    """
    run_id = str(new_id())
    actor = Actor("import", run_id, f"import claude-code {path.name}"[:200], "import")
    found = discover(path)
    report = ImportReport("claude-code", str(path), run_id)
    for problem in found.problems:
        report.problems.add(problem)
    began = time.monotonic()
    for position, files in enumerate(found.sessions, 1):
        reader = SessionReader(files)
        if dry_run:
            for _ in reader:
                pass
            stored = Stored()
        else:
            store = SessionStore(workspace_id, actor, files, agent_name)
            stored = store.run(reader)
        report.add(stored, reader)
        report.seconds = round(time.monotonic() - began, 3)
        progress(_line(report, position, len(found.sessions)))
    return report


def _line(report: ImportReport, position: int, total: int) -> str:
    rate = report.lines / report.seconds if report.seconds else 0
    return (
        f"{position:,} of {total:,} sessions, {report.lines:,} lines read "
        f"({rate:,.0f}/s), {report.messages_new:,} messages new"
    )
