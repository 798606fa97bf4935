"""What a check says, and the batches that checks go in."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from config.lib.scope import set_local, workspace_scope

# An operator waits; the web's limit is for requests.
STATEMENT_TIMEOUT = "10min"
# Named in full; of more than these only the number is told.
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Options:
    """`fix`: rebuild what can be. `waiting`: younger passages may still be without a vector."""

    fix: bool = False
    waiting: timedelta = timedelta(minutes=15)


@dataclass(slots=True)
class Check:
    """One line of the table. `expected` things should be there, `found` are, as they should be.

    `problems` is what is wrong, `fixed` what was and is not any more, `notes` what an operator
    may want to know though nothing is wrong.
    """

    category: str
    name: str
    expected: int = 0
    found: int = 0
    problems: list[str] = field(default_factory=list)
    more: int = 0
    fixed: int = 0
    notes: list[str] = field(default_factory=list)
    workspace: str = ""

    @property
    def findings(self) -> int:
        return len(self.problems) + self.more

    def wrong(self, problem: str) -> None:
        if len(self.problems) < MOST_NAMED:
            self.problems.append(problem)
        else:
            self.more += 1

    def saw(self, right: bool, problem: str) -> None:
        """One thing looked at."""
        self.expected += 1
        if right:
            self.found += 1
        else:
            self.wrong(problem)

    def as_json(self) -> dict[str, Any]:
        return {
            "workspace": self.workspace or None,
            "category": self.category,
            "name": self.name,
            "expected": self.expected,
            "found": self.found,
            "findings": self.findings,
            "problems": self.problems,
            "fixed": self.fixed,
            "notes": self.notes,
        }


@contextmanager
def patient_scope(workspace_id: uuid.UUID) -> Iterator[None]:
    """A workspace's scope whose statements may take long."""
    with workspace_scope(workspace_id):
        set_local("statement_timeout", STATEMENT_TIMEOUT)
        yield
