from memory.models.links import Evidence, MemoryLink
from memory.models.memory import Memory
from memory.models.passage import EmbeddingSpace, Passage

__all__ = ["EmbeddingSpace", "Evidence", "Memory", "MemoryLink", "Passage"]
