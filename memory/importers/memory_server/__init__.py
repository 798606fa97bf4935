"""The reference memory server's `memory.jsonl`: a graph of entities, observations and relations.

Each of the three becomes a memory. Entities of a type that means a person become contacts too, and
what is said of them is about those.
"""

from memory.importers.memory_server.reader import MEMORY_SERVER

__all__ = ["MEMORY_SERVER"]
