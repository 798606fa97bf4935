"""What is sent and answered about tasks."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AliasPath, Field

from config.lib.schema import (
    ABSENT,
    Input,
    JsonObject,
    JsonObjects,
    Output,
    RowId,
    RowOut,
    Text,
)
from sessions.models.task import TaskStatus, Urgency
from sessions.services.tasks import MAX_BATCH

# Beyond these a place could not be moved behind any more.
Order = Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)]
ActingSession = Annotated[
    RowId | None, Field(description="The session that does this; it gets an event of it")
]


class TaskRow(RowOut):
    """A task as lists show it."""

    project_id: uuid.UUID | None
    project_title: str | None = Field(
        None, validation_alias=AliasChoices("project_title", AliasPath("project", "title"))
    )
    parent_id: uuid.UUID | None
    title: str
    status: TaskStatus
    assignee: str
    order: int = Field(description="Its place among the tasks of its project and status")
    priority: Urgency
    feature: str
    completed_at: datetime | None
    archived_at: datetime | None
    archived_by: str
    source: str
    external_id: str
    version: int
    created_at: datetime
    updated_at: datetime


class TaskOut(TaskRow):
    description: str
    sources: list[dict[str, Any]]
    code_examples: list[dict[str, Any]]
    metadata: dict[str, Any]


class TaskHit(Output):
    """A task that a search found."""

    score: float = Field(description="Comparable within one answer; higher is better")
    snippet: str = Field(description="Where it matched. Plain text: escape it.")
    task: TaskRow


class _TaskFields(Input):
    description: Text = Field(ABSENT, max_length=100_000)
    status: TaskStatus = Field(ABSENT)
    assignee: Text = Field(ABSENT, max_length=120, description="Without: User")
    order: Order = Field(ABSENT, description="Without: the end of its column")
    priority: Urgency = Field(ABSENT)
    feature: Text = Field(ABSENT, max_length=200)
    sources: JsonObjects = Field(ABSENT)
    code_examples: JsonObjects = Field(ABSENT)
    metadata: JsonObject = Field(ABSENT)
    project_id: RowId | None = Field(None, description="Without, a subtask has its parent's")
    parent_id: RowId | None = Field(None, description="A task of the same project")
    session_id: ActingSession = None


class TaskIn(_TaskFields):
    title: Text = Field(min_length=1, max_length=500)
    source: Text = Field(ABSENT, max_length=60)
    external_id: Text = Field(
        ABSENT, max_length=300, description="Your own name for it; sent again, the row comes back."
    )


class TaskPatch(_TaskFields):
    title: Text = Field(ABSENT, min_length=1, max_length=500)
    reason: Text = Field(ABSENT, max_length=500)


class TaskMove(Input):
    """Where on the board: at most one of before, after and place."""

    before: RowId | None = Field(None, description="Right before this task, in its column")
    after: RowId | None = Field(None, description="Right after this task, in its column")
    place: Literal["top", "bottom"] | None = None
    status: TaskStatus | None = Field(None, description="The column; without, it stays in its own")
    session_id: ActingSession = None


class TaskArchive(Input):
    archived_by: Text = Field("", max_length=120, description="Without: the key's own name")
    reason: Text = Field("", max_length=500)


TaskIds = Annotated[list[RowId], Field(min_length=1, max_length=MAX_BATCH)]


class BulkStatus(Input):
    task_ids: TaskIds
    status: TaskStatus
    session_id: ActingSession = None


class BulkArchive(Input):
    task_ids: TaskIds
    archived: bool = Field(True, description="false takes them out of the archive")
    archived_by: Text = Field("", max_length=120, description="Without: the key's own name")
    reason: Text = Field("", max_length=500)


class TaskPlace(Output):
    """What became of one task of a batch."""

    id: uuid.UUID
    status: TaskStatus
    archived_at: datetime | None
    version: int


class TaskCounts(Output):
    """How many tasks of a project are in which state; what is archived is not counted."""

    project_id: uuid.UUID
    title: str
    todo: int
    doing: int
    review: int
    done: int
    total: int
    at_least: bool = Field(description="There are more than were counted")
