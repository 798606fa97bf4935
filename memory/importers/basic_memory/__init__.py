"""basic-memory's notes: Markdown with front matter, observations and relations."""

from memory.importers.basic_memory.reader import BASIC_MEMORY

__all__ = ["BASIC_MEMORY"]
