"""What is sent and answered about memories that say nearly the same."""

import uuid
from datetime import datetime
from typing import Literal

from pydantic import Field

from config.lib.schema import ABSENT, MAX_INT, Input, Output, RowOut, Text
from memory.models.duplicates import DuplicateState
from memory.schemas import MemoryRow


class DuplicateOut(RowOut):
    """A pair of memories, and what was decided about it."""

    older: MemoryRow
    newer: MemoryRow
    similarity: float = Field(description="Cosine of their vectors, -1 to 1")
    overlap: float = Field(description="Share of their words that both have, 0 to 1")
    state: DuplicateState
    kept: Literal["older", "newer", ""] = Field(description="Which stayed, once merged")
    decided_at: datetime | None
    created_at: datetime
    version: int


class MemoryDismissIn(Input):
    version: int = Field(ABSENT, ge=1, le=MAX_INT, description="As read; 412 if it is another")
    reason: Text = Field("", max_length=500)


class MemoryMergeIn(MemoryDismissIn):
    keep: Literal["older", "newer"] = Field(
        "newer", description="Which stays in use; the other is superseded by it"
    )


class MemoryUnmergeIn(Input):
    reason: Text = Field("", max_length=500)


class MemoryMergeOut(Output):
    """What a merge or its undo left."""

    duplicate_id: uuid.UUID
    kept: MemoryRow
    lost: MemoryRow
