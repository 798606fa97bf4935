"""What a check says, and the batches that checks go in."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection

from config.lib.scope import set_local, workspace_scope

# An operator waits; the web's limit is for requests.
STATEMENT_TIMEOUT = "10min"
LOCK_TIMEOUT = "30s"
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
    may want to know though nothing is wrong, and what was fixed.
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

    def mended(self, what: str) -> None:
        """One thing that was wrong, and is right now."""
        self.fixed += 1
        if self.fixed <= MOST_NAMED:
            self.notes.append(f"fixed: {what}")

    @property
    def findings(self) -> int:
        return len(self.problems) + self.more

    def wrong(self, problem: str) -> None:
        if len(self.problems) < MOST_NAMED:
            self.problems.append(problem)
        else:
            self.more += 1

    def wrong_in_all(self, problems: Iterable[str], count: int) -> None:
        """`count` things are wrong, of which `problems` names the first."""
        before = self.findings
        for problem in problems:
            self.wrong(problem)
        self.more += max(0, before + count - self.findings)

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
        set_local("lock_timeout", LOCK_TIMEOUT)
        yield


def fetch(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """All rows of one statement, inside a scope."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
