"""What a run did: counts by the source's tables, problems, and whether it all adds up."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from memory.importers.problems import Level, ProblemLog


@dataclass(slots=True)
class TableCount:
    """Of one table of the source. `total` is what it holds, `read` what was read of it, and each
    row read was created, updated, unchanged, skipped or `older` than --since."""

    total: int = 0
    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    older: int = 0

    def note(self, outcome: str, rows: int = 1) -> None:
        self.read += rows
        setattr(self, outcome, getattr(self, outcome) + rows)


@dataclass(slots=True)
class Checked:
    """What verification found: rows of each table that should be here and are (`here`), how many
    were compared field by field, and what differs."""

    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    compared: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.differences

    def as_dict(self) -> dict[str, Any]:
        return {"ok": self.ok} | asdict(self)


@dataclass(slots=True)
class ImportReport:
    """Filled while the run goes on. `problems` are in the order found."""

    source: str
    path: str
    run_id: str
    dry_run: bool = False
    tables: dict[str, TableCount] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)
    redacted: int = 0
    seconds: float = 0.0
    problems: ProblemLog = field(default_factory=ProblemLog)
    checked: Checked | None = None
    # Entries that were skipped, by their number.
    left_out: set[int] = field(default_factory=set)

    def table(self, name: str) -> TableCount:
        return self.tables.setdefault(name, TableCount())

    @property
    def broken(self) -> int:
        """How many problems are errors."""
        return self.problems.count(Level.ERROR)

    def sum(self, name: str) -> int:
        return sum(getattr(count, name) for count in self.tables.values())

    @property
    def changed(self) -> bool:
        return bool(self.sum("created") or self.sum("updated"))

    @property
    def rate(self) -> float:
        return self.sum("read") / self.seconds if self.seconds else 0.0

    def counts(self) -> dict[str, dict[str, int]]:
        return {name: asdict(count) for name, count in sorted(self.tables.items())}

    def as_dict(self) -> dict[str, Any]:
        """For --json and --report."""
        return {
            "source": self.source,
            "path": self.path,
            "run_id": self.run_id,
            "dry_run": self.dry_run,
            "seconds": self.seconds,
            "tables": self.counts(),
            "rows": dict(sorted(self.rows.items())),
            "redacted": self.redacted,
            "broken": self.broken,
            "problem_counts": {str(code): n for code, n in sorted(self.problems.by_code.items())},
            "problems_omitted": self.problems.omitted,
            "problems": [problem.as_dict() for problem in self.problems],
            "checked": None if self.checked is None else self.checked.as_dict(),
        }
