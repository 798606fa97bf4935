"""The errors services raise. Not for HTTP: config/errors.py says which status each one becomes."""

import uuid
from collections.abc import Iterable, Mapping


class DomainError(Exception):
    """Base of all errors a caller can do something about. `detail` is shown to the caller."""

    def __init__(self, detail: str, *, code: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


class NotFound(DomainError):
    """No such row in this workspace (which says nothing of other workspaces)."""

    def __init__(self, what: str, key: object = "", *, where: str = " in this workspace") -> None:
        shown = str(key)[:100]
        super().__init__(f"No {what} {shown}".rstrip() + f"{where}.", code="not_found")


class Conflict(DomainError):
    """The row's state does not allow it; reading it again and deciding anew may help."""


class Erased(Conflict):
    """What it is about was erased here, and may not come back. `erasures` are the ids of those."""

    def __init__(self, what: str, erasures: Iterable[uuid.UUID] = ()) -> None:
        self.erasures = set(erasures)
        super().__init__(
            f"This {what} was erased here, or says what was, and may not come back. "
            "An owner can lift the erasure.",
            code="erased",
        )


class Stale(DomainError):
    """The caller's version is not the row's: somebody changed it in between."""

    def __init__(self, what: str, *, expected: int, actual: int) -> None:
        super().__init__(
            f"This {what} is at version {actual}, not {expected}: it was changed in between. "
            "Read it again, then repeat your change on what it is now.",
            code="stale",
        )
        self.expected, self.actual = expected, actual


class Invalid(DomainError):
    """Fields that cannot be stored. `errors` maps a field's path to what is wrong with it."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__("; ".join(f"{name}: {text}" for name, text in self.errors.items()))


class Forbidden(DomainError):
    """The caller is known and may not do this."""


class TooMany(DomainError):
    """Over a limit that time resets. `retry_after` is in seconds."""

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, code="too_many")
        self.retry_after = retry_after


class Exhausted(Exception):
    """Nothing more may be written, whichever row it is. No DomainError: those are of a row, and
    whoever works on many notes them and goes on. `retry_after` is in seconds."""

    def __init__(self, detail: str, *, code: str, retry_after: int) -> None:
        super().__init__(detail)
        self.detail, self.code, self.retry_after = detail, code, retry_after


class NoRoom(Exhausted):
    """The disk, or what the database may have of it, is nearly full."""


class OverBudget(Exhausted):
    """More than a key or a workspace may write today, or hold."""


class Unavailable(DomainError):
    """A server that this needs is down or busy. `retry_after` is in seconds."""

    def __init__(self, detail: str, *, code: str, retry_after: int) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class BadGateway(DomainError):
    """A server that this needs answered, and the answer is of no use."""
