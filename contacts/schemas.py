"""What is sent and answered about workspaces, people, agents, keys and their history."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from config.lib.schema import (
    ABSENT,
    Input,
    JsonObject,
    Moment,
    Output,
    RowOut,
    SettingsObject,
    Text,
)
from contacts.models.agent import MOST_RATE, AgentKind, AgentStatus
from contacts.models.workspace import MAX_EMAIL, Role
from contacts.scopes import AGENT_SCOPES


class WorkspaceOut(Output):
    id: uuid.UUID
    name: str
    slug: str
    settings: dict[str, Any] = Field(
        description="`timezone`: an IANA name. `context_thresholds`: percents of the context at "
        "which a session warns. `orphan_minutes`: silence that ends one. `region`: the country "
        "(CH) of phone numbers without a country code. `redaction`: what is taken out of texts "
        "beside known secrets: `patterns`, RE2 by a name of yours, and `personal`, of `email` and "
        "`phone`. `daily_rows`, `daily_bytes`: what all keys together may write a day; "
        "`stored_bytes`: what its rows may take (0: no limit). `consolidation`: {enabled, hide, "
        "most_share}, whether and how episodes are told as narratives. `decay`: {enabled, weight, "
        "half_life_days}, how a memory's strength counts in searches. `retention`: days by "
        "kind (receipts, payloads, golden_runs, key_usage, notifications, events, raw_lines, "
        "worker_output, revisions), null for ever; without a kind, what the server says. "
        "Others are yours."
    )
    created_at: datetime
    updated_at: datetime


class WorkspacePatch(Input):
    name: Text = Field(ABSENT, min_length=1, max_length=120)
    settings: SettingsObject = Field(
        ABSENT, description="Merged into the settings key by key; a null removes its key."
    )
    reason: Text = Field(ABSENT, max_length=500)


class AgentOut(RowOut):
    name: str
    kind: AgentKind
    capabilities: list[str]
    status: AgentStatus
    last_seen_at: datetime | None
    metadata: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


class AgentIn(Input):
    name: Text = Field(min_length=1, max_length=120, description="Unique in the workspace.")
    kind: AgentKind = AgentKind.CUSTOM
    capabilities: list[Text] = Field(default_factory=list, max_length=100)
    metadata: JsonObject = Field(default_factory=dict)


class AgentPatch(Input):
    name: Text = Field(ABSENT, min_length=1, max_length=120)
    kind: AgentKind = Field(ABSENT)
    capabilities: list[Text] = Field(ABSENT, max_length=100)
    metadata: JsonObject = Field(ABSENT)
    reason: Text = Field(ABSENT, max_length=500)


class KeyOut(RowOut):
    agent_id: uuid.UUID
    name: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    rate_limit: float | None = Field(description="Requests a second; null: the settings', 0: any")
    burst_limit: int | None = Field(description="Requests at once; null: the settings'")
    daily_rows: int | None = Field(description="Rows a day; null: the settings', 0: any")
    daily_bytes: int | None = Field(description="Bytes a day; null: the settings', 0: any")
    created_at: datetime


class KeyPatch(Input):
    """null for the settings' limit."""

    rate_limit: float | None = Field(ABSENT, ge=0, le=MOST_RATE, description="0: any number")
    burst_limit: int | None = Field(ABSENT, ge=1, le=10_000_000)
    daily_rows: int | None = Field(ABSENT, ge=0, le=10**15, description="0: any number")
    daily_bytes: int | None = Field(ABSENT, ge=0, le=10**18, description="0: any number")
    reason: Text = Field(ABSENT, max_length=500)


class KeyUse(Output):
    requests: int
    rows: int
    daily_rows: int | None
    bytes: int
    daily_bytes: int | None


class WorkspaceUse(Output):
    rows: int
    daily_rows: int | None
    bytes: int
    daily_bytes: int | None
    stored: int = Field(description="Bytes of all rows, without indexes")
    stored_bytes: int | None
    measured_at: datetime | None


class LimitsOut(Output):
    """`daily_...` and `stored_bytes` are limits, what stands before each is what is used of it;
    days are UTC's."""

    rate: float | None = Field(description="Requests a second in the long run")
    burst: int | None = Field(description="Requests at once")
    key: KeyUse
    workspace: WorkspaceUse


class KeyIn(Input):
    agent: Text = Field(min_length=1, max_length=120, description="The agent's name or id.")
    name: Text = Field("", max_length=120, description="Where the key is used, for people.")
    scopes: list[Text] | None = Field(
        None,
        max_length=50,
        description=f"At most what your own key has. Without: {', '.join(AGENT_SCOPES)}, as far "
        "as your own key has them.",
    )
    expires_at: Moment | None = Field(None, description="Without: it lives until revoked.")


class KeyCreated(KeyOut):
    token: str | None = Field(
        description="The bearer token, this once; null in a replayed answer (Idempotency-Key)."
    )


class InvitationIn(Input):
    email: Text = Field(min_length=3, max_length=MAX_EMAIL)
    role: Role = Role.VIEWER


class InvitationCreated(Output):
    id: uuid.UUID
    email: str
    role: Role
    expires_at: datetime
    created_at: datetime
    link: str | None = Field(
        description="Where the person sets a password, this once; null in a replayed answer."
    )


class MeOut(Output):
    workspace: WorkspaceOut
    agent: AgentOut
    key: KeyOut


class RevisionOut(Output):
    id: uuid.UUID
    at: datetime = Field(validation_alias="created_at")
    action: str
    actor_kind: str
    actor_label: str
    channel: str = Field(description="api, mcp, hook, admin, job, import or shell")
    request_id: str
    before: dict[str, Any] = Field(description="The changed fields as they were; empty on creation")
    after: dict[str, Any] = Field(description="The changed fields as they are; empty on deletion")
    reason: str
