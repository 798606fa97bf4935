"""Claude Code's transcripts as a source of the import frame.

A transcript's lines have keys of their own, so they are written by together.py: those of several
sessions in one transaction, as most sessions are short.
"""

import contextlib
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from django.db import transaction

from config.lib.actor import Actor
from config.lib.errors import Erased
from contacts.models.agent import AgentKind
from memory.importers.claude_code.files import Discovery, discover
from memory.importers.claude_code.records import Kept
from memory.importers.claude_code.session import SessionReader
from memory.importers.claude_code.store import (
    BATCH_BYTES,
    BATCH_LINES,
    SOURCE,
    Batch,
    SessionStore,
    Stored,
    batches,
)
from memory.importers.claude_code.together import finish_together, write_together
from memory.importers.problems import Code, Finding, Problem
from memory.importers.rows import Entry, Tally
from memory.importers.source import Options
from sessions.models import Session
from sessions.services import transcripts

LINES, SESSIONS = "lines", "sessions"
# Of sessions without any line that could be kept there may be many.
MOST_ENDED = 200


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
        group = _Group()
        for files in self.found.sessions:
            reader = self.reader(files)
            store = SessionStore(files, self.agent, self.source, self.kind)
            for batch in batches(reader):
                if not group.takes(store, batch):
                    yield group.entry()
                    group = _Group()
                group.batches.append((store, batch))
            self.lines += sum(file.lines for file in reader.files)
            group.ended.append((store, reader))
        if group.batches or group.ended:
            yield group.entry()


@dataclass(slots=True)
class _Group:
    """Batches of several sessions' lines, and what is known of those that end with them."""

    batches: list[tuple[SessionStore, Batch]] = field(default_factory=list)
    ended: list[tuple[SessionStore, SessionReader]] = field(default_factory=list)

    def takes(self, store: SessionStore, batch: Batch) -> bool:
        """Whether another batch fits into the transaction. One of each session does."""
        items = [item for _, one in self.batches for item in one.items]
        return len(self.ended) < MOST_ENDED and (
            not items
            or (
                len(items) + len(batch.items) <= BATCH_LINES
                and sum(item.line.length for item in (*items, *batch.items)) <= BATCH_BYTES
                and store.external_id not in {one.external_id for one, _ in self.batches}
            )
        )

    def entry(self) -> Entry:
        store = (*self.batches, *self.ended)[0][0]
        return Entry(LINES, store.files.session_id, work=self)

    def write(self, actor: Actor) -> Tally:
        with self._or_as_before():
            try:
                return self._write(actor)
            except Erased as refusal:
                apart = self._apart()
                if len(apart) == 1:
                    return self._left_out(refusal)
            # One of the sessions was erased here: the others are not to miss for it.
            whole = Tally()
            problems: list[Problem] = []
            for one in apart:
                tally = one.write(actor)
                for table, outcomes in tally.tables.items():
                    whole.tables.setdefault(table, Counter()).update(outcomes)
                whole.made.update(tally.made)
                problems += tally.problems
                whole.redacted += tally.redacted
            whole.problems = problems
            return whole

    @contextlib.contextmanager
    def _or_as_before(self) -> Iterator[list[Stored]]:
        """Stores know nothing of what is rolled back; what they knew before."""
        stores = [store for store, _ in self.batches]
        before = [(store, replace(store.stored), dict(store.threads)) for store in stores]
        try:
            yield [stored for _, stored, _ in before]
        except BaseException:
            for store, stored, threads in before:
                store.stored, store.threads = stored, threads
            raise

    def _write(self, actor: Actor) -> Tally:
        with self._or_as_before() as before, transaction.atomic():
            write_together(actor, self.batches)
            found = [pair for pair in self.ended if pair[0].stored.session_id is not None]
            finish_together(actor, found)
        tally = Tally({LINES: Counter(), SESSIONS: Counter()})
        problems: list[Problem] = []
        for (store, batch), stored in zip(self.batches, before, strict=True):
            after = store.stored
            new = after.lines - stored.lines
            tally.tables[LINES].update(created=new, unchanged=len(batch.items) - new)
            tally.made.update(
                message=after.messages - stored.messages,
                event=after.events - stored.events,
                thread=after.threads - stored.threads,
            )
        for store, reader in self.ended:
            skipped, repeated = _unkept(reader)
            tally.tables[LINES].update(skipped=skipped, unchanged=repeated)
            tally.tables[SESSIONS][_outcome(store)] += 1
            problems += reader.problems
            tally.redacted += reader.redacted
        tally.tables = {table: +outcomes for table, outcomes in tally.tables.items()}
        tally.made, tally.problems = +tally.made, problems
        return tally

    def _apart(self) -> list["_Group"]:
        """A group for each session."""
        groups: dict[str, _Group] = {}
        for pair in self.batches:
            groups.setdefault(pair[0].external_id, _Group()).batches.append(pair)
        for ended in self.ended:
            groups.setdefault(ended[0].external_id, _Group()).ended.append(ended)
        return list(groups.values())

    def _left_out(self, refusal: Erased) -> Tally:
        """Of a session that was erased."""
        lines = sum(len(batch.items) for _, batch in self.batches)
        lines += sum(sum(_unkept(reader)) for _, reader in self.ended)
        store = (*self.batches, *self.ended)[0][0]
        finding = Finding(Code.REFUSED, refusal.detail, "left out")
        tables = {LINES: +Counter(skipped=lines), SESSIONS: +Counter(skipped=len(self.ended))}
        return Tally(tables, problems=[finding.of(SESSIONS, store.files.session_id)])

    def prepare(self, workspace_id: uuid.UUID) -> None:
        for _, batch in self.batches:
            batch.prepare(workspace_id)

    def texts(self) -> Iterator[str]:
        for _, batch in self.batches:
            for item in batch.items:
                # The words of an event in a message's line are found there.
                if item.message is not None:
                    yield item.message.content
                else:
                    yield from (event.text for event in item.events)

    def here(self) -> Tally:
        stores = [store for store, _ in (*self.batches, *self.ended)]
        rows = Session.objects.filter(
            source=stores[0].source, external_id__any_of=[store.external_id for store in stores]
        )
        there = dict(rows.values_list("external_id", "pk"))
        asked = {
            there[store.external_id]: [item.line.key for item in batch.items]
            for store, batch in self.batches
            if store.external_id in there
        }
        known = transcripts.known_line_keys(asked) if asked else set()
        lines = sum((place, key) in known for place, keys in asked.items() for key in keys)
        lines += sum(_unkept(reader)[1] for _, reader in self.ended)
        sessions = sum(store.external_id in there for store, _ in self.ended)
        return Tally({SESSIONS: Counter(unchanged=sessions), LINES: Counter(unchanged=lines)})


def _outcome(store: SessionStore) -> str:
    stored = store.stored
    if stored.session_id is None:
        return "skipped"
    return "created" if stored.is_new else "updated" if stored.added else "unchanged"


def _unkept(reader: SessionReader) -> tuple[int, int]:
    """Lines of which nothing could be kept, and lines that came before."""
    files = reader.files
    unkept = sum(file.lines - file.kept.total() for file in files)
    broken = sum(file.unparsable_lines - file.kept[Kept.BROKEN] for file in files)
    return min(broken, unkept), max(0, unkept - broken)


CLAUDE_CODE = ClaudeCode()
