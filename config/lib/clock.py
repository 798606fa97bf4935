"""The one clock: times are computed in Python, which tests inject and Citus accepts."""

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)
