"""The admin's pages about what is known, and the search index derived from it."""

from memory.admin import about, duplicates, index, memories

__all__ = ["about", "duplicates", "index", "memories"]
