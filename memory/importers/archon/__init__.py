"""Archon: a PostgreSQL database, read through its address or from a dump in plain SQL.

`dump.py` reads dumps, `live.py` databases; both fill a `stage.py`, from which `reader.py` makes
entries. Tables of other versions that nobody knows here are listed, not read.
"""

from memory.importers.archon.reader import ARCHON

__all__ = ["ARCHON"]
