"""The admin's pages about what is known, and the search index derived from it."""

from memory.admin import (
    about,
    consolidation,
    duplicates,
    erasures,
    golden,
    hooks,
    imports,
    index,
    learning,
    lists,
    memories,
    receipts,
    unlearning,
)

__all__ = [
    "about", "consolidation", "duplicates", "erasures", "golden", "hooks", "imports", "index",
    "learning", "lists", "memories", "receipts", "unlearning",
]  # fmt: skip
