"""Row ids (UUIDv7) and the short forms people and agents type."""

import uuid

from uuid_utils.compat import uuid7

# 48 random bits: two rows of a million share a tail with a chance under 1 in 500.
SHORT_LENGTH = 12


def new_id() -> uuid.UUID:
    """A UUIDv7: rows made later sort later, so indexes grow at one end."""
    return uuid7()


def short_id(value: uuid.UUID) -> str:
    """The random tail: a UUIDv7's head is the clock, the same for rows made together."""
    return value.hex[-SHORT_LENGTH:]
