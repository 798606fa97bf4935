"""A workspace as of one moment, for as long as its export is read."""

import contextlib
import uuid
from collections.abc import Collection, Iterator

from django.db import connection

from config.lib.db.models import VersionedRow
from config.lib.scope import workspace_scope
from memory.exports.kinds import Model, kinds

# Of each batch of rows, not of the whole.
STATEMENT_TIMEOUT = "10min"


@contextlib.contextmanager
def one_moment(workspace_id: uuid.UUID) -> Iterator[None]:
    """A scope whose statements all see the same rows, whatever is written meanwhile."""
    with workspace_scope(workspace_id):
        with connection.cursor() as cursor:
            if not connection.savepoint_ids:
                # Not in tests, whose transaction has begun.
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
            # Whoever reads the file may stop for a while.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def chosen(only: Collection[str]) -> dict[str, Model]:
    """kind -> model of those that were named, or of all."""
    return {kind: model for kind, model in kinds().items() if not only or kind in only}


def changed_column(model: Model) -> str:
    """What `--since` compares: of rows that never change, when they were made."""
    return "updated_at" if issubclass(model, VersionedRow) else "created_at"
