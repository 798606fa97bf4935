"""What is sent and answered about handoffs."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from config.lib.schema import ABSENT, Input, JsonObject, RowId, RowOut, Text
from sessions.models.attention import HandoffStatus


class HandoffRow(RowOut):
    """A handoff as lists show it: without its content."""

    from_session_id: uuid.UUID | None
    to_session_id: uuid.UUID | None = Field(description="The session that accepted it")
    to_agent_id: uuid.UUID | None
    conversation_id: str
    role: str
    mode: str
    reason: str
    status: HandoffStatus
    settled_at: datetime | None
    source: str
    external_id: str
    version: int
    created_at: datetime
    updated_at: datetime


class HandoffOut(HandoffRow):
    content: str
    error: str = Field(description="Why it was rejected or failed")
    metadata: dict[str, Any]


class HandoffIn(Input):
    from_session_id: RowId
    content: Text = Field(
        min_length=1, max_length=1_000_000, description="What the next one must know, in Markdown"
    )
    to_agent: Text | None = Field(None, min_length=1, max_length=120, description="Its name or id")
    role: Text = Field(
        ABSENT, max_length=60, description="Without, and without to_agent: the session's own"
    )
    mode: Text = Field(ABSENT, max_length=20)
    reason: Text = Field(ABSENT, max_length=500)
    metadata: JsonObject = Field(ABSENT)
    source: Text = Field(ABSENT, max_length=60)
    external_id: Text = Field(
        ABSENT, max_length=300, description="Your own name for it; sent again, the row comes back."
    )


class AcceptIn(Input):
    session_id: RowId = Field(description="The session that takes the work over")


class RefusalIn(Input):
    error: Text = Field("", max_length=20_000, description="Why")
