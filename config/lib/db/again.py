"""Work that the database undid because of others' writes, and that may succeed once more."""

from collections.abc import Callable
from typing import TypeVar

import psycopg
from django.db import DatabaseError

T = TypeVar("T")
# The transaction was undone through no fault of its own.
RETRYABLE = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
# Services look before they write, so these say that somebody wrote in between: looking again finds
# the row that is there now, or that one is gone, and answers better than a constraint's name.
OVERTAKEN = (psycopg.errors.UniqueViolation, psycopg.errors.ForeignKeyViolation)
MAX_ATTEMPTS = 3


def may_succeed_again(error: Exception) -> bool:
    cause = error.__cause__ or error
    return isinstance(cause, RETRYABLE + OVERTAKEN) or _is_outlived(cause)


def _is_outlived(cause: BaseException) -> bool:
    """Whether a migration has changed what a kept statement returns (prepared.py). Rolled back, it
    is kept no longer. Told by PostgreSQL's function: the text is in the server's language."""
    return (
        isinstance(cause, psycopg.errors.FeatureNotSupported)
        and cause.diag.source_function == "RevalidateCachedQuery"
    )


def again(work: Callable[[], T]) -> T:
    """`work`, which opens its own transactions, as often as it may succeed."""
    for _ in range(MAX_ATTEMPTS - 1):
        try:
            return work()
        except DatabaseError as error:
            if not may_succeed_again(error):
                raise
    return work()
