"""What is sent and answered about memories, their links and their evidence. Not about search."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from config.lib.schema import ABSENT, Input, JsonObject, Moment, Number, Output, RowId, RowOut, Text
from memory.models.links import Relation
from memory.models.memory import Kind, MemoryState, Trust
from memory.search.schemas import EvidenceOut
from memory.services.about import MAX_ABOUT
from memory.services.memories import MAX_BATCH, MAX_LINKS, MAX_TAGS

Unit = Annotated[Number, Field(ge=0, le=1)]
Tag = Annotated[Text, Field(max_length=100)]


class MemoryRow(RowOut):
    """A memory as lists show it."""

    kind: Kind
    text: str
    tags: list[str]
    agent_id: uuid.UUID | None
    session_id: uuid.UUID | None
    project_id: uuid.UUID | None
    actor: str = Field(description="Who said it: agent, user, import, ...")
    method: str
    confidence: float
    salience: float
    pinned: bool
    consolidated: bool
    trust: Trust
    state: MemoryState
    valid_from: datetime | None
    valid_to: datetime | None
    recorded_at: datetime = Field(description="When it was learned")
    superseded_by_id: uuid.UUID | None
    superseded_at: datetime | None
    expires_at: datetime | None
    source: str
    external_id: str
    version: int


class LinkOut(Output):
    """`source` has `target` as its `relation`."""

    id: uuid.UUID
    source_id: uuid.UUID
    target_id: uuid.UUID
    relation: Relation
    metadata: dict[str, Any]
    created_at: datetime


class AboutOut(Output):
    """Exactly one is set; it can be sent back as it is."""

    contact: uuid.UUID | None
    project: uuid.UUID | None
    task: uuid.UUID | None


class KnownOut(MemoryRow):
    """A memory about a contact."""

    spoken_of_at: datetime = Field(description="When the memory was recorded")


class MemoryOut(MemoryRow):
    data: dict[str, Any]
    confidence_method: str
    affect: dict[str, Any]
    ownership: str
    signature: str
    metadata: dict[str, Any]
    content_hash: str
    repeat_count: int = Field(description="How often the very same was saved again")
    last_repeated_at: datetime | None
    access_count: int
    last_accessed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    parents: list[uuid.UUID] = Field(description="Memories it came from")
    causes: list[uuid.UUID]
    links: list[LinkOut] = Field(description=f"In both directions, oldest first; {MAX_LINKS}")
    evidence: list[EvidenceOut]
    about: list[AboutOut] = Field(description="The contacts, projects and tasks it is about")


class Affect(Input):
    valence: Number = Field(ABSENT, ge=-1, le=1)
    arousal: Number = Field(ABSENT, ge=0, le=1)
    dominance: Number = Field(ABSENT, ge=-1, le=1)
    intensity: Number = Field(ABSENT, ge=0, le=1)
    labels: list[Tag] = Field(ABSENT, max_length=100)


class EvidenceIn(Input):
    """One of the ids and uri. A URI is kept, never fetched."""

    message_id: RowId | None = None
    event_id: RowId | None = None
    task_id: RowId | None = None
    mission_id: RowId | None = None
    uri: Text = Field("", max_length=2000)
    quote: Text = Field("", max_length=20_000)


class AboutIn(Input):
    """Exactly one of the three."""

    contact: RowId | None = None
    project: RowId | None = None
    task: RowId | None = None


class _MemoryFields(Input):
    """What may be set when a memory is saved and changed afterwards; None is never sent."""

    kind: Kind = Field(ABSENT, description="Without: observation")
    data: JsonObject = Field(
        ABSENT, description="Shaped as the kind defines; at most 1 MiB of JSON"
    )
    tags: list[Tag] = Field(ABSENT, max_length=MAX_TAGS)
    session_id: RowId | None = Field(None)
    project_id: RowId | None = Field(None)
    confidence: Unit = Field(ABSENT)
    confidence_method: Text = Field(ABSENT, max_length=60)
    affect: Affect = Field(ABSENT)
    ownership: Text = Field(ABSENT, max_length=60)
    signature: Text = Field(ABSENT, max_length=2000)
    consolidated: bool = Field(ABSENT, description="A summary has taken it up")
    salience: Unit = Field(ABSENT)
    pinned: bool = Field(ABSENT)
    trust: Trust = Field(ABSENT, description="A key cannot raise it above agent")
    state: MemoryState = Field(
        ABSENT, description="active, quarantined or archived; the others follow from actions"
    )
    valid_from: Moment | None = Field(None, description="When it begins to hold in the world")
    valid_to: Moment | None = Field(None, description="When it ceases to")
    expires_at: Moment | None = Field(None)
    metadata: JsonObject = Field(ABSENT)
    about: list[AboutIn] = Field(
        ABSENT, max_length=MAX_ABOUT, description="All that it is about; a change replaces the list"
    )


class MemoryIn(_MemoryFields):
    text: Text = Field(min_length=1, max_length=100_000)
    method: Text = Field(ABSENT, max_length=60)
    recorded_at: Moment = Field(ABSENT, description="Without: now")
    source: Text = Field(ABSENT, max_length=60)
    external_id: Text = Field(
        ABSENT, max_length=300, description="Your own name for it; sent again, the row comes back."
    )
    parents: list[RowId] = Field(default_factory=list, max_length=MAX_LINKS)
    causes: list[RowId] = Field(default_factory=list, max_length=MAX_LINKS)
    evidence: list[EvidenceIn] = Field(default_factory=list, max_length=100)


class MemoryBatchIn(Input):
    memories: list[MemoryIn] = Field(min_length=1, max_length=MAX_BATCH)


class MemoryPlace(Output):
    id: uuid.UUID
    created: bool = Field(
        description="false where its external_id, or the very same memory, was there already"
    )


class MemoryBatchOut(Output):
    items: list[MemoryPlace] = Field(description="In the order sent")
    created: int


class MemoryPatch(_MemoryFields):
    text: Text = Field(ABSENT, min_length=1, max_length=100_000)
    reason: Text = Field(ABSENT, max_length=500)


class LinkIn(Input):
    target_id: RowId
    relation: Relation
    metadata: JsonObject = Field(default_factory=dict)
