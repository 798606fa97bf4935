"""What is answered to: what must a person look at now?"""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from config.lib.schema import Output, RowOut
from sessions.models.attention import Severity


class AttentionKind(StrEnum):
    """Why something waits for a person."""

    PING = "ping"
    CLARIFICATION = "clarification"
    PAUSED_MISSION = "paused_mission"
    FAILED_MISSION = "failed_mission"
    FAILED_WORKER = "failed_worker"
    FULL_CONTEXT = "full_context"
    ORPHAN = "orphan"
    REVIEW = "review"
    HOOK_PAYLOAD = "hook_payload"
    CONSOLIDATION = "consolidation"


class AttentionItem(RowOut):
    """One thing to look at. `id` is the row's own, of the model that `kind` says."""

    kind: AttentionKind
    severity: Severity
    title: str
    reason: str
    since: datetime
    age_seconds: int
    link: str = Field(description="Its page in the admin, as a path")
    options: list[str] = Field(
        description="What a ping or clarification offers to answer; other words are answers too"
    )
    version: int | None = Field(description="The row's, for If-Match; null where it has none")


class AttentionMore(Output):
    """What a kind has beyond what is listed."""

    kind: AttentionKind
    more: int
    at_least: bool = Field(description="There may be more still: counting was stopped")


class AttentionOut(Output):
    items: list[AttentionItem] = Field(description="Most severe first, then longest waiting")
    more: list[AttentionMore] = Field(description="Kinds that have more than is listed")
