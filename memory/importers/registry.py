"""The sources that `manage.py import` knows, by name."""

from memory.importers.claude_code.source import CLAUDE_CODE
from memory.importers.experience_store import EXPERIENCE_STORE
from memory.importers.life_engine import LIFE_ENGINE
from memory.importers.remembrancer import REMEMBRANCER
from memory.importers.source import Source

_ALL: tuple[Source, ...] = (CLAUDE_CODE, EXPERIENCE_STORE, LIFE_ENGINE, REMEMBRANCER)
SOURCES: dict[str, Source] = {one.name: one for one in _ALL}
