"""What is sent and answered about pings, their channels and their deliveries."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import AliasChoices, AliasPath, Field, computed_field

from config.lib.schema import ABSENT, Input, JsonObject, Moment, RowId, RowOut, SecretText, Text
from sessions.models.attention import (
    ChannelKind,
    DeliveryStatus,
    PingState,
    Severity,
    state_of,
)
from sessions.schemas import ConversationId


class PingOut(RowOut):
    """A ping; `state` follows from its times when it is read."""

    agent_id: uuid.UUID | None
    agent_name: str | None = Field(
        None, validation_alias=AliasChoices("agent_name", AliasPath("agent", "name"))
    )
    session_id: uuid.UUID | None
    conversation_id: str
    message: str
    severity: Severity
    options: list[str]
    answer: str
    answered_by: str
    delivered_at: datetime | None = Field(description="When the first channel took it")
    seen_at: datetime | None
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    expires_at: datetime | None
    source: str
    external_id: str
    metadata: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime

    @computed_field  # type: ignore[prop-decorator]
    @property
    def state(self) -> PingState:
        return state_of(self.resolved_at, self.acknowledged_at, self.expires_at)


class PingIn(Input):
    message: Text = Field(min_length=1, max_length=20_000)
    severity: Severity = Severity.NORMAL
    options: list[Text] = Field(
        default_factory=list, description="Answers to choose from; any other text is one too."
    )
    session_id: RowId | None = Field(None, description="The session that asks")
    conversation_id: ConversationId = Field(
        "", max_length=120, description="Which is told the answer. Without: the session's."
    )
    expires_at: Moment | None = Field(None, description="Nobody needs an answer after this.")
    source: Text = Field("", max_length=60)
    external_id: Text = Field(
        "", max_length=300, description="Your own name for it; sent again, the row comes back."
    )
    metadata: JsonObject = Field(default_factory=dict)


class PingAnswer(Input):
    answer: Text = Field(
        min_length=1, max_length=20_000, description="One of its options, or any other text"
    )


class ChannelOut(RowOut):
    """A channel. Its secret is never shown; `has_secret` says whether there is one."""

    name: str
    kind: ChannelKind
    target: str
    has_secret: bool
    min_severity: Severity
    enabled: bool
    metadata: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


_ON_SECRETS = (
    "Never shown again. webhook: signs the body (16 characters or more, or `whsec_` and base64). "
    "ntfy: an access token, where the server asks for one. Other kinds have none."
)


class ChannelIn(Input):
    name: Text = Field(min_length=1, max_length=120)
    kind: ChannelKind
    target: SecretText = Field(
        "",
        max_length=2000,
        description="email: an address; webhook, slack: a URL; ntfy: a URL that ends in the "
        "topic; browser: empty.",
    )
    secret: SecretText = Field("", max_length=200, description=_ON_SECRETS)
    min_severity: Severity = Severity.HIGH
    enabled: bool = True
    metadata: JsonObject = Field(default_factory=dict)


class ChannelPatch(Input):
    name: Text = Field(ABSENT, min_length=1, max_length=120)
    target: SecretText = Field(
        ABSENT, max_length=2000, description="A new one needs its secret anew."
    )
    secret: SecretText = Field(ABSENT, max_length=200, description=_ON_SECRETS)
    min_severity: Severity = Field(ABSENT)
    enabled: bool = Field(ABSENT)
    metadata: JsonObject = Field(ABSENT)
    reason: Text = Field(ABSENT, max_length=500)


class DeliveryOut(RowOut):
    """One ping on one channel: what came of it so far."""

    ping_id: uuid.UUID
    channel_id: uuid.UUID
    channel_name: str = Field(
        validation_alias=AliasChoices("channel_name", AliasPath("channel", "name"))
    )
    channel_kind: ChannelKind = Field(
        validation_alias=AliasChoices("channel_kind", AliasPath("channel", "kind"))
    )
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None = Field(description="null for one that is not tried again")
    sent_at: datetime | None
    error: str = Field(description="Why the last attempt failed")
    created_at: datetime
