"""Markdown notes: found below a path, with front matter, cut into units.

A unit is a bullet of the first level with what belongs to it, or the text of a section between
its bullets. Not for showing Markdown (mistune does).
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from memory.importers.problems import Code, Finding, Problem
from memory.importers.storable import shown

MAX_NOTE = 8 << 20
MAX_FRONT = 64 << 10
# Folders that hold what others have written.
LEFT_OUT = frozenset({".git", ".hg", "node_modules", ".venv", "venv", "__pycache__", ".obsidian"})
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"^(#{1,6})[ \t]+(\S.*)$")
_BULLET = re.compile(r"^(?:[-*+]|\d{1,9}[.)])[ \t]+(?=\S)")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(slots=True)
class Note:
    """A file: its front matter, and its body whose first line is `line` of the file."""

    path: Path
    front: dict[str, Any] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    line: int = 1
    modified: datetime | None = None
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unit:
    """`headings` lead to it, the outermost first. `line` is where it begins in the file."""

    headings: tuple[str, ...]
    text: str
    line: int
    is_bullet: bool = False


def notes_below(
    folder: Path, wanted: Callable[[Path], bool], problems: list[Problem]
) -> Iterator[Path]:
    """Files that are wanted, in order. Links are not followed: they lead anywhere."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one not in LEFT_OUT)
        for name in sorted(names):
            path = Path(place, name)
            if not wanted(path):
                continue
            if path.is_symlink():
                problems.append(
                    Problem(shown(path), None, "it is a link", "not followed", Code.NOT_CARRIED)
                )
            elif path.is_file():
                yield path


def read_note(path: Path) -> Note | Finding:
    """A file, or why it cannot be read."""
    try:
        with open(path, "rb") as stream:
            raw = stream.read(MAX_NOTE + 1)
            modified = datetime.fromtimestamp(os.fstat(stream.fileno()).st_mtime, UTC)
    except (OSError, OverflowError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Finding(Code.UNREADABLE, f"it cannot be read ({reason})", "skipped")
    if len(raw) > MAX_NOTE:
        return Finding(Code.TOO_LONG, f"it has more than {MAX_NOTE:,} bytes", "skipped")
    text = raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    note = Note(path, modified=modified)
    lines = _LINE_END.split(text)
    if lines and lines[0].rstrip() == "---":
        for number, line in enumerate(lines[1:], 2):
            if line.rstrip() in ("---", "..."):
                note.front = _front("\n".join(lines[1 : number - 1]), note.findings)
                note.line, lines = number + 1, lines[number:]
                break
    note.body = lines
    return note


class _Loader(yaml.BaseLoader):
    """All values are texts, and nothing refers to anything else: a reference can stand for
    gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it refers to another part of itself")
        return super().compose_node(parent, index)


def _front(text: str, findings: list[Finding]) -> dict[str, Any]:
    said = ""
    if len(text) > MAX_FRONT:
        said = f"it has more than {MAX_FRONT:,} characters"
    else:
        clean = re.sub(
            "[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text
        )
        try:
            value = yaml.load(clean, _Loader)  # noqa: S506  (texts, lists and objects only)
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            said = " ".join(str(error).split())[:120] or "nested too deeply"
        else:
            if isinstance(value, dict):
                return {str(name): one for name, one in value.items()}
            if value in (None, ""):
                return {}
            said = "it is no list of names and values"
    findings.append(Finding(Code.BAD_VALUE, f"its front matter is broken: {said}", "left out"))
    return {}


def units(note: Note) -> Iterator[Unit]:
    """What a note says, in order. Comments are for those who write it, and left out."""
    headings: list[tuple[int, str]] = []
    lines: list[str] = []
    begin, is_bullet, fence, comment = 0, False, "", False

    def done() -> Iterator[Unit]:
        text = "\n".join(lines).strip()
        if text:
            yield Unit(tuple(title for _, title in headings), text, begin, is_bullet)
        lines.clear()

    for number, line in enumerate(note.body, note.line):
        if comment or (not fence and line.lstrip().startswith("<!--")):
            comment = "-->" not in line
            continue
        mark = _FENCE.match(line)
        if mark and (not fence or (mark[1][0] == fence[0] and len(mark[1]) >= len(fence))):
            fence = "" if fence else mark[1]
        elif not fence:
            heading, bullet = _HEADING.match(line), _BULLET.match(line)
            if heading:
                yield from done()
                level = len(heading[1])
                headings = [one for one in headings if one[0] < level]
                headings.append((level, heading[2].strip().rstrip("#").strip()[:200]))
                is_bullet = False
                continue
            outside = bool(lines) and is_bullet and not lines[-1].strip() and line[:1].strip()
            if bullet or outside:
                yield from done()
                is_bullet = bool(bullet)
                line = line[bullet.end() :] if bullet else line
        if not lines:
            if not line.strip():
                continue
            begin = number
        lines.append(line)
    yield from done()


def as_text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def as_list(value: Any) -> list[str]:
    """A list of front matter, or a text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list):
        return []
    return list(dict.fromkeys(one.strip() for one in value if isinstance(one, str) and one.strip()))
