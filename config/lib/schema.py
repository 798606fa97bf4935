"""What request and response schemas share: their bases, and the types that say what can be stored.

Schemas are plain pydantic, so that REST and MCP use the same ones. Not for single nouns: each has
its module in its app.
"""

import math
import uuid
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    computed_field,
)
from pydantic_core import PydanticCustomError

from config.lib.ids import MIN_SHORT_LENGTH, short_id
from config.lib.redact import redact
from config.lib.text import json_problem, text_problem

MAX_INT = 2**31 - 1
MAX_BIGINT = 2**63 - 1


# Any, so that it can stand for a value of every type; None, so that schemas show no default.
ABSENT: Any = None


class Input(BaseModel):
    """What callers send. A field nobody knows is refused: it would be lost in silence.

    Fields with the default ABSENT may be left out, and are then left out of `sent()` too. A null
    can be sent for them only where their type says so.
    """

    model_config = ConfigDict(extra="forbid")

    def sent(self) -> dict[str, Any]:
        """The fields the caller gave, by name; parts that are schemas themselves as dicts."""
        return self.model_dump(exclude_unset=True)


class Output(BaseModel):
    """What callers get, read from a row's attributes or a values() dict."""

    model_config = ConfigDict(from_attributes=True)


class RowOut(Output):
    """A row: every one has an id, and the short form of it that people type."""

    id: uuid.UUID

    @computed_field(description="The tail of the id; accepted wherever the id is")  # type: ignore[prop-decorator]
    @property
    def short_id(self) -> str:
        return short_id(self.id)


def _storable_text(value: str) -> str:
    problem = text_problem(value)
    if problem:
        raise PydanticCustomError("text", "{problem}", {"problem": problem})
    return value


def _without_secrets(value: Any) -> Any:
    """What is looked up by it must be what is stored, and an error may repeat it."""
    return redact(value)


def _storable_json(value: Any) -> Any:
    problem = json_problem(value)
    if problem:
        # The path below the field; the error handler puts it behind the field's own.
        raise PydanticCustomError("json", "{problem}", {"path": problem[0], "problem": problem[1]})
    return value


def _timestamp_text(value: Any) -> Any:
    # A bare number may be seconds or milliseconds, a bare date has no zone: neither is guessed at.
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or len(value) < len("2026-01-01T00:00Z"):
        raise PydanticCustomError(
            "timestamp", "must be an RFC 3339 time with a zone, such as 2026-01-31T12:00:00Z"
        )
    return value


def _day_text(value: Any) -> Any:
    # A number would be taken for seconds, and a time for its day in nobody's zone.
    wrong = len(value) != len("2026-01-31") if isinstance(value, str) else type(value) is not date
    if wrong:
        raise PydanticCustomError("day", "must be a day, such as 2026-01-31")
    return value


def _in_range(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("timestamp", "lies outside the years 1 to 9999") from None


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise PydanticCustomError("number", "must be a finite number")
    return value


Text = Annotated[str, AfterValidator(_storable_text), AfterValidator(_without_secrets)]
# For the few fields that are meant to hold a secret, or what finds one.
SecretText = Annotated[str, AfterValidator(_storable_text)]
SettingsObject = Annotated[dict[str, Any], AfterValidator(_storable_json)]
JsonObject = Annotated[SettingsObject, AfterValidator(_without_secrets)]
JsonObjects = Annotated[
    list[dict[str, Any]], AfterValidator(_storable_json), AfterValidator(_without_secrets)
]
Number = Annotated[float, AfterValidator(_finite)]
Moment = Annotated[AwareDatetime, BeforeValidator(_timestamp_text), AfterValidator(_in_range)]
Day = Annotated[date, BeforeValidator(_day_text)]
RowId = Annotated[
    str,
    Field(
        pattern=r"^[0-9A-Fa-f-]{8,36}$",
        description=f"A full id, or its last {MIN_SHORT_LENGTH} to 12 hex digits.",
    ),
]
