"""What is sent and answered about projects and sessions. Events, threads and messages have their
own modules beside this one.
"""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, AliasPath, Field
from pydantic_core import PydanticCustomError

from config.lib.schema import (
    ABSENT,
    MAX_BIGINT,
    Input,
    JsonObject,
    JsonObjects,
    Moment,
    Number,
    Output,
    RowId,
    RowOut,
    Text,
)
from sessions.models.session import Mode, Outcome, State

Tokens = Annotated[int, Field(ge=0, le=MAX_BIGINT)]


def _addressable(value: str) -> str:
    if "/" in value:
        raise PydanticCustomError("conversation_id", "must not hold a slash")
    return value


# A part of the conversation's address, where a slash would end it.
ConversationId = Annotated[Text, AfterValidator(_addressable)]


class ProjectRow(RowOut):
    """A project as lists show it."""

    title: str
    repo_url: str
    pinned: bool
    archived_at: datetime | None
    source: str
    external_id: str
    version: int
    created_at: datetime
    updated_at: datetime


class ProjectOut(ProjectRow):
    description: str
    docs: list[dict[str, Any]]
    features: list[dict[str, Any]]
    data: list[dict[str, Any]]
    metadata: dict[str, Any]


class ProjectIn(Input):
    title: Text = Field(min_length=1, max_length=300)
    description: Text = Field("", max_length=100_000)
    repo_url: Text = Field("", max_length=500)
    pinned: bool = False
    docs: JsonObjects = Field(default_factory=list)
    features: JsonObjects = Field(default_factory=list)
    data: JsonObjects = Field(default_factory=list)
    metadata: JsonObject = Field(default_factory=dict)
    source: Text = Field("", max_length=60)
    external_id: Text = Field(
        "", max_length=300, description="Your own name for it; sent again, the row comes back."
    )


class ProjectPatch(Input):
    title: Text = Field(ABSENT, min_length=1, max_length=300)
    description: Text = Field(ABSENT, max_length=100_000)
    repo_url: Text = Field(ABSENT, max_length=500)
    pinned: bool = Field(ABSENT)
    docs: JsonObjects = Field(ABSENT)
    features: JsonObjects = Field(ABSENT)
    data: JsonObjects = Field(ABSENT)
    metadata: JsonObject = Field(ABSENT)
    reason: Text = Field(ABSENT, max_length=500)


class _Session(RowOut):
    """What lists and single sessions have in common."""

    agent_id: uuid.UUID
    # From a list's row, or else from the related row.
    agent_name: str = Field(validation_alias=AliasChoices("agent_name", AliasPath("agent", "name")))
    project_id: uuid.UUID | None
    project_title: str | None = Field(
        None, validation_alias=AliasChoices("project_title", AliasPath("project", "title"))
    )
    parent_id: uuid.UUID | None
    name: str
    role: str
    mode: Mode
    current_state: State
    status_text: str
    conversation_id: str
    claude_session_id: str
    model: str
    branch: str
    cwd: str
    host: str
    context_used_percent: float | None
    event_count: int
    message_count: int
    tool_count: int
    error_count: int
    started_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None
    end_reason: str
    outcome: Outcome
    version: int


class SessionRow(_Session):
    """A session as lists show it: without its texts and JSON."""

    prompt_start: str = Field(description="The first 200 characters of the prompt")


class SessionOut(_Session):
    prompt: str
    context: dict[str, Any]
    summary: str
    summary_data: dict[str, Any]
    metadata: dict[str, Any]
    source: str
    external_id: str
    legacy_thread_id: str
    repo_root: str
    tmux_window: str
    tmux_pane: str
    context_warning_level: int
    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    cost_usd: Decimal | None = Field(description="US dollars; null where nobody knows")
    created_at: datetime
    updated_at: datetime


class SessionSummary(SessionRow):
    """A session with what came of it, for an agent that takes up the work."""

    summary: str
    summary_data: dict[str, Any]


class Summary(Input):
    """What a session came to, each point a short text."""

    asked: list[Text] = Field(default_factory=list, max_length=1000)
    key_events: list[Text] = Field(default_factory=list, max_length=1000)
    decisions: list[Text] = Field(default_factory=list, max_length=1000)
    outcomes: list[Text] = Field(default_factory=list, max_length=1000)
    files: list[Text] = Field(default_factory=list, max_length=1000)
    commands: list[Text] = Field(default_factory=list, max_length=1000)
    errors: list[Text] = Field(default_factory=list, max_length=1000)
    last_words: list[Text] = Field(default_factory=list, max_length=1000)
    next_steps: list[Text] = Field(default_factory=list, max_length=1000)


class _SessionFields(Input):
    """What may be set when a session begins and changed afterwards; None is never sent."""

    name: Text = Field(ABSENT, max_length=300)
    role: Text = Field(ABSENT, max_length=60, description="chief, builder, deep-work, or your own")
    mode: Mode = Field(ABSENT)
    conversation_id: ConversationId = Field(
        ABSENT,
        max_length=120,
        description="Outlives context resets; no slash. Without: one is made.",
    )
    claude_session_id: Text = Field(ABSENT, max_length=120)
    repo_root: Text = Field(ABSENT, max_length=1000)
    host: Text = Field(ABSENT, max_length=300)
    tmux_window: Text = Field(ABSENT, max_length=120)
    tmux_pane: Text = Field(ABSENT, max_length=120)
    prompt: Text = Field(ABSENT, max_length=1_000_000)
    context: JsonObject = Field(ABSENT)
    outcome: Outcome = Field(ABSENT)
    summary: Text = Field(ABSENT, max_length=100_000)
    summary_data: Summary = Field(ABSENT)
    metadata: JsonObject = Field(ABSENT)
    parent_id: RowId | None = Field(None, description="The session this one was spawned by")
    # Telemetry: raises no version.
    current_state: State = Field(ABSENT, description="Not `ended`: end it instead")
    status_text: Text = Field(ABSENT, max_length=500)
    model: Text = Field(ABSENT, max_length=120)
    branch: Text = Field(ABSENT, max_length=300)
    cwd: Text = Field(ABSENT, max_length=1000)
    context_used_percent: Number = Field(ABSENT, ge=0, le=100)
    input_tokens: Tokens = Field(ABSENT)
    output_tokens: Tokens = Field(ABSENT)
    cache_creation_tokens: Tokens = Field(ABSENT)
    cache_read_tokens: Tokens = Field(ABSENT)
    cost_usd: Decimal | None = Field(None, ge=0, max_digits=14, decimal_places=6)


class SessionIn(_SessionFields):
    project: Text = Field(
        ABSENT, max_length=300, description="A project's full id, or a title; made if none has it."
    )
    source: Text = Field(ABSENT, max_length=60)
    external_id: Text = Field(
        ABSENT, max_length=300, description="Your own name for it; sent again, the row comes back."
    )
    legacy_thread_id: Text = Field(ABSENT, max_length=120)
    started_at: Moment = Field(ABSENT)


class SessionPatch(_SessionFields):
    project_id: RowId | None = Field(None)
    reason: Text = Field(ABSENT, max_length=500)


class Heartbeat(Input):
    current_state: State = Field(ABSENT, description="Not `ended`: end it instead")
    status_text: Text = Field(ABSENT, max_length=500)
    context_used_percent: Number = Field(ABSENT, ge=0, le=100)


class SessionEnd(Input):
    reason: Text = Field("exit", min_length=1, max_length=60)
    outcome: Outcome | None = None
    summary: Text | None = Field(None, max_length=100_000)


class AgentCount(Output):
    """How many sessions of one agent are in which state."""

    agent_id: uuid.UUID
    agent_name: str
    total: int
    by_state: dict[State, int]
    last_started_at: datetime
