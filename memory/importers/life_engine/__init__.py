"""The life engine: `system.db`, an SQLite database in one of two shapes.

The shape that its documents describe names schedules `scheduled_missions` and their runs
`missions`; the one that its public code makes names them `missions` and `mission_executions`.
Columns that only one of them has are read where they are.
"""

from memory.importers.life_engine.reader import LIFE_ENGINE

__all__ = ["LIFE_ENGINE"]
