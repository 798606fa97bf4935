"""Says what a file that an importer cannot take looks like, and which importer takes it.

For error messages only: it reads the head of a file, never changes it, and never raises for
what is in it. Not for reading data.
"""

import gzip
import json
import re
import sqlite3
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.importers.problems import SourceError
from memory.importers.storable import shown

HEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Guess:
    """What a file looks like; `importer` is the name `manage.py import` knows, if one takes it."""

    what: str
    importer: str | None = None

    def sentence(self, path: Path) -> str:
        """For after the file's name: `looks like ...; try: import ...`."""
        hint = f"; try: import {self.importer} {shown(path)}" if self.importer else ""
        return f"looks like {self.what}{hint}"


EMPTY = Guess("an empty file")
_BINARY = Guess("a binary file of an unknown kind")

# The telling tables of SQLite sources, most special first.
_SQLITE: tuple[tuple[frozenset[str], Guess], ...] = (
    (frozenset({"experience"}), Guess("an experience store (SQLite)", "experience-store")),
    (frozenset({"sdk_sessions"}), Guess("a claude-mem database (SQLite)", "claude-mem")),
    (frozenset({"sessions", "iterations"}), Guess("an Amp session store (SQLite)", "amp")),
    (frozenset({"sessions", "workers"}), Guess("a life-engine system.db (SQLite)", "life-engine")),
)
_SQL = re.compile(
    r"^(?:COPY|INSERT INTO|CREATE TABLE) (?:IF NOT EXISTS )?[\w.\"]+ ?\(",
    re.MULTILINE | re.IGNORECASE,
)
# Of a mem0 export: where its texts are, and whose they are.
_MEM0_TEXTS = ('"memory"', '"results"', '"memories"')
_MEM0_OWNERS = ('"user_id"', '"agent_id"', '"run_id"', '"results"', '"memories"')
# Its notes have an address of their own in their front matter, or its two lists.
_BASIC_MEMORY = re.compile(
    r"\A---\r?\n(?:(?!---).*\n)*?permalink:|^## (?:Observations|Relations)\s*\n+- (?:\[|.*\[\[)",
    re.MULTILINE,
)
_CODEX_TYPES = frozenset(
    {"session_meta", "response_item", "event_msg", "turn_context", "compacted", "world_state"}
)


def existing_file(path: Path, in_folder: str) -> None:
    """SourceError, where `path` is no file; `in_folder` is what to do where it is a folder."""
    if not path.exists():
        raise SourceError(f"{shown(path)}: No such file or directory")
    if path.is_dir():
        raise SourceError(f"{shown(path)} is a folder; {in_folder}")
    if not path.is_file():
        raise SourceError(f"{shown(path)} is neither a file nor a folder")


def sniff(path: Path) -> Guess:
    """What `path`, a file, looks like."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(HEAD_BYTES)
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                guess = _by_content(path, unpacked.read(HEAD_BYTES))
            return Guess(f"a gzip file with {guess.what} inside", guess.importer)
    except (OSError, EOFError) as error:
        return Guess(f"a file that cannot be read ({error})")
    return _by_content(path, head)


def _by_content(path: Path, head: bytes) -> Guess:
    if not head.strip(b" \t\r\n\x00"):
        return EMPTY if not head else Guess("a file of blanks or NUL bytes")
    if head.startswith(b"SQLite format 3\x00"):
        return _sqlite(path)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Guess("UTF-16 text to be converted to UTF-8 first")
    if head.startswith(b"PK\x03\x04"):
        return _zip(path)
    if head.startswith(b"PGDMP"):
        return Guess("a PostgreSQL dump in custom format (make a plain one with pg_restore -f)")
    if head[257:262] == b"ustar":
        return Guess("a tar archive to be unpacked first")
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    # Those of old phones are not UTF-8, and photographs are whatever they are.
    if text[:11].upper() == "BEGIN:VCARD":
        return Guess("vCards", "vcard")
    if text.count("\ufffd") > len(text) // 20 or "\x00" in text:
        return _BINARY
    return _text(path, text)


def _zip(path: Path) -> Guess:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rsplit("/", 1)[-1] for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        return Guess("a damaged zip archive")
    if any(re.fullmatch(r"conversations(-\d+)?\.json", name) for name in names):
        return Guess("a zip with conversations.json inside", "chatgpt")
    return Guess("a zip archive to be unpacked first")


def _sqlite(path: Path) -> Guess:
    # immutable: the file is only looked at, and no -wal or -shm appears beside it.
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(uri, uri=True)
        try:
            rows = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return Guess(f"a damaged SQLite database ({error})")
    tables = {str(name) for (name,) in rows}
    for telling, guess in _SQLITE:
        if telling <= tables:
            return guess
    return Guess(f"an SQLite database with the tables {', '.join(sorted(tables)[:5]) or 'none'}")


def _text(path: Path, text: str) -> Guess:
    if text.startswith("-- {") and '"remembrancer-sql"' in text[:200]:
        return Guess("an export of Remembrancer as SQL, which psql loads (docs/export.md)")
    if "PostgreSQL database dump" in text[:2_000]:
        return Guess("a PostgreSQL dump", "archon")
    if _SQL.search(text):
        return Guess("SQL statements", "archon" if "archon_" in text else None)
    first = text.split("\n", 1)[0].strip()
    if text.startswith(("[", "{")):
        try:
            line: Any = json.loads(first)
        except (ValueError, RecursionError):
            line = None
        if isinstance(line, dict) and (guess := _json_line(line)):
            return guess
        return _json_document(text)
    if path.suffix.lower() == ".md" or text.startswith(("---\n", "---\r\n", "# ")):
        if _BASIC_MEMORY.search(text):
            return Guess("a note of basic-memory", "basic-memory")
        return Guess("Markdown", "claude-md")
    return Guess("text that is not JSON")


def _json_line(line: dict[str, Any]) -> Guess | None:
    kind = line.get("type")
    if line.get("format") == "remembrancer-export":
        return Guess("an export of Remembrancer", "remembrancer")
    if isinstance(kind, str) and ("sessionId" in line or "leafUuid" in line or "snapshot" in line):
        return Guess("a Claude Code transcript", "claude-code")
    if isinstance(kind, str) and kind in _CODEX_TYPES and isinstance(line.get("payload"), dict):
        return Guess("a Codex rollout", "codex")
    if "instructions" in line and "timestamp" in line and "id" in line:
        return Guess("an old Codex rollout", "codex")
    if kind == "entity" and "entityType" in line:
        return Guess("a memory server's memory.jsonl", "memory-server")
    if kind == "relation" and "relationType" in line:
        return Guess("a memory server's memory.jsonl", "memory-server")
    if "display" in line and "project" in line:
        return Guess("Claude Code's prompt history, which holds no sessions")
    return None


def _json_document(text: str) -> Guess:
    # The head of a big document does not parse, so words have to do.
    if '"mapping"' in text and ('"current_node"' in text or '"create_time"' in text):
        return Guess("a ChatGPT export (conversations.json)", "chatgpt")
    if '"chat_messages"' in text:
        return Guess("a claude.ai export (conversations.json), which no importer takes yet")
    if any(word in text for word in _MEM0_TEXTS) and any(word in text for word in _MEM0_OWNERS):
        return Guess("a mem0 export", "mem0")
    if text.startswith("["):
        return Guess("a JSON array of an unknown kind, or the beginning of one")
    return Guess("JSON of an unknown kind")
