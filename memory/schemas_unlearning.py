"""What is sent and answered about taking back what a source wrote."""

import uuid
from datetime import datetime
from typing import Literal

from pydantic import Field

from config.lib.schema import Input, Moment, Output, RowOut, Text
from memory.models.unlearning import UnlearningKind, UnlearningState

# An import is taken back where it was begun.
Asked = Literal[
    UnlearningKind.SESSION, UnlearningKind.WORKER, UnlearningKind.KEY, UnlearningKind.RUN
]


class UnlearningIn(Input):
    kind: Asked = Field(
        description="`session`, `worker`, `key`; `run`: of bulk work, of an import, whose sessions "
        "stay (all of it goes by its own undo)"
    )
    target_id: uuid.UUID = Field(description="Its full id")
    since: Moment | None = Field(None, description="Leave what it wrote before")
    reason: Text = Field("", max_length=500, description="Kept in each row's history")


class UnlearningStays(Output):
    model: str
    id: uuid.UUID
    why: str


class UnlearningReport(Output):
    """Rows by table. Empty until it is done."""

    archived: dict[str, int] = Field({}, description="Memories, with what follows from them alone")
    removed: dict[str, int] = Field({}, description="Other rows that it made")
    reverted: dict[str, int] = Field({}, description="Changes of others' rows")
    losing: dict[str, int] = Field({}, description="What was derived from it and something else")
    staying: dict[str, int] = {}
    kept: list[UnlearningStays] = Field([], description="The first 200 that stay")


class UnlearningOut(RowOut):
    kind: UnlearningKind
    target_id: uuid.UUID
    since: datetime | None
    state: UnlearningState
    reason: str
    actor_label: str
    preview: UnlearningReport
    report: UnlearningReport
    undone: UnlearningReport
    done_at: datetime | None
    undone_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
