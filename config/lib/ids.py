"""Row ids (UUIDv7) and the short forms people and agents type."""

import re
import uuid

from uuid_utils.compat import uuid7

from config.lib import clock

# 48 random bits: two rows of a million share a tail with a chance under 1 in 500.
SHORT_LENGTH = 12
# 32 bits: the shortest tail that is looked up. Above a few thousand rows it may be ambiguous.
MIN_SHORT_LENGTH = 8
_TAIL = re.compile(rf"[0-9a-f]{{{MIN_SHORT_LENGTH},31}}")


def new_id() -> uuid.UUID:
    """A UUIDv7: rows made later sort later, so indexes grow at one end."""
    told = clock.told()
    return uuid7() if told is None else told.new_id()


def short_id(value: uuid.UUID) -> str:
    """The random tail: a UUIDv7's head is the clock, the same for rows made together."""
    return value.hex[-SHORT_LENGTH:]


def read_id(text: str) -> uuid.UUID | str | None:
    """A full id as a UUID, a shortened one as its hex digits, None for what is neither."""
    digits = text.strip().lower().replace("-", "")
    if re.fullmatch(r"[0-9a-f]{32}", digits):
        return uuid.UUID(hex=digits)
    return digits if _TAIL.fullmatch(digits) else None
