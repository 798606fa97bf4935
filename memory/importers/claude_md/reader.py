"""Finds CLAUDE.md files, rules and auto memories below a path, and reads them one by one."""

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from memory.importers.claude_md import mapping
from memory.importers.claude_md.mapping import Place
from memory.importers.keys import Seen
from memory.importers.markdown import Note, Unit, notes_below, read_note, units
from memory.importers.problems import Code, Finding, Problem, SourceError
from memory.importers.rows import Entry
from memory.importers.sniff import EMPTY, sniff
from memory.importers.source import Options
from memory.importers.storable import shown

NOTES = "notes"
NAMES = frozenset({"CLAUDE.md", "CLAUDE.local.md", "AGENTS.md"})
INDEX = "MEMORY.md"
# A note of an auto memory is one memory up to this many characters, beyond it goes by sections.
MAX_WHOLE = 8_000
_POINTER = re.compile(r"\[[^\]]*\]\(([^()\s]+\.md)\)")


class ClaudeMd:
    name = "claude-md"
    title = "CLAUDE.md files and Claude Code's auto memory folders"
    times = (
        "`modified` of the front matter, UTC where it names no zone; where there is none, when the "
        "file was last changed"
    )

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        path = Path(where).expanduser().absolute()
        problems: list[Problem] = []
        if path.is_dir():
            files = list(notes_below(path, lambda one: _is_ours(one, path), problems))
            if not files:
                raise SourceError(
                    f"{shown(path)} holds no CLAUDE.md, no .claude/rules and no MEMORY.md with "
                    "its notes"
                )
        else:
            if not path.exists():
                raise SourceError(f"{shown(path)}: No such file or directory")
            guess = sniff(path)
            # What has the name is one, whatever it looks like; but not where it says nothing.
            named = path.name in NAMES and guess != EMPTY and path.is_file()
            if guess.importer != self.name and not named:
                raise SourceError(f"{shown(path)} {guess.sentence(path)}")
            files = [path]
        yield Reader(files, problems)


CLAUDE_MD = ClaudeMd()


class Reader:
    """Its notes are few and small: they are read once to be counted, and once more each time."""

    def __init__(self, files: Sequence[Path], problems: Sequence[Problem]) -> None:
        self.files = files
        self.problems = problems
        self.totals: Mapping[str, int] = {NOTES: 0}
        self.totals = {NOTES: sum(1 for _ in self.entries())}

    def entries(self) -> Iterator[Entry]:
        seen = Seen()
        for path in self.files:
            note = read_note(path)
            if isinstance(note, Finding):
                yield Entry(NOTES, shown(path), findings=[note])
                continue
            for entry in _entries(note, place_of(path)):
                if seen.again(entry.key):
                    said = Finding(Code.DUPLICATE, "the same stands above", "the first one stands")
                    yield Entry(NOTES, entry.key, findings=[*entry.findings, said])
                else:
                    yield entry


def _entries(note: Note, place: Place) -> Iterator[Entry]:
    body = "\n".join(note.body).strip()
    if place.scope == "auto" and note.path.name != INDEX and body and len(body) <= MAX_WHOLE:
        yield mapping.whole(note, place)
        return
    for unit in units(note):
        if not (note.path.name == INDEX and _points(note.path, unit)):
            yield mapping.unit(note, unit, place)


def _points(path: Path, unit: Unit) -> bool:
    """Whether a line of an index only says which note there is beside it."""
    found = _POINTER.search(unit.text)
    return found is not None and "/" not in found[1] and (path.parent / found[1]).is_file()


def place_of(path: Path) -> Place:
    """Scope and project by where a file lies, as Claude Code sees it."""
    folder = path.parent
    if _is_auto(folder):
        # ~/.claude/projects/-home-me-shop/memory: the folder of the project, with dashes.
        return Place("auto", folder.parent.name.strip("-") if folder.name == "memory" else "")
    for one in (folder, *folder.parents):
        if one.name == ".claude":
            scope = "rules" if "rules" in path.relative_to(one).parts[:-1] else "project"
            if (one / "projects").is_dir() or one.parent == Path.home():
                return Place("user")
            return Place(scope, _project(one.parent))
    return Place("local" if path.name == "CLAUDE.local.md" else "project", _project(folder))


def _project(folder: Path) -> str:
    """The name of the repository that a folder is in, else its own."""
    for one in (folder, *folder.parents):
        if (one / ".git").exists():
            return one.name
    return folder.name


def _is_auto(folder: Path) -> bool:
    return (folder / INDEX).is_file() or (
        folder.name == "memory" and folder.parent.parent.name == "projects"
    )


def _is_ours(path: Path, root: Path) -> bool:
    if path.suffix.lower() != ".md":
        return False
    if path.name in NAMES or _is_auto(path.parent):
        return True
    parts = path.relative_to(root.parent).parts
    return (".claude", "rules") in itertools.pairwise(parts)
