"""A mem0 export: JSON with its memories, as `get_all`, an export job or its API write it."""

from memory.importers.mem0.reader import MEM0

__all__ = ["MEM0"]
