from memory.models.backups import Backup
from memory.models.consolidation import ConsolidationRun
from memory.models.counts import DayCount, RowCount
from memory.models.duplicates import MemoryDuplicate
from memory.models.golden import GoldenQuery, GoldenResult, GoldenRun
from memory.models.hooks import HookPayload, HookStream, HookTrace, Transcript
from memory.models.imports import ImportRun
from memory.models.judgements import Judgement
from memory.models.learning import Learning, Lesson, ModelUse
from memory.models.links import Evidence, MemoryAbout, MemoryLink
from memory.models.memory import Memory
from memory.models.passage import EmbeddingSpace, Passage
from memory.models.receipt import Receipt, SearchFeedback
from memory.models.unlearning import Unlearning

__all__ = [
    "Backup",
    "ConsolidationRun",
    "DayCount",
    "EmbeddingSpace",
    "Evidence",
    "GoldenQuery",
    "GoldenResult",
    "GoldenRun",
    "HookPayload",
    "HookStream",
    "HookTrace",
    "ImportRun",
    "Judgement",
    "Learning",
    "Lesson",
    "Memory",
    "MemoryAbout",
    "MemoryDuplicate",
    "MemoryLink",
    "ModelUse",
    "Passage",
    "Receipt",
    "RowCount",
    "SearchFeedback",
    "Transcript",
    "Unlearning",
]
