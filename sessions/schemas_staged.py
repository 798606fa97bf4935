"""What is sent and answered about staged content."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from config.lib.schema import ABSENT, MAX_INT, Input, JsonObject, Moment, RowId, RowOut, Text
from sessions.schemas import ConversationId


class StagedRow(RowOut):
    """Staged content as lists show it: the body's beginning, no payload."""

    content_type: str
    title: str
    body_start: str = Field(description="The first 500 characters of the body")
    session_id: uuid.UUID | None
    conversation_id: str
    position: int
    pinned: bool
    dismissed_at: datetime | None
    expires_at: datetime | None
    source: str
    external_id: str
    version: int
    created_at: datetime
    updated_at: datetime


class StagedOut(RowOut):
    content_type: str
    title: str
    body: str
    payload: dict[str, Any]
    session_id: uuid.UUID | None
    conversation_id: str
    position: int
    pinned: bool
    dismissed_at: datetime | None
    expires_at: datetime | None
    source: str
    external_id: str
    metadata: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


class StagedIn(Input):
    content_type: Text = Field(
        min_length=1, max_length=60, description="draft, plan, finding, or your own word"
    )
    title: Text = Field("", max_length=300)
    body: Text = Field("", max_length=1_000_000)
    payload: JsonObject = Field(default_factory=dict)
    session_id: RowId | None = Field(None, description="The session that stages it")
    conversation_id: ConversationId = Field(
        "", max_length=120, description="Without: the session's."
    )
    pinned: bool = False
    expires_at: Moment | None = Field(None, description="It leaves the board then.")
    source: Text = Field("", max_length=60)
    external_id: Text = Field(
        "", max_length=300, description="Your own name for it; sent again, the row comes back."
    )
    metadata: JsonObject = Field(default_factory=dict)


class StagedPatch(Input):
    title: Text = Field(ABSENT, max_length=300)
    body: Text = Field(ABSENT, max_length=1_000_000)
    payload: JsonObject = Field(ABSENT)
    pinned: bool = Field(ABSENT)
    expires_at: Moment | None = Field(None, description="null: it stays")
    metadata: JsonObject = Field(ABSENT)
    reason: Text = Field(ABSENT, max_length=500)


class StagedMove(Input):
    """Exactly one of the three."""

    before: RowId | None = Field(None, description="Right above this one of the board")
    after: RowId | None = Field(None, description="Right below this one of the board")
    position: int | None = Field(None, ge=0, le=MAX_INT, description="Highest first")
