"""What is sent and answered about notifications."""

import uuid
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from config.lib.schema import Input, JsonObject, Output, RowId, RowOut, Text
from sessions.schemas import ConversationId
from sessions.services.notifications import MAX_BATCH

# unnotified: no session was handed it. notified: one was, nobody has acknowledged it.
# pending: either of these.
NotificationState = Literal["unnotified", "notified", "pending", "acknowledged"]


class NotificationOut(RowOut):
    conversation_id: str
    notification_type: str
    entity_id: str
    payload: dict[str, Any]
    session_id: uuid.UUID | None = Field(description="The session that was handed it")
    notified_at: datetime | None
    acked_at: datetime | None
    created_at: datetime


class NotificationIn(Input):
    conversation_id: ConversationId = Field(min_length=1, max_length=120)
    notification_type: Text = Field(min_length=1, max_length=60)
    entity_id: Text = Field(min_length=1, max_length=200, description="What it is about")
    payload: JsonObject = Field(default_factory=dict)


class DeliverIn(Input):
    limit: int = Field(MAX_BATCH, ge=1, le=MAX_BATCH)


class AcknowledgeIn(Input):
    """Either ids, or a conversation."""

    ids: list[RowId] = Field(default_factory=list, max_length=MAX_BATCH)
    conversation_id: ConversationId = Field(
        "", max_length=120, description="Everything its sessions were handed; not what waits"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.ids) == bool(self.conversation_id):
            raise ValueError("give either ids or conversation_id")
        return self


class AcknowledgeOut(Output):
    acknowledged: int = Field(description="How many were pending until now")
