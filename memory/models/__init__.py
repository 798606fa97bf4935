from memory.models.counts import DayCount, RowCount
from memory.models.duplicates import MemoryDuplicate
from memory.models.links import Evidence, MemoryAbout, MemoryLink
from memory.models.memory import Memory
from memory.models.passage import EmbeddingSpace, Passage

__all__ = [
    "DayCount",
    "EmbeddingSpace",
    "Evidence",
    "Memory",
    "MemoryAbout",
    "MemoryDuplicate",
    "MemoryLink",
    "Passage",
    "RowCount",
]
