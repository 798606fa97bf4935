"""Reads conversations.json, streamed: one conversation at a time is in memory."""

import contextlib
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, cast

from memory.importers.chatgpt import mapping
from memory.importers.chatgpt.tree import paths
from memory.importers.documents import Element, elements
from memory.importers.keys import Seen, digest, row_key
from memory.importers.problems import Code, Finding, Problem, SourceError
from memory.importers.rows import Entry
from memory.importers.sniff import sniff
from memory.importers.source import Options
from memory.importers.storable import shown
from memory.importers.values import parse_time

CONVERSATIONS, MESSAGES = "conversations", "messages"
# Large exports come in several parts, conversations-000.json and so on.
FILE = re.compile(r"conversations(-\d+)?\.json")
Opener = Callable[[], AbstractContextManager[BinaryIO]]


class ChatGPT:
    name = "chatgpt"
    title = "ChatGPT's data export (conversations.json, its folder or its zip)"
    times = (
        "UTC: the export has seconds since 1970; a message without a time has that of the one "
        "before it in its thread"
    )

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        yield Reader(_files(Path(where).expanduser()), options.agent or self.name)


CHATGPT = ChatGPT()


class Reader:
    """An open export. Conversations are counted first; messages while they are read."""

    def __init__(self, files: Sequence[Opener], agent: str) -> None:
        self.files = files
        self.agent = agent
        self.problems: Sequence[Problem] = ()
        self.conversations = sum(1 for _ in self._elements(parse=False))
        self.messages = 0

    @property
    def totals(self) -> dict[str, int]:
        return {CONVERSATIONS: self.conversations, MESSAGES: self.messages}

    def entries(self) -> Iterator[Entry]:
        self.messages = 0
        seen = Seen()
        for element in self._elements(parse=True):
            if element.value is None:
                yield _skipped(element, element.problem)
                continue
            yield from self._conversation(element.value, element, seen)

    def _elements(self, *, parse: bool) -> Iterator[Element]:
        for file in self.files:
            with file() as stream:
                yield from elements(stream, parse=parse)

    def _conversation(self, row: dict[str, Any], element: Element, seen: Seen) -> Iterator[Entry]:
        nodes = row.get("mapping")
        if not isinstance(nodes, dict):
            yield _skipped(
                element, Finding(Code.LEGACY_SHAPE, "it has no mapping of messages", "skipped")
            )
            return
        nodes = {str(key): node for key, node in nodes.items() if isinstance(node, dict)}
        key = _key(row)
        if seen.again(key):
            yield _skipped(
                element, Finding(Code.DUPLICATE, f"{key!r:.80} has come before",
                                 "the first one stands"),
            )  # fmt: skip
            return
        tree = list(paths(nodes, str(row.get("current_node") or "")))
        tree = [path for path in tree if any(mapping.says_something(nodes[n]) for n in path.nodes)]
        whole = mapping.conversation(row, key, tree, self.agent)
        yield whole
        for path in tree:
            before = parse_time(row.get("create_time"))
            for name in path.nodes:
                if not mapping.says_something(nodes[name]):
                    continue
                self.messages += 1
                entry = mapping.message(nodes[name], name, key, path, before)
                # A conversation comes whole or, being older, not at all.
                entry.at = whole.at
                before = mapping.time_of(nodes[name]) or before
                yield entry


def _key(row: dict[str, Any]) -> str:
    for name in ("conversation_id", "id"):
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return row_key(value)
    return digest(str(row.get("title")), str(row.get("create_time")), *sorted(row["mapping"]))


def _skipped(element: Element, problem: Finding | None) -> Entry:
    findings = [problem] if problem is not None else []
    return Entry(CONVERSATIONS, f"#{element.place}", findings=findings)


def _files(path: Path) -> list[Opener]:
    """How each file of an export is opened. SourceError in one line."""
    try:
        if path.is_dir():
            found = sorted(one for one in path.iterdir() if FILE.fullmatch(one.name))
            if not found:
                raise SourceError(f"{shown(path)} is a folder without a conversations.json")
            return [_plain(one) for one in found]
        with open(path, "rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise SourceError(f"{shown(path)}: {error.strerror or error}") from None
    if head == b"PK\x03\x04":
        return _packed(path)
    guess = sniff(path)
    if guess.importer != ChatGPT.name:
        raise SourceError(f"{shown(path)} {guess.sentence(path)}")
    return [_plain(path)]


def _plain(path: Path) -> Opener:
    return lambda: cast(BinaryIO, open(path, "rb"))


def _packed(path: Path) -> list[Opener]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if FILE.fullmatch(n.rsplit("/", 1)[-1]))
            for name in names:
                archive.open(name).close()
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise SourceError(f"{shown(path)} is a damaged zip ({error}); download it again") from None
    if not names:
        raise SourceError(f"{shown(path)} is a zip without a conversations.json")
    return [_member(path, name) for name in names]


def _member(path: Path, name: str) -> Opener:
    @contextlib.contextmanager
    def opened() -> Iterator[BinaryIO]:
        try:
            with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
                yield cast(BinaryIO, stream)
        except (zipfile.BadZipFile, EOFError) as error:
            raise SourceError(
                f"{shown(path)} is a damaged zip ({error}); download it again"
            ) from None

    return opened
