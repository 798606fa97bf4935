"""The sources that `manage.py import` knows, by name."""

from memory.importers.amp import AMP
from memory.importers.archon import ARCHON
from memory.importers.basic_memory import BASIC_MEMORY
from memory.importers.chatgpt import CHATGPT
from memory.importers.claude_code.source import CLAUDE_CODE
from memory.importers.claude_md import CLAUDE_MD
from memory.importers.claude_mem import CLAUDE_MEM
from memory.importers.codex import CODEX
from memory.importers.experience_store import EXPERIENCE_STORE
from memory.importers.life_engine import LIFE_ENGINE
from memory.importers.mem0 import MEM0
from memory.importers.memory_server import MEMORY_SERVER
from memory.importers.remembrancer import REMEMBRANCER
from memory.importers.source import Source
from memory.importers.vcard import VCARD

_ALL: tuple[Source, ...] = (
    AMP,
    ARCHON,
    BASIC_MEMORY,
    CHATGPT,
    CLAUDE_CODE,
    CLAUDE_MD,
    CLAUDE_MEM,
    CODEX,
    EXPERIENCE_STORE,
    LIFE_ENGINE,
    MEM0,
    MEMORY_SERVER,
    REMEMBRANCER,
    VCARD,
)
SOURCES: dict[str, Source] = {one.name: one for one in _ALL}
