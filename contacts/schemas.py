"""What is sent and answered about workspaces, people, agents, keys and their history."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from config.lib.schema import ABSENT, Input, JsonObject, Moment, Output, RowOut, Text
from contacts.models.agent import AgentKind, AgentStatus
from contacts.models.workspace import MAX_EMAIL, Role
from contacts.scopes import AGENT_SCOPES


class WorkspaceOut(Output):
    id: uuid.UUID
    name: str
    slug: str
    settings: dict[str, Any] = Field(
        description="`timezone`: an IANA name. `context_thresholds`: percents of the context at "
        "which a session warns. `orphan_minutes`: silence that ends one. `region`: the country "
        "(CH) of phone numbers without a country code. `retention`: days by kind (receipts, "
        "payloads, golden_runs, notifications, events, raw_lines, worker_output, revisions), null "
        "for ever; without a kind, what the server says. Others are yours."
    )
    created_at: datetime
    updated_at: datetime


class WorkspacePatch(Input):
    name: Text = Field(ABSENT, min_length=1, max_length=120)
    settings: JsonObject = Field(
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
    created_at: datetime


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
