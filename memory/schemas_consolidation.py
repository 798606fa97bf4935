"""What is sent and answered about consolidations and contradictions."""

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from config.lib.schema import ABSENT, Input, Output, RowOut, Text
from memory.models.consolidation import ConsolidationState
from memory.schemas import MemoryRow


class ContradictionOut(RowOut):
    """Two memories in use of which one cannot be right. The id is their link's."""

    newer: MemoryRow
    older: MemoryRow
    rule: str = Field(
        description="negation, changed_value, changed_date, replaced; empty where somebody linked "
        "the two"
    )
    words: list[str] = Field(description="In which the older and the newer one differ; may be none")
    created_at: datetime


class ConsolidateIn(Input):
    dry_run: bool = Field(False, description="Say what it would do, and do nothing.")
    hide: bool = Field(ABSENT, description="Archive the sources; without, as the workspace says.")


class ConsolidationPlan(Output):
    """What a run would do."""

    read: int = Field(description="Memories that would be told")
    would_make: int = Field(description="Narratives")
    would_hide: int = Field(description="Sources that would be archived")
    of: int = Field(description="Memories in use; 0 where nothing would be archived")


class ConsolidationReason(Input):
    reason: Text = Field("", max_length=500)


class ConsolidationOut(RowOut):
    """One run and its report."""

    state: ConsolidationState
    hides: bool
    method: str = Field(description="How the narratives were made")
    read: int
    made: int
    changed: int
    would_hide: int
    of: int
    held: str = Field(description="Why a person is asked; may be empty")
    memory_ids: list[uuid.UUID] = Field(description="The narratives")
    reverted: dict[str, Any] = Field(description="{removed, reverted, kept}, once taken back")
    actor_label: str
    started_at: datetime
    ended_at: datetime | None
    version: int


class ConsolidationBegun(Output):
    """What came of asking for one."""

    outcome: Literal["planned", "begun", "held", "nothing"]
    plan: ConsolidationPlan | None = None
    run: ConsolidationOut | None = None
