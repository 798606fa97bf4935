"""What is answered about how much there is."""

from datetime import date, datetime

from pydantic import Field

from config.lib.schema import Output
from contacts.models.agent import AgentStatus
from memory.models.memory import Kind, MemoryState
from sessions.models.session import State


class SessionStats(Output):
    total: int
    by_state: dict[State, int]
    events: int
    messages: int


class MemoryStats(Output):
    total: int
    by_state: dict[MemoryState, int]
    by_kind: dict[Kind, int] = Field(description="Active ones")


class StateCounts(Output):
    total: int
    by_state: dict[str, int] = Field(description="States that no row is in are left out")


class IndexStats(Output):
    """The search index. What is pending is found by its words already, not yet by its meaning."""

    passages: int
    embedded: int
    pending: int
    refused: int = Field(description="Of the pending: texts that the embedder would not take")
    lag_seconds: float = Field(description="How long the oldest pending passage has waited")


class EmbeddingStats(Output):
    provider: str = Field(description="local, openai or none")
    model: str | None = Field(description="Null until something was embedded")
    dimensions: int | None


class QueueStats(Output):
    lag_seconds: float = Field(
        description="How long the oldest due job has waited, in the whole installation"
    )


class Age(Output):
    counted_at: datetime | None = Field(
        description="When the job last read the states; newer rows are counted exactly. Null: now"
    )
    exact: bool = Field(description="False: at least so many, an import is faster than the job")


class StatsOut(Output):
    agents: int
    agents_by_status: dict[AgentStatus, int]
    projects: int
    projects_by_state: dict[str, int] = Field(description="active, archived")
    contacts: int
    contacts_by_state: dict[str, int] = Field(description="active, merged")
    threads: int
    threads_by_status: dict[str, int]
    sessions: SessionStats
    memories: MemoryStats
    tasks: StateCounts = Field(description="By status; archived ones apart")
    workers: StateCounts
    scheduled_missions: StateCounts = Field(description="enabled, paused")
    missions: StateCounts = Field(description="Executions, by status")
    priorities: StateCounts = Field(description="open, completed")
    pings: StateCounts = Field(description="created, delivered, seen, acknowledged, resolved")
    notifications: StateCounts = Field(description="pending, delivered, acknowledged")
    staged_content: StateCounts = Field(description="shown, dismissed")
    handoffs: StateCounts
    index: IndexStats
    embedding: EmbeddingStats
    queue: QueueStats
    kept: dict[str, Age] = Field(
        description="Figures that are not of this very moment, by name; all others are"
    )


class DayStats(Output):
    """By the time rows tell of: when a session began, a message was said, a memory recorded."""

    day: date = Field(description="UTC")
    sessions: int
    events: int
    messages: int
    memories: int


class DaysOut(Output):
    items: list[DayStats] = Field(description="Oldest first, days without rows too")
    kept: dict[str, Age]
