"""Claude Code's transcripts as a source of the import frame.

A transcript's lines have keys of their own, so batches of them are written by SessionStore.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from config.lib.actor import Actor
from contacts.models.agent import AgentKind
from memory.importers.claude_code.files import Discovery, discover
from memory.importers.claude_code.records import Kept
from memory.importers.claude_code.session import SessionReader
from memory.importers.claude_code.store import SOURCE, Batch, SessionStore, batches
from memory.importers.problems import Problem
from memory.importers.rows import Entry, Tally
from memory.importers.source import Options
from sessions.models import Session
from sessions.services import transcripts

LINES, SESSIONS = "lines", "sessions"
# Replaced by the run's own when something is written.
_NOBODY = Actor("import", "", "import claude-code", "import")


class ClaudeCode:
    name = SOURCE
    title = "Claude Code transcripts (~/.claude/projects)"
    times = "UTC; a line without a time has that of the line before it"

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Transcripts"]:
        yield Transcripts(discover(Path(where).expanduser()), options.agent or self.name)


class Transcripts:
    """The sessions found below a path. How many lines they have is known once they are read."""

    def __init__(
        self,
        found: Discovery,
        agent: str,
        *,
        source: str = SOURCE,
        kind: AgentKind = AgentKind.CLAUDE_CODE,
        reader: type[SessionReader] = SessionReader,
    ) -> None:
        self.found = found
        self.agent = agent
        self.source = source
        self.kind = kind
        self.reader = reader
        self.lines = 0
        self.problems: Sequence[Problem] = found.problems

    @property
    def totals(self) -> Mapping[str, int]:
        return {SESSIONS: len(self.found.sessions), LINES: self.lines}

    def entries(self) -> Iterator[Entry]:
        self.lines = 0
        for files in self.found.sessions:
            reader = self.reader(files)
            store = SessionStore(_NOBODY, files, self.agent, self.source, self.kind)
            for batch in batches(reader):
                yield Entry(LINES, files.session_id, work=_Lines(store, batch))
            self.lines += sum(file.lines for file in reader.files)
            yield Entry(SESSIONS, files.session_id, work=_End(store, reader))


class _Lines:
    """A batch of one session's lines."""

    def __init__(self, store: SessionStore, batch: Batch) -> None:
        self.store = store
        self.batch = batch

    def write(self, actor: Actor) -> Tally:
        store = self.store
        store.actor = actor
        before, threads = replace(store.stored), dict(store.threads)
        try:
            store.write(self.batch)
        except BaseException:
            store.stored, store.threads = before, threads
            raise
        after = store.stored
        new = after.lines - before.lines
        made = Counter(
            message=after.messages - before.messages,
            event=after.events - before.events,
            thread=after.threads - before.threads,
        )
        lines = Counter(created=new, unchanged=len(self.batch.items) - new)
        return Tally({LINES: lines}, +made)

    def here(self) -> Tally:
        session = _session(self.store)
        if session is None:
            return Tally()
        keys = [item.line.key for item in self.batch.items]
        known = transcripts.known_line_keys(session_id=session.id, keys=keys)
        return Tally({LINES: Counter(unchanged=sum(key in known for key in keys))})


class _End:
    """What is known of a session once all of it is read; and lines that brought nothing."""

    def __init__(self, store: SessionStore, reader: SessionReader) -> None:
        self.store = store
        self.reader = reader

    def write(self, actor: Actor) -> Tally:
        stored = self.store.stored
        if stored.session_id is None:
            outcome = "skipped"
        else:
            self.store.actor = actor
            self.store.finish(self.reader, stored.session_id)
            outcome = "created" if stored.is_new else "updated" if stored.added else "unchanged"
        skipped, repeated = self._unkept()
        lines = +Counter(skipped=skipped, unchanged=repeated)
        return Tally({SESSIONS: Counter({outcome: 1}), LINES: lines}, problems=self.reader.problems)

    def here(self) -> Tally:
        there = _session(self.store) is not None
        _, repeated = self._unkept()
        return Tally({SESSIONS: Counter(unchanged=int(there)), LINES: Counter(unchanged=repeated)})

    def _unkept(self) -> tuple[int, int]:
        """Lines of which nothing could be kept, and lines that came before."""
        files = self.reader.files
        unkept = sum(file.lines - file.kept.total() for file in files)
        broken = sum(file.unparsable_lines - file.kept[Kept.BROKEN] for file in files)
        return min(broken, unkept), max(0, unkept - broken)


def _session(store: SessionStore) -> Session | None:
    named = {"source": store.source, "external_id": store.files.session_id}
    return Session.objects.filter(**named).first()


CLAUDE_CODE = ClaudeCode()
