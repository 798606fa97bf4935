"""Messages and events of a batch, those of one thread or session together, each once."""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import DataError, IntegrityError, transaction

from config.lib.actor import Actor
from config.lib.db.models import WorkspaceRow
from config.lib.errors import DomainError
from memory.importers.finder import Finder
from memory.importers.joined import make_places, told
from memory.importers.kinds import Ids
from memory.importers.planned import CREATED, SKIPPED, UNCHANGED, said
from memory.importers.problems import Code, Finding
from memory.importers.report import ImportReport
from memory.importers.rows import Appended, Entry, Ref
from sessions.models import Session
from sessions.services.events import append_to_sessions
from sessions.services.threads import append_to_threads

APPEND_ROWS = 500
# Rows to append, by the thread or session they belong to.
Group = dict[Ref, Sequence[tuple[Entry, Any]]]


class Appender:
    """One run's."""

    def __init__(self, finder: Finder, actor: Actor, report: ImportReport) -> None:
        self.finder = finder
        self.actor = actor
        self.report = report

    def append(self, entries: Sequence[Entry]) -> dict[int, str]:
        """Append those of a batch; outcomes by entry."""
        outcomes: dict[int, str] = {}
        here = told(self.finder.source, entries)
        outcomes |= {id(entry): UNCHANGED for entry in entries if entry.number in here}
        entries = [entry for entry in entries if entry.number not in here]
        found = self._places(entries)
        runs: dict[Ref, list[tuple[Entry, Any]]] = defaultdict(list)
        for entry in entries:
            for appended in entry.appended:
                if (appended.to.model, appended.to.key) not in found:
                    self._no_place(entry, appended)
                    outcomes[id(entry)] = SKIPPED
                    continue
                runs[appended.to] += [(entry, row) for row in appended.rows]
        for group in _groups(runs):
            for entry, outcome in self._append_rows(found, group):
                if outcomes.get(id(entry)) != CREATED:
                    outcomes[id(entry)] = outcome
        return outcomes

    def _places(self, entries: Sequence[Entry]) -> Ids:
        wanted = {one.to: one for entry in entries for one in entry.appended}
        found = self.finder.ids(wanted)
        missing = {
            to.key: one
            for to, one in wanted.items()
            if one.session is not None and (to.model, to.key) not in found
        }
        if missing:
            make_places(self.finder.source, self.actor, missing)
            found |= self.finder.ids([one.to for one in missing.values()])
        return found

    def _no_place(self, entry: Entry, appended: Appended) -> None:
        what = appended.to.model._meta.verbose_name
        reason = f"its {what} {appended.to.key!r:.80} is not there"
        entry.findings.append(Finding(Code.ORPHAN, reason, "skipped"))

    def _append_rows(self, found: Ids, group: Group) -> list[tuple[Entry, str]]:
        """All of a group at once; where that is refused each thread or session by itself, and
        then each row."""
        try:
            with transaction.atomic():
                return self._append_all(found, group)
        except (IntegrityError, DataError, DomainError) as error:
            pairs = [(to, pair) for to, mine in group.items() for pair in mine]
            if len(pairs) == 1:
                entry = pairs[0][1][0]
                entry.findings.append(Finding(Code.REFUSED, said(error), "skipped"))
                return [(entry, SKIPPED)]
        parts: list[Group]
        if len(group) > 1:
            parts = [{to: mine} for to, mine in group.items()]
        else:
            parts = [{to: [pair]} for to, pair in pairs]
        return [done for part in parts for done in self._append_rows(found, part)]

    def _append_all(self, found: Ids, group: Group) -> list[tuple[Entry, str]]:
        given = {found[to.model, to.key]: [row for _, row in mine] for to, mine in group.items()}
        done: Mapping[uuid.UUID, tuple[Sequence[WorkspaceRow], Sequence[WorkspaceRow]]]
        if next(iter(group)).model is Session:
            done, name = append_to_sessions(actor=self.actor, batches=given), "event"
        else:
            done, name = append_to_threads(actor=self.actor, batches=given), "message"
        outcomes: list[tuple[Entry, str]] = []
        for to, mine in group.items():
            rows, new = done[found[to.model, to.key]]
            self.report.rows[name] += len(new)
            ids = {row.pk for row in new}
            outcomes += [
                (entry, CREATED if row.pk in ids else UNCHANGED)
                for (entry, _), row in zip(mine, rows, strict=True)
            ]
        return outcomes


def _groups(runs: Mapping[Ref, Sequence[tuple[Entry, Any]]]) -> Iterator[Group]:
    """Rows to append in groups of one model and at most APPEND_ROWS, those of one thread or session
    in their order."""
    for model in {to.model: None for to in runs}:
        group: Group = {}
        size = 0
        for to, pairs in runs.items():
            for start in range(0, len(pairs) if to.model is model else 0, APPEND_ROWS):
                part = pairs[start : start + APPEND_ROWS]
                if group and size + len(part) > APPEND_ROWS:
                    yield group
                    group, size = {}, 0
                group[to] = part
                size += len(part)
        if group:
            yield group
