"""What is sent and answered about events."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from config.lib.schema import Input, JsonObject, Moment, Output, RowOut, Text
from sessions.services.events import MAX_BATCH


class EventOut(RowOut):
    session_id: uuid.UUID
    seq: int = Field(description="From 1, without gaps in its session")
    event_type: str
    text: str
    data: dict[str, Any]
    occurred_at: datetime
    dedupe_key: str
    created_at: datetime


class EventIn(Input):
    event_type: Text = Field(
        min_length=1, max_length=60, description="Such as tool_use, error, or your own"
    )
    text: Text = Field("", max_length=1_000_000, description="What search and people read of it")
    data: JsonObject = Field(default_factory=dict, description="At most 1 MiB of JSON")
    occurred_at: Moment | None = Field(None, description="Without: now")
    dedupe_key: Text = Field(
        "", max_length=200, description="Sent again in the same session, the first event comes back"
    )


class EventBatchIn(Input):
    events: list[EventIn] = Field(min_length=1, max_length=MAX_BATCH)


class EventPlace(Output):
    """Where an event went."""

    id: uuid.UUID
    seq: int
    created: bool = Field(description="false where its dedupe_key was there already")


class EventBatchOut(Output):
    items: list[EventPlace] = Field(description="In the order sent")
    created: int
