"""What is sent and answered about scheduled missions and their runs."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import AliasChoices, AliasPath, Field, computed_field

from config.lib.schema import (
    ABSENT,
    MAX_INT,
    Input,
    JsonObject,
    Moment,
    Output,
    RowId,
    RowOut,
    Text,
)
from sessions.models.mission import MissionStatus, OverlapPolicy, ScheduleKind, Trigger
from sessions.schemas import ConversationId
from sessions.schemas_workers import MAX_ATTEMPTS, MAX_PRIORITY
from sessions.services.mission_starts import MAX_BACKFILL
from sessions.services.missions import MAX_SLUG

MAX_TIMEOUT_MINUTES = 10_080
Count = Annotated[int, Field(ge=0, le=MAX_INT)]


class ScheduledMissionRow(RowOut):
    """A scheduled mission as lists show it: without its texts and JSON."""

    name: str
    slug: str
    primitive: str
    project_id: uuid.UUID | None
    conversation_id: str
    schedule_kind: ScheduleKind
    schedule: str
    timezone: str
    overlap_policy: OverlapPolicy
    enabled: bool
    pause_reason: str
    next_run_at: datetime | None = Field(description="Without jitter; null while it is paused")
    last_run_at: datetime | None = Field(
        description="When a run last began; one that waits for another to end has not"
    )
    last_status: MissionStatus | None = Field(description="Of the run that changed last")
    consecutive_failures: int
    source: str
    external_id: str
    version: int
    created_at: datetime
    updated_at: datetime


class NextRun(Output):
    scheduled_for: datetime
    runs_at: datetime = Field(description="The same with the jitter of this run")


class ScheduledMissionOut(ScheduledMissionRow):
    description: str
    prompt: str
    params: dict[str, Any]
    workspace_path: str
    priority: int
    catchup_seconds: int
    jitter_seconds: int
    timeout_minutes: int
    max_attempts: int
    max_runs_per_day: int | None
    pause_after_failures: int
    metadata: dict[str, Any]
    next_runs: list[NextRun] = Field(description="The next five; none while it is paused")


class _MissionFields(Input):
    """What may be set when a mission is made and changed afterwards; None is never sent."""

    slug: Text = Field(
        ABSENT, min_length=1, max_length=MAX_SLUG, pattern="^[-a-zA-Z0-9_]+$",
        description="Without: made from the name",
    )  # fmt: skip
    description: Text = Field(ABSENT, max_length=20_000)
    primitive: Text = Field(
        ABSENT, min_length=1, max_length=60, description="Of its workers. Without: mission"
    )
    params: JsonObject = Field(ABSENT, description="Of its workers, which find `mission` beside")
    project_id: RowId | None = Field(None)
    conversation_id: ConversationId = Field(
        ABSENT, max_length=120, description="Who is told. Without: mission-{slug}"
    )
    workspace_path: Text = Field(ABSENT, max_length=1000, description="Where a runner runs it")
    priority: int = Field(ABSENT, ge=-MAX_PRIORITY, le=MAX_PRIORITY)
    timezone: Text = Field(ABSENT, max_length=64, description="IANA name. Without: the workspace's")
    overlap_policy: OverlapPolicy = Field(
        ABSENT, description="When a run is due and one has not ended. Without: skip"
    )
    catchup_seconds: Count = Field(
        ABSENT, description="How late a missed run is still run. Without: 3600"
    )
    jitter_seconds: int = Field(
        ABSENT, ge=0, le=86_400, description="Runs begin up to so much later"
    )
    timeout_minutes: int = Field(ABSENT, ge=1, le=MAX_TIMEOUT_MINUTES)
    max_attempts: int = Field(ABSENT, ge=1, le=MAX_ATTEMPTS)
    max_runs_per_day: Annotated[int, Field(ge=1, le=MAX_INT)] | None = Field(
        None, description="Days are those of the time zone; null: as many as come"
    )
    pause_after_failures: Count = Field(ABSENT, description="In a row; 0: never. Without: 5")
    metadata: JsonObject = Field(ABSENT)


_KIND = "once, interval or cron"
_SCHEDULE = (
    "once: a time; interval: seconds; cron: five fields or an @alias, in the time zone. Times that "
    "the clock skips run right after, times that come twice run once."
)


class ScheduledMissionIn(_MissionFields):
    name: Text = Field(min_length=1, max_length=300)
    prompt: Text = Field(min_length=1, max_length=1_000_000, description="The instructions")
    schedule_kind: ScheduleKind = Field(description=_KIND)
    schedule: Text = Field(min_length=1, max_length=200, description=_SCHEDULE)
    enabled: bool = Field(ABSENT, description="Without: true")
    pause_reason: Text = Field(ABSENT, max_length=500)
    source: Text = Field(ABSENT, max_length=60)
    external_id: Text = Field(
        ABSENT, max_length=300, description="Your own name for it; sent again, the row comes back."
    )


class ScheduledMissionPatch(_MissionFields):
    name: Text = Field(ABSENT, min_length=1, max_length=300)
    prompt: Text = Field(ABSENT, min_length=1, max_length=1_000_000)
    schedule_kind: ScheduleKind = Field(ABSENT, description=_KIND)
    schedule: Text = Field(ABSENT, min_length=1, max_length=200, description=_SCHEDULE)
    reason: Text = Field(ABSENT, max_length=500)


class Backfill(Input):
    since: Moment
    until: Moment = Field(description=f"Before this, not at it; at most {MAX_BACKFILL} runs")


# --- Runs -----------------------------------------------------------------------------------------


class MissionOut(RowOut):
    """One run, with what came of it."""

    scheduled_mission_id: uuid.UUID
    name: str = Field(validation_alias=AliasChoices("name", AliasPath("scheduled_mission", "name")))
    slug: str = Field(validation_alias=AliasChoices("slug", AliasPath("scheduled_mission", "slug")))
    scheduled_for: datetime
    trigger: Trigger
    status: MissionStatus
    worker_id: uuid.UUID | None = Field(description="null while it waits for another run to end")
    session_id: uuid.UUID | None = Field(description="The session that runs it")
    attempt: int
    started_at: datetime | None = Field(description="When its first attempt was claimed")
    ended_at: datetime | None
    output_summary: str
    error: str = Field(description="Why it failed, or why it was skipped")
    metadata: dict[str, Any]
    version: int
    created_at: datetime

    @computed_field(description="From its start to its end, over all attempts")  # type: ignore[prop-decorator]
    @property
    def duration_seconds(self) -> float | None:
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


class BackfillOut(Output):
    items: list[MissionOut] = Field(description="Runs that are new, or were skipped; oldest first")
    existing: int = Field(description="Runs of the range that there had been already")
