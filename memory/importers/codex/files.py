"""Finds Codex rollouts below a path and sorts them into sessions.

Where they are: `~/.codex/sessions/<year>/<month>/<day>/rollout-<time>-<session>.jsonl`, archived
ones in `archived_sessions`. Only the head of a file is read here.
"""

import re
import stat
from pathlib import Path

from memory.importers.claude_code.files import (
    HEAD_LINES,
    Discovery,
    SessionFiles,
    TranscriptFile,
    as_id,
    in_order,
    nothing_found,
    skipped,
    walk,
)
from memory.importers.claude_code.reader import read_lines
from memory.importers.codex.lines import meta_of, parts_of
from memory.importers.problems import Problem, SourceError
from memory.importers.sniff import EMPTY, sniff
from memory.importers.storable import shown

_NAMED = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_FOLDERS = ("sessions", "archived_sessions")


def discover(path: Path) -> Discovery:
    """The sessions at `path`: Codex's folder, its sessions folder, any folder in it, one file.

    Raises SourceError, one line for the operator, where there are none.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise SourceError(f"{shown(path)}: {getattr(error, 'strerror', None) or error}") from error
    problems: list[Problem] = []
    if stat.S_ISREG(mode):
        found = [one for one in [_recognise(path, problems)] if one is not None]
        if not found:
            raise SourceError(f"{shown(path)} {problems[0].reason}")
    elif stat.S_ISDIR(mode):
        files = [file for root in _roots(path) for file in walk(root, problems)]
        found = [one for file in files if (one := _recognise(file, problems)) is not None]
        if not found:
            raise SourceError(nothing_found(path, problems, "Codex rollouts"))
    else:
        raise SourceError(f"{shown(path)} is neither a file nor a folder")
    by_session: dict[str, list[tuple[TranscriptFile, str | None]]] = {}
    for file, origin in found:
        by_session.setdefault(file.session_id, []).append((file, origin))
    sessions = [
        SessionFiles(
            session_id,
            "",
            tuple(file for file, _ in files),
            (),
            next((origin for _, origin in files if origin), None),
        )
        for session_id, files in by_session.items()
    ]
    return Discovery(path, in_order(sessions), tuple(problems))


def _roots(path: Path) -> list[Path]:
    for home in (path, path / ".codex"):
        if found := [home / name for name in _FOLDERS if (home / name).is_dir()]:
            return found
    return [path]


def _recognise(path: Path, problems: list[Problem]) -> tuple[TranscriptFile, str | None] | None:
    """The file as a rollout, and the session it was forked from; None, and a problem, where it
    is none."""
    named = _NAMED.findall(path.stem)
    session_id = named[-1] if named else ""
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(read_lines(stream)):
                if number >= HEAD_LINES:
                    break
                if line is None or line.value is None or parts_of(line.value) is None:
                    continue
                meta = meta_of(line.value)
                own, origin = meta.get("id"), meta.get("forked_from_id")
                if isinstance(own, str) and own:
                    session_id = own
                name = as_id(session_id or path.stem)
                forked = as_id(origin) if isinstance(origin, str) and origin else None
                return TranscriptFile(path, name), forked if forked != name else None
    except OSError as error:
        problems.append(skipped(path, f"cannot be read ({error.strerror or error})"))
        return None
    guess = sniff(path)
    problems.append(skipped(path, f"is {guess.what}" if guess is EMPTY else guess.sentence(path)))
    return None
