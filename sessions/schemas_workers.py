"""What is sent and answered about workers. What those who run them send has `lease_id` in it."""

import re
import uuid
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, AliasPath, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from config.lib.schema import (
    ABSENT,
    Input,
    JsonObject,
    Moment,
    Number,
    Output,
    RowId,
    RowOut,
    Text,
)
from sessions.models.worker import MISSION_KEY, OutputStream, WorkerStatus
from sessions.schemas import ConversationId
from sessions.services.worker_runs import (
    DEFAULT_LEASE_SECONDS,
    MAX_LEASE_SECONDS,
    MIN_LEASE_SECONDS,
)
from sessions.services.workers import MAX_DEPENDENCIES

MAX_PRIORITY = 1_000_000
MAX_TIMEOUT_SECONDS = 7 * 24 * 3600
MAX_ATTEMPTS = 100
MAX_PIECES = 200
MAX_SNOOZE = timedelta(days=366)
_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

Primitive = Annotated[
    Text, Field(min_length=1, max_length=60, description="The kind of work: who may claim it")
]


class WorkerRow(RowOut):
    """A worker as lists show it: without its texts and JSON."""

    name: str
    primitive: str
    status: WorkerStatus
    priority: int
    session_id: uuid.UUID | None = Field(description="The session that spawned it")
    run_session_id: uuid.UUID | None = Field(description="The session that runs it")
    conversation_id: str
    task_id: uuid.UUID | None
    trace_id: str = Field(description="The same over all attempts and what they caused")
    workspace_path: str
    run_after: datetime | None = Field(description="Not claimed before")
    timeout_seconds: int | None
    attempts: int
    max_attempts: int
    dedupe_key: str
    claimed_by_id: uuid.UUID | None
    lease_until: datetime | None
    heartbeat_at: datetime | None
    progress_percent: float | None
    progress_text: str
    cancel_requested_at: datetime | None
    started_at: datetime | None = Field(description="When this attempt was claimed")
    ended_at: datetime | None
    report_summary: str
    exit_code: int | None
    source: str
    external_id: str
    version: int
    created_at: datetime
    updated_at: datetime


class Need(Output):
    """A worker that has to be complete first."""

    id: uuid.UUID = Field(validation_alias="needs_id")
    status: WorkerStatus = Field(validation_alias=AliasPath("needs", "status"))


def _all_of(value: Any) -> Any:
    return value.all() if hasattr(value, "all") else value


class WorkerOut(WorkerRow):
    instructions: str
    params: dict[str, Any]
    depends_on: Annotated[list[Need], BeforeValidator(_all_of)] = Field(
        validation_alias="dependencies"
    )
    report: str
    error: str = Field(description="Why the last attempt failed")
    clarification_question: str
    clarification_options: list[str]
    clarification_asked_at: datetime | None
    clarification_answer: str
    clarification_answered_at: datetime | None
    metadata: dict[str, Any]


class ClaimedWorker(WorkerOut):
    """What whoever claimed it gets, and nobody else: the lease."""

    lease_id: uuid.UUID = Field(description="Send it with everything you say of this worker")


class _Work(Input):
    """What may be set when a worker is spawned and changed while it waits."""

    name: Text = Field(ABSENT, max_length=300)
    instructions: Text = Field(ABSENT, max_length=1_000_000)
    params: JsonObject = Field(ABSENT)
    workspace_path: Text = Field(ABSENT, max_length=1000, description="Where a runner runs it")
    priority: int = Field(
        ABSENT, ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="Higher is claimed first"
    )
    depends_on: list[RowId] = Field(
        ABSENT, max_length=MAX_DEPENDENCIES, description="Workers that have to be complete first"
    )
    run_after: Moment | None = Field(None, description="Not claimed before")
    timeout_seconds: int | None = Field(None, ge=1, le=MAX_TIMEOUT_SECONDS)
    max_attempts: int = Field(ABSENT, ge=1, le=MAX_ATTEMPTS)
    task_id: RowId | None = Field(None, description="The task it works on")
    metadata: JsonObject = Field(ABSENT)


def _callers_key(value: str) -> str:
    if value.startswith(MISSION_KEY):
        raise PydanticCustomError(
            "dedupe_key", "must not begin with {prefix}", {"prefix": MISSION_KEY}
        )
    return value


class WorkerIn(_Work):
    primitive: Primitive
    session_id: RowId | None = Field(None, description="The session that spawns it")
    conversation_id: ConversationId = Field(
        ABSENT, max_length=120, description="Who is told of its end. Without: the session's."
    )
    dedupe_key: Annotated[Text, AfterValidator(_callers_key)] = Field(
        ABSENT,
        max_length=200,
        description="Sent again, the worker comes back instead of a second. Keys that begin with "
        f"{MISSION_KEY} are kept for missions.",
    )
    trace_id: Text = Field(ABSENT, max_length=64, description="Without: one is made")
    source: Text = Field(ABSENT, max_length=60)
    external_id: Text = Field(
        ABSENT, max_length=300, description="Your own name for it; sent again, the row comes back."
    )


class WorkerPatch(_Work):
    primitive: Primitive = Field(ABSENT)
    reason: Text = Field(ABSENT, max_length=500)


class QueueOut(Output):
    """How many workers are in which state, counted up to `counted_to` and no further."""

    counts: dict[WorkerStatus, int]
    claimable: int = Field(description="Pending, due, and all they need complete")
    counted_to: int = Field(description="A count of this number means so many or more")


class Why(Input):
    reason: Text = Field("", max_length=500, description="Kept in its history")


class Answer(Why):
    answer: Text = Field(min_length=1, max_length=20_000)


# --- Those who run them ---------------------------------------------------------------------------

LeaseSeconds = Annotated[int, Field(ge=MIN_LEASE_SECONDS, le=MAX_LEASE_SECONDS)]


class Claim(Input):
    lease_seconds: LeaseSeconds = Field(
        DEFAULT_LEASE_SECONDS, description="Beat before it runs out, or somebody else gets it"
    )
    session_id: RowId | None = Field(None, description="The session that runs it")


class ClaimNext(Claim):
    primitives: list[Primitive] | None = Field(
        None, min_length=1, max_length=100, description="Only these kinds; null: any"
    )


class _Leased(Input):
    lease_id: uuid.UUID


class Progress(_Leased):
    percent: Number | None = Field(None, ge=0, le=100)
    text: Text | None = Field(None, max_length=500)


class Beat(Progress):
    lease_seconds: LeaseSeconds = Field(DEFAULT_LEASE_SECONDS, description="From now on")


class BeatOut(Output):
    """What a runner has to know to go on."""

    id: uuid.UUID
    status: WorkerStatus
    lease_until: datetime
    cancel_requested: bool = Field(description="Stop, and report with `fail`")


class Piece(Input):
    text: Text = Field(max_length=100_000)
    stream: OutputStream = OutputStream.STDOUT


class Pieces(_Leased):
    pieces: list[Piece] = Field(min_length=1, max_length=MAX_PIECES)


class OutputOut(Output):
    """A piece of what a worker printed."""

    seq: int = Field(description="From 1, without gaps, over all attempts")
    attempt: int
    stream: OutputStream
    text: str
    created_at: datetime


class OutputPage(Output):
    """A page of what a worker printed, and whether more may come."""

    id: uuid.UUID = Field(description="The worker's")
    items: list[OutputOut]
    next_cursor: str | None = Field(None, description="Give it as `cursor` to read on.")
    status: WorkerStatus = Field(
        description="The worker's, read before the page: once it is complete, failed or cancelled, "
        "an empty page behind the last seq is the end"
    )


class Kept(Output):
    last_seq: int


class Ask(_Leased):
    question: Text = Field(min_length=1, max_length=20_000)
    options: list[Annotated[Text, Field(min_length=1, max_length=500)]] = Field(
        default_factory=list, max_length=50
    )


class Complete(_Leased):
    report: Text = Field("", max_length=1_000_000)
    report_summary: Text = Field(
        "", max_length=10_000, description="Without: the start of the report"
    )
    exit_code: int | None = Field(None, ge=-1000, le=1000)


class Fail(_Leased):
    error: Text = Field(min_length=1, max_length=20_000)
    report: Text = Field("", max_length=1_000_000)
    exit_code: int | None = Field(None, ge=-1000, le=1000)
    final: bool = Field(False, description="Trying again is pointless")


class Release(_Leased, Why):
    pass


def _duration(value: Any) -> timedelta:
    """Seconds, or a number with its unit."""
    found = _DURATION.fullmatch(str(value)) if type(value) in (int, str) else None
    length = timedelta(seconds=int(found[1]) * _UNITS[found[2]]) if found else None
    if length is None or length > MAX_SNOOZE:
        raise PydanticCustomError(
            "duration", 'must be seconds, or a number with s, m, h or d such as "1h"; at most 366d'
        )
    return length


class Snooze(Why):
    until: Moment | None = Field(None, description="Either this or `duration`")
    duration: (
        Annotated[
            timedelta, BeforeValidator(_duration), WithJsonSchema({"type": ["integer", "string"]})
        ]
        | None
    ) = Field(None, description='Seconds, or a number with s, m, h or d, such as "1h"')
    lease_id: uuid.UUID | None = Field(None, description="Of one that runs")
