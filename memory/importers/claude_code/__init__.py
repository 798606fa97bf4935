"""Reads Claude Code transcripts (JSON lines below `~/.claude/projects`).

Use: `discover(path)` finds sessions, `SessionReader(files)` reads one. The format is internal to
Claude Code and changes between versions: what is not understood is kept raw and reported, never
an error. Not for storing; nothing in this package touches the database.
"""

from memory.importers.claude_code.files import Discovery, SessionFiles, TranscriptFile, discover
from memory.importers.claude_code.records import (
    MAIN_THREAD,
    EventRecord,
    Item,
    Kept,
    Kind,
    LineRecord,
    MessageRecord,
    Role,
    ThreadRecord,
)
from memory.importers.claude_code.report import FileReport, SessionFacts
from memory.importers.claude_code.session import SessionReader
from memory.importers.claude_code.usage import MessageUsage, Usage, UsageKey, UsageLedger, once

__all__ = [
    "MAIN_THREAD",
    "Discovery",
    "EventRecord",
    "FileReport",
    "Item",
    "Kept",
    "Kind",
    "LineRecord",
    "MessageRecord",
    "MessageUsage",
    "Role",
    "SessionFacts",
    "SessionFiles",
    "SessionReader",
    "ThreadRecord",
    "TranscriptFile",
    "Usage",
    "UsageKey",
    "UsageLedger",
    "discover",
    "once",
]
