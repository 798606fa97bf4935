"""What is sent and answered about threads and their messages."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from config.lib.schema import (
    ABSENT,
    MAX_INT,
    Input,
    JsonObject,
    JsonObjects,
    Moment,
    Output,
    RowId,
    RowOut,
    Text,
)
from sessions.models.thread import MessageRole, ThreadStatus
from sessions.services.threads import MAX_BATCH


class ThreadOut(RowOut):
    session_id: uuid.UUID
    parent_id: uuid.UUID | None
    name: str
    status: ThreadStatus
    message_count: int = Field(description="Also the next message's idx")
    last_message_at: datetime | None
    opening: str = Field(description="The first 200 characters of its first user message")
    source: str
    external_id: str
    metadata: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


class ThreadIn(Input):
    name: Text = Field("", max_length=300)
    parent_id: RowId | None = Field(None, description="A thread of the same session")
    metadata: JsonObject = Field(default_factory=dict)
    source: Text = Field("", max_length=60)
    external_id: Text = Field("", max_length=300, description="Your own name for it, unique")


class ThreadPatch(Input):
    name: Text = Field(ABSENT, max_length=300)
    status: ThreadStatus = Field(ABSENT)
    metadata: JsonObject = Field(ABSENT)


class ThreadSearch(Input):
    text: Text = Field(
        min_length=1, max_length=8_000_000, description="The whole first user message, exactly"
    )
    session_id: RowId | None = Field(None, description="Only in this session")


class LegacyMigration(Output):
    """What became of the sessions that name a legacy thread."""

    migrated: int = Field(description="Sessions that have their thread now")
    skipped: int = Field(description="Sessions whose thread was there already")


class MessageOut(RowOut):
    session_id: uuid.UUID
    thread_id: uuid.UUID
    idx: int = Field(description="From 0, without gaps in its thread")
    role: MessageRole
    content: str
    blocks: list[dict[str, Any]]
    native_uuid: str
    native_parent_uuid: str
    model: str
    usage: dict[str, Any]
    metadata: dict[str, Any]
    occurred_at: datetime
    created_at: datetime


class MessageIn(Input):
    role: MessageRole
    content: Text = Field("", max_length=8_000_000, description="What a person reads of it")
    blocks: JsonObjects = Field(
        default_factory=list, description="The content blocks as the agent wrote them; 1 MiB"
    )
    idx: Annotated[int, Field(ge=0, le=MAX_INT)] | None = Field(
        None, description="Must be the thread's next; leave it out to append wherever the end is"
    )
    native_uuid: Text = Field(
        "", max_length=120, description="Sent again in the same session, the first message stays"
    )
    native_parent_uuid: Text = Field("", max_length=120)
    model: Text = Field("", max_length=120)
    usage: JsonObject = Field(default_factory=dict)
    metadata: JsonObject = Field(default_factory=dict)
    occurred_at: Moment | None = Field(None, description="Without: now")


class MessagesIn(Input):
    messages: list[MessageIn] = Field(min_length=1, max_length=MAX_BATCH)


def _one_or_many(value: Any) -> str:
    many = isinstance(value, MessagesIn) or (isinstance(value, dict) and "messages" in value)
    return MANY if many else ONE


# What an error's path must not show: which of the two forms was understood.
ONE, MANY = "one message", "many messages"
OneOrMany = Annotated[
    Annotated[MessageIn, Tag(ONE)] | Annotated[MessagesIn, Tag(MANY)], Discriminator(_one_or_many)
]


class MessagePlace(Output):
    """Where a message went."""

    id: uuid.UUID
    idx: int
    created: bool = Field(description="false where its native_uuid was there already")


class MessagesOut(Output):
    items: list[MessagePlace] = Field(description="In the order sent")
    created: int
    message_count: int = Field(description="The thread's length now, and the next idx")
