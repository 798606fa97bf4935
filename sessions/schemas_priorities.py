"""What is sent and answered about priorities."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from config.lib.schema import ABSENT, Day, Input, JsonObject, Output, RowId, RowOut, Text
from sessions.models.priority import Level


class PriorityOut(RowOut):
    content: str
    level: Level
    pool: str
    date: Day
    carried_from: Day | None = Field(description="The first day it was on, if it was carried over")
    position: int = Field(description="Its place on the list of its day and pool")
    completed_at: datetime | None
    metadata: dict[str, Any]
    source: str
    external_id: str
    version: int
    created_at: datetime
    updated_at: datetime


class PriorityIn(Input):
    content: Text = Field(min_length=1, max_length=2_000)
    level: Level = Field(ABSENT, description="Without: medium")
    pool: Text = Field(ABSENT, min_length=1, max_length=60, description="Without: main")
    date: Day = Field(ABSENT, description="Without: today in the workspace's time zone")
    metadata: JsonObject = Field(ABSENT)
    source: Text = Field(ABSENT, max_length=60)
    external_id: Text = Field(
        ABSENT, max_length=300, description="Your own name for it; sent again, the row comes back."
    )


class PriorityPatch(Input):
    content: Text = Field(ABSENT, min_length=1, max_length=2_000)
    level: Level = Field(ABSENT)
    pool: Text = Field(ABSENT, min_length=1, max_length=60)
    date: Day = Field(ABSENT)
    metadata: JsonObject = Field(ABSENT)
    reason: Text = Field(ABSENT, max_length=500)


class PriorityMove(Input):
    """Where on its list: exactly one of these."""

    before: RowId | None = Field(None, description="Right before this one")
    after: RowId | None = Field(None, description="Right after this one")
    place: Literal["top", "bottom"] | None = None


class Today(Output):
    """One page of today's list."""

    date: Day = Field(description="In the workspace's time zone")
    items: list[PriorityOut]
    next_cursor: str | None = Field(None, description="Give it as `cursor` to read on.")


class CarriedOver(Output):
    """What one call carried over."""

    date: Day
    items: list[PriorityOut]
    more: bool = Field(description="There were more than one call takes; call again")
