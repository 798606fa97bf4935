"""What is answered about executions. Their `data` is anybody's who saves such a memory, so what is
not of its type is shown as null."""

import uuid
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import AliasPath, Field, WrapValidator

from config.lib.schema import Output, RowOut

T = TypeVar("T")


def _or_null(value: Any, read: Any) -> Any:
    try:
        return read(value)
    except ValueError:
        return None


Lenient = Annotated[T | None, WrapValidator(_or_null)]


def _part(name: str, description: str | None = None) -> Any:
    return Field(None, validation_alias=AliasPath("data", name), description=description)


class ExecutionOut(RowOut):
    """One attempt of a worker: what was run and how it went. GET memories/{id} has its links."""

    text: str
    recorded_at: datetime
    agent_id: uuid.UUID | None
    session_id: uuid.UUID | None
    project_id: uuid.UUID | None
    trace_id: Lenient[str] = _part("trace_id", "The same over all attempts")
    span_id: Lenient[str] = _part("span_id", "Of this attempt")
    attempt: Lenient[int] = _part("attempt")
    max_attempts: Lenient[int] = _part("max_attempts")
    final: Lenient[bool] = _part("final", "Whether this was the worker's end")
    idempotency_key: Lenient[str] = _part(
        "idempotency_key", "SHA-256 of `task:scheduled_at:attempt`"
    )
    worker_id: Lenient[uuid.UUID] = _part("worker")
    primitive: Lenient[str] = _part("primitive")
    mission_id: Lenient[uuid.UUID] = _part("mission")
    scheduled_mission_id: Lenient[uuid.UUID] = _part("scheduled_mission")
    task_id: Lenient[uuid.UUID] = _part("task")
    status: Lenient[str] = _part("status", "complete, failed or cancelled")
    error: Lenient[str] = _part("error")
    error_type: Lenient[str] = _part("error_type")
    stack_hash: Lenient[str] = _part("stack_hash", "The same for failures of one kind")
    scheduled_at: Lenient[datetime] = _part("scheduled_at")
    started_at: Lenient[datetime] = _part("started_at")
    ended_at: Lenient[datetime] = _part("ended_at")
    duration_seconds: Lenient[float] = _part("duration_seconds")
    exit_code: Lenient[int] = _part("exit_code")
    causes: list[uuid.UUID] = Field(description="Memories that brought it about")


class FailureGroup(Output):
    stack_hash: str
    error_type: str
    error: str = Field(description="Of the last of them")
    count: int
    workers: int = Field(description="How many different ones")
    first_at: datetime = Field(description="Of those considered")
    last_at: datetime
    last_id: uuid.UUID = Field(description="The last execution of the group")


class FailuresOut(Output):
    groups: list[FailureGroup] = Field(description="What failed last comes first")
    considered: int = Field(description="Failures read; the newest, up to 5,000")
    complete: bool = Field(description="Whether these are all failures and all groups")
