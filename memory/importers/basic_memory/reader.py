"""Finds the notes below a path, learns what links may call each, and reads them one by one."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from memory.importers.basic_memory import mapping
from memory.importers.basic_memory.parse import parse
from memory.importers.keys import Seen, digest
from memory.importers.lines import check_kind
from memory.importers.markdown import Note, notes_below, read_note
from memory.importers.problems import Code, Finding, Problem, SourceError
from memory.importers.rows import Entry
from memory.importers.source import Options
from memory.importers.storable import Storable, shown

NOTES, OBSERVATIONS, RELATIONS = "notes", "observations", "relations"


class BasicMemory:
    name = "basic-memory"
    title = "basic-memory's notes (Markdown)"
    times = (
        "`created`, `date` or `modified` of the front matter, UTC where it names no zone; where "
        "there is none, when the file was last changed"
    )

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        path = Path(where).expanduser().absolute()
        problems: list[Problem] = []
        if path.is_dir():
            files = list(notes_below(path, lambda one: _is_note(one, path), problems))
            if not files:
                raise SourceError(f"{shown(path)} is a folder without notes (*.md)")
            yield Reader(path, files, problems)
        else:
            check_kind(path, self.name)
            yield Reader(path.parent, [path], problems)


BASIC_MEMORY = BasicMemory()


class Reader:
    def __init__(self, root: Path, files: Sequence[Path], problems: Sequence[Problem]) -> None:
        self.root = root
        self.files = files
        self.problems = problems
        # Keys of notes by what links call them: title, permalink, path or the name of the file.
        self.called: dict[str, str] = {}
        counts: Counter[str] = Counter({NOTES: 0})
        for path in files:
            counts[NOTES] += 1
            note = read_note(path)
            if isinstance(note, Note):
                self._learn(note)
                parsed = parse(note.body, note.line)
                counts[OBSERVATIONS] += len(parsed.observations)
                counts[RELATIONS] += len(parsed.relations)
        self.totals: Mapping[str, int] = dict(counts)

    def entries(self) -> Iterator[Entry]:
        seen = Seen()
        for path in self.files:
            note = read_note(path)
            relative = self._relative(path)
            if isinstance(note, Finding):
                yield Entry(NOTES, relative, findings=[note])
                continue
            key = mapping.key_of(note, relative)
            if seen.again("note", key):
                # Two files of one permalink: the second goes by where it lies.
                said = f"its permalink {key!r:.80} is another note's"
                note.findings.append(Finding(Code.DUPLICATE, said, "known by its path"))
                note.front.pop("permalink", None)
                key = mapping.key_of(note, f"file/{relative}")
            parsed = parse(note.body, note.line)
            yield mapping.note(note, parsed, key, relative, self._resolve)
            for one in parsed.observations:
                if seen.again(mapping.observation_key(one, key)):
                    finding = Finding(
                        Code.DUPLICATE,
                        f"line {one.line} says the same again",
                        "the first one stands",
                    )
                    yield Entry(OBSERVATIONS, f"{relative}:{one.line}", findings=[finding])
                else:
                    yield mapping.observation(note, one, key, relative)

    def _learn(self, note: Note) -> None:
        relative = self._relative(note.path)
        key = mapping.key_of(note, relative)
        names = (
            key,
            mapping.title_of(note),
            relative,
            relative.removesuffix(".md"),
            note.path.stem,
        )
        for name in names:
            self.called.setdefault(digest(name.casefold()), key)

    def _resolve(self, name: str) -> str | None:
        return self.called.get(digest(name.casefold()))

    def _relative(self, path: Path) -> str:
        return Storable().text(path.relative_to(self.root).as_posix())


def _is_note(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.suffix.lower() == ".md" and not hidden
