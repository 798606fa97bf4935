"""Finds Claude Code transcripts below a path and sorts them into sessions.

Where they are: `<config>/projects/<folder as dashes>/<session>.jsonl`; subagents in
`<session>/subagents/**/agent-<id>.jsonl`, each perhaps with an `agent-<id>.meta.json` beside
it, and in some 2.0 versions in `agent-<id>.jsonl` beside the session's file. Only the head of a
file is read here. Not for reading lines: `session.py`.
"""

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.lib.shorten import beginning
from memory.importers.claude_code.events import KNOWN_TYPES, MESSAGE_TYPES
from memory.importers.claude_code.lines import ID_LIMIT, read_fields
from memory.importers.claude_code.reader import read_lines
from memory.importers.problems import Code, Problem, SourceError
from memory.importers.sniff import EMPTY, sniff
from memory.importers.storable import Storable, shown

SUFFIX = ".jsonl"
# How far into a file its kind and session must show; summaries and broken lines come before.
HEAD_LINES = 200
# A sidecar file has some 200 bytes.
META_BYTES = 64 * 1024

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_AGENT_FILE = re.compile(r"agent-(?P<id>.{1,150})")
# Fields one of which every line of a transcript has, whatever its type.
_MARKS = frozenset({"sessionId", "session_id", "uuid", "leafUuid", "snapshot"})


@dataclass(frozen=True, slots=True)
class TranscriptFile:
    """One file: a session's main file, or with `agent_id` one of its subagents'.

    With a `body` that is read instead: the piece of the file that begins with line `number` at
    `offset`, for files that lie on another machine.
    """

    path: Path
    session_id: str
    agent_id: str | None = None
    meta: dict[str, Any] = field(default_factory=dict, hash=False)
    body: bytes | None = None
    number: int = 1
    offset: int = 0


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """All files of one session, in reading order.

    `main` is empty where only subagents were found, and has several where a session's file
    exists in several states. `project` is the name of the folder the session lay in.
    """

    session_id: str
    project: str
    main: tuple[TranscriptFile, ...]
    subagents: tuple[TranscriptFile, ...]
    forked_from: str | None = None

    @property
    def size(self) -> int:
        """Bytes in all files, for progress."""
        return sum(_size(file.path) for file in (*self.main, *self.subagents))


@dataclass(frozen=True, slots=True)
class Discovery:
    """What lies below a path: sessions in a stable order, each fork after its origin."""

    root: Path
    sessions: tuple[SessionFiles, ...]
    problems: tuple[Problem, ...]


def discover(path: Path) -> Discovery:
    """The sessions at `path`: a config folder, its projects folder, one project, one file.

    Raises SourceError, one line for the operator, when the path does not exist, cannot be read,
    is of another kind, or holds no transcripts.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise SourceError(f"{shown(path)}: {getattr(error, 'strerror', None) or error}") from error
    if stat.S_ISREG(mode):
        return _single(path)
    if not stat.S_ISDIR(mode):
        raise SourceError(f"{shown(path)} is neither a file nor a folder")
    root = _projects_folder(path)
    problems: list[Problem] = []
    found = [f for file in walk(root, problems) if (f := _recognise(file, problems)) is not None]
    if not found:
        raise SourceError(nothing_found(root, problems, "Claude Code transcripts"))
    return Discovery(root, in_order(_group(found)), tuple(problems))


def _single(path: Path) -> Discovery:
    problems: list[Problem] = []
    head = _recognise(path, problems)
    if head is None:
        reason = problems[0].reason if problems else "is not a Claude Code transcript"
        raise SourceError(f"{shown(path)} {reason}")
    return Discovery(path, in_order(_group([head])), ())


def nothing_found(root: Path, problems: list[Problem], what: str) -> str:
    """Why a folder has none, and what lies in it instead."""
    message = f"{shown(root)} holds no {what} ({SUFFIX} files)"
    if problems:
        first = problems[0]
        message += f"; {first.file} {first.reason}"
        if len(problems) > 1:
            message += f", and {len(problems) - 1} more files were not taken"
    return message


def _projects_folder(path: Path) -> Path:
    """`path`, or the projects folder in it where it is a config or a home folder."""
    for candidate in (path / "projects", path / ".claude" / "projects"):
        if candidate.is_dir():
            return candidate
    return path


def walk(root: Path, problems: list[Problem]) -> Iterator[Path]:
    """Every transcript-like file, folder by folder in name order. Links are followed, each
    folder is entered once."""
    entered: set[str] = set()

    def unreadable(error: OSError) -> None:
        problems.append(skipped(Path(error.filename), f"cannot be read ({error.strerror})"))

    for folder, folders, files in os.walk(root, onerror=unreadable, followlinks=True):
        here = os.path.realpath(folder)
        if here in entered:
            folders.clear()
            continue
        entered.add(here)
        folders.sort()
        for name in sorted(files):
            file = Path(folder, name)
            # A pipe with such a name would make the reader wait for ever.
            if name.endswith(SUFFIX) and (file.is_file() or not file.exists()):
                yield file


@dataclass(frozen=True, slots=True)
class _Head:
    """A recognised file and what its first lines say."""

    file: TranscriptFile
    project: str
    forked_from: str | None


def _recognise(path: Path, problems: list[Problem]) -> _Head | None:
    """The file as a transcript; None, and a problem, where it is none."""
    try:
        session_id, agent_id, forked_from, is_transcript = _peek(path)
    except OSError as error:
        problems.append(skipped(path, f"cannot be read ({error.strerror or error})"))
        return None
    if not is_transcript:
        guess = sniff(path)
        reason = f"is {guess.what}" if guess is EMPTY else guess.sentence(path)
        problems.append(skipped(path, reason))
        return None
    home = _subagents_home(path)
    named = _AGENT_FILE.fullmatch(path.stem)
    if home is None and named is None:
        own = path.stem if _UUID.fullmatch(path.stem) else session_id or path.stem
        file = TranscriptFile(path, as_id(own))
        return _Head(file, path.parent.name, forked_from)
    agent = (named["id"] if named else None) or agent_id or path.stem
    owner = session_id or (home.name if home else path.stem)
    project = home.parent.name if home else path.parent.name
    return _Head(TranscriptFile(path, as_id(owner), as_id(agent), _meta(path)), project, None)


def _peek(path: Path) -> tuple[str | None, str | None, str | None, bool]:
    """Session id, agent id, origin of a fork, and whether the first lines are a transcript's."""
    session_id = agent_id = forked_from = None
    is_transcript = False
    with open(path, "rb") as stream:
        for number, line in enumerate(read_lines(stream)):
            if number >= HEAD_LINES:
                break
            if line is None or line.value is None or not _is_transcript_line(line.value):
                continue
            is_transcript = True
            fields = read_fields(line.value, Storable())
            session_id = session_id or fields.session_id
            agent_id = agent_id or fields.agent_id
            forked_from = forked_from or fields.forked_from
            if session_id and fields.uuid:
                break
    return session_id, agent_id, forked_from if forked_from != session_id else None, is_transcript


def _is_transcript_line(line: dict[str, Any]) -> bool:
    kind = line.get("type")
    if isinstance(kind, str) and kind in MESSAGE_TYPES:
        return isinstance(line.get("message"), dict)
    if isinstance(kind, str) and kind in KNOWN_TYPES:
        return not _MARKS.isdisjoint(line)
    return "sessionId" in line and "uuid" in line


def _subagents_home(path: Path) -> Path | None:
    """The session's folder, for a file somewhere in its `subagents` folder."""
    for parent in path.parents:
        if parent.name == "subagents":
            return parent.parent
    return None


def _meta(path: Path) -> dict[str, Any]:
    """The sidecar file of a subagent; a missing or broken one only costs the thread's name."""
    try:
        with open(path.with_suffix(".meta.json"), "rb") as stream:
            meta = json.loads(stream.read(META_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _group(heads: list[_Head]) -> list[SessionFiles]:
    """The files by session, sessions in the order of their first file."""
    by_session: dict[str, list[_Head]] = {}
    for head in heads:
        by_session.setdefault(head.file.session_id, []).append(head)
    sessions: list[SessionFiles] = []
    for session_id, members in by_session.items():
        main = [head for head in members if head.file.agent_id is None]
        agents = [head.file for head in members if head.file.agent_id is not None]
        sessions.append(
            SessionFiles(
                session_id,
                (main or members)[0].project,
                tuple(head.file for head in main),
                tuple(agents),
                next((head.forked_from for head in main if head.forked_from), None),
            )
        )
    return sessions


def in_order(sessions: list[SessionFiles]) -> tuple[SessionFiles, ...]:
    """As given, but a fork after the session it was made from: that one's tokens count."""
    by_id = {session.session_id: session for session in sessions}
    ordered: dict[str, SessionFiles] = {}
    for session in sessions:
        line = [session]
        while (origin := by_id.get(line[-1].forked_from or "")) and origin not in line:
            line.append(origin)
        for member in reversed(line):
            ordered.setdefault(member.session_id, member)
    return tuple(ordered.values())


def skipped(path: Path, reason: str) -> Problem:
    return Problem(shown(path), None, reason, "skipped", Code.NOT_A_TRANSCRIPT)


def as_id(value: str) -> str:
    """A name from the file system as an id: names there may hold any byte."""
    return beginning(Storable().text(value), ID_LIMIT)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
