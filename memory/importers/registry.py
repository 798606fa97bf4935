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
_WHOLE = "is not for transcripts, which come whole; what is here already is found and stays"
_TIMELESS = "is not for {}, which have no times to go by"
# Where nothing is left out by its age, and why.
WITHOUT_SINCE: dict[str, str] = {
    CLAUDE_CODE.name: _WHOLE,
    CODEX.name: _WHOLE,
    MEMORY_SERVER.name: _TIMELESS.format("its rows"),
    REMEMBRANCER.name: "is an option of `manage.py export` for its files",
    VCARD.name: _TIMELESS.format("cards"),
}
