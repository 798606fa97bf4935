"""The admin's pages about what is known, and the search index derived from it."""

from memory.admin import (
    about,
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
    "about", "duplicates", "golden", "hooks", "imports", "index", "learning", "lists", "memories",
    "receipts",
]  # fmt: skip
