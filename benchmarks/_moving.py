"""Sources to import, as large as one likes: the test data's own rows again and again, each time
with other identifiers, so that what they look like is what real programs wrote.

Identifiers are found, not listed: every text that is a row's key, and every UUID. A copy's have
another number in them wherever they stand, in keys, in references, in JSON and in prose.
"""

import gzip
import re
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.importers import made

UUID = re.compile(r"\b([0-9a-f]{8})(-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})\b")
HEX = re.compile(r"[0-9a-f]{8}(?![0-9a-f])")
# What a key may look like within a text.
TOKEN = re.compile(r"[A-Za-z0-9_:.-]{6,}")
COPY = re.compile(r"COPY \S+ \(([^)]*)\) FROM stdin;")


class Sources:
    """Makes them in `folder`. `legacy` is the archive of the test data; None where it is absent,
    and then there are fewer."""

    def __init__(self, folder: Path, legacy: Path | None, rows: int) -> None:
        self.folder = folder
        self.rows = rows
        self.legacy: Path | None = None
        if legacy is not None:
            with tarfile.open(legacy) as archive:
                archive.extractall(folder / "data", filter="data")
            self.legacy = folder / "data" / "legacy"

    def names(self) -> list[str]:
        return [*(_OF_DATA if self.legacy is not None else ()), *_MADE]

    def make(self, name: str) -> Path:
        if name in _MADE:
            rows_each, file, make = _MADE[name]
            path = self.folder / name / file
            path.parent.mkdir(parents=True)
            make(path, max(1, self.rows // rows_each))
            return path
        assert self.legacy is not None
        file, multiply = _OF_DATA[name]
        target = self.folder / name / Path(file).name
        target.parent.mkdir(parents=True)
        multiply(self.legacy / file, target, self.rows)
        return target


def _multiply_database(source: Path, target: Path, rows: int) -> None:
    """Rows that a copy's keys cannot tell apart stay one."""
    target.write_bytes(source.read_bytes())
    wal = source.with_name(f"{source.name}-wal")
    if wal.exists():
        target.with_name(wal.name).write_bytes(wal.read_bytes())
    db = sqlite3.connect(target, isolation_level=None)
    db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    tables = {}
    for (name,) in db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall():
        columns = db.execute(f'PRAGMA table_info("{name}")').fetchall()
        keys = [at for at, column in enumerate(columns) if column[5]]
        numbered = keys[0] if len(keys) == 1 and columns[keys[0]][2] == "INTEGER" else None
        tables[name] = (keys, numbered, db.execute(f'SELECT * FROM "{name}"').fetchall())
    known = {
        row[at]
        for keys, _, found in tables.values()
        for row in found
        for at in keys
        if _is_key(row[at])
    }
    total = sum(len(found) for _, _, found in tables.values())
    db.execute("BEGIN")
    for copy in range(1, max(1, rows // total)):
        for name, (_, numbered, found) in tables.items():
            if not found:
                continue
            marks = ", ".join("?" * len(found[0]))
            db.executemany(
                f'INSERT OR IGNORE INTO "{name}" VALUES ({marks})',
                (_copied(row, copy, known, numbered) for row in found),
            )
    db.execute("COMMIT")
    db.close()


def _is_key(value: object) -> bool:
    return isinstance(value, str) and bool(TOKEN.fullmatch(value) and re.search(r"\d", value))


def _copied(row: tuple, copy: int, known: set[str], numbered: int | None) -> list:
    values = [
        _renamed(value, copy, known).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if isinstance(value, str)
        else value
        for value in row
    ]
    if numbered is not None:
        values[numbered] = None
    return values


def _renamed(text: str, copy: int, known: set[str]) -> str:
    """The text with the identifiers of a copy."""

    def renamed(found: re.Match) -> str:
        token = found.group()
        if token not in known:
            return _renamed_uuids(token, copy)
        if at := HEX.search(token):
            return token[: at.start()] + _other(at.group(), copy) + token[at.end() :]
        return f"{token}-{copy}"

    return TOKEN.sub(renamed, text)


def _other(digits: str, copy: int) -> str:
    return f"{int(digits, 16) ^ (copy * 0x9E3779B1 & 0xFFFFFFFF):08x}"


def _multiply_dump(source: Path, target: Path, rows: int) -> None:
    """Each table's lines of a plain-SQL dump."""
    with gzip.open(source, "rt", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        lines = file.readlines()
    blocks = list(_blocks(lines))
    copies = max(1, rows // sum(len(block) for block in blocks))
    known = {key for block in blocks for line in block if _is_key(key := line.partition("\t")[0])}
    with gzip.open(
        target, "wt", encoding="utf-8", errors="surrogateescape", newline="\n", compresslevel=1
    ) as out:
        block: list[str] | None = None
        for line in lines:
            if block is not None and line == "\\.\n":
                for copy in range(1, copies):
                    out.writelines(_renamed(one, copy, known) for one in block)
                block = None
            elif block is not None:
                block.append(line)
            elif COPY.match(line):
                block = []
            out.write(line)


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    block: list[str] | None = None
    for line in lines:
        if block is not None and line == "\\.\n":
            yield block
            block = None
        elif block is not None:
            block.append(line)
        elif COPY.match(line):
            block = []


def _multiply_transcripts(source: Path, target: Path, rows: int) -> None:
    """Each file again under the name of another session."""
    files = {
        path.relative_to(source): path.read_text("utf-8", "surrogateescape")
        for path in sorted(source.rglob("*.jsonl"))
    }
    total = sum(text.count("\n") for text in files.values())
    for copy in range(max(1, rows // total)):
        for name, text in files.items():
            path = target / (_renamed_uuids(str(name), copy) if copy else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            said = _renamed_uuids(text, copy) if copy else text
            path.write_text(said, "utf-8", "surrogateescape")


def _renamed_uuids(text: str, copy: int) -> str:
    return UUID.sub(lambda uuid: _other(uuid[1], copy) + uuid[2], text)


# By the name of a source: its file of the test data, and what makes it larger.
_OF_DATA: dict[str, tuple[str, Callable[[Path, Path, int], None]]] = {
    "experience-store": ("ai_exp/raw_store.db", _multiply_database),
    "life-engine": ("claude_os/real_5da23e82/system.db", _multiply_database),
    "amp": ("amp/sessions_after.sqlite", _multiply_database),
    "archon": ("archon/archon_export.sql.gz", _multiply_dump),
    "claude-code": ("transcripts/claude", _multiply_transcripts),
    "codex": ("transcripts/codex", _multiply_transcripts),
}
# By the name of a source: rows of one unit, the file, and what makes so many units.
_MADE: dict[str, tuple[int, str, Callable[[Path, int], None]]] = {
    "chatgpt": (6, "conversations.json", made.chatgpt),
    "claude-mem": (5, "claude-mem.db", made.claude_mem),
    "mem0": (1, "mem0.json", made.mem0),
    "memory-server": (4, "memory.jsonl", made.memory_server),
    "basic-memory": (4, "notes", made.basic_memory),
    "vcard": (1, "people.vcf", made.vcard),
}
