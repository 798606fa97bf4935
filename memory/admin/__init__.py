"""The admin's pages about what is known, and the search index derived from it."""

from memory.admin import (
    about,
    consolidation,
    duplicates,
    golden,
    hooks,
    imports,
    index,
    learning,
    lists,
    memories,
    receipts,
)

__all__ = [
    "about", "consolidation", "duplicates", "golden", "hooks", "imports", "index", "learning",
    "lists", "memories", "receipts",
]  # fmt: skip
