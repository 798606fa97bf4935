"""What is answered about how much there is."""

from pydantic import Field

from config.lib.schema import Output
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


class IndexStats(Output):
    """The search index. What is pending is found by its words already, not yet by its meaning."""

    passages: int
    embedded: int
    pending: int


class EmbeddingStats(Output):
    provider: str = Field(description="local, openai or none")
    model: str | None = Field(description="Null until something was embedded")
    dimensions: int | None


class StatsOut(Output):
    agents: int
    projects: int
    threads: int
    sessions: SessionStats
    memories: MemoryStats
    index: IndexStats
    embedding: EmbeddingStats
