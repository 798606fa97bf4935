"""Checking a database as an operator does after a migration, a restore or a suspicion.

First what it is made of (structure.py, against expected.py), then what is in it, workspace by
workspace: numbers, counters and references (rows.py), kept counts (kept.py), the search index
(index.py, vectors.py), the chain of changes (chain.py). All in statements over whole tables, else a
transaction for each batch; locks of --fix are short.
"""

from collections.abc import Iterator

from contacts.models import Workspace
from memory.verify import chain, index, kept, rows, structure, vectors
from memory.verify.report import Check, Options

__all__ = ["Check", "Options", "check_structure", "check_workspace"]


def check_structure() -> list[Check]:
    """Outside any scope; reads catalogs only, so either login will do."""
    return structure.check()


def check_workspace(workspace: Workspace, options: Options) -> Iterator[Check]:
    """Outside any scope: each check opens its own."""
    for part in (rows, kept, index, vectors, chain):
        for done in part.check(workspace.id, options):
            done.workspace = workspace.slug
            yield done
