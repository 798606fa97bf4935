"""The experience store: `raw_store.db` or `core.db`, an SQLite database of experiences.

Experiences become memories, sessions sessions, beliefs memories that are derived from what they
were read from. Signature embeddings, affect snapshots and decay metrics become part of the memory
they belong to. Vectors are not in the file, and are made anew here.
"""

from memory.importers.experience_store.reader import EXPERIENCE_STORE

__all__ = ["EXPERIENCE_STORE"]
