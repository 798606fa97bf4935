"""Whether an import adds up: the source is read once more, and looked for here.

What is here is counted table by table, and a sample of rows is compared field by field. Rows that
somebody changed here since are no difference.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from config.lib.db.models import WorkspaceRow
from memory.importers.clean import Cleaner
from memory.importers.joined import is_joined, sources_of, told
from memory.importers.keys import with_fitted_keys
from memory.importers.planned import changed_here_of
from memory.importers.report import Checked, ImportReport, TableCount
from memory.importers.rows import Appended, Draft, Entry, Model, Ref, Tally
from memory.importers.source import Reading, Source
from memory.importers.values import short
from sessions.models import Message, SessionEvent, Thread
from sessions.services.events import NewEvent

MAX_DIFFERENCES = 100
BATCH = 500
MAX_IDS = 50_000
# A message of a thread, or an event of a session, by its own key.
Key = tuple[Model, uuid.UUID | None, str]
Step = Callable[[], AbstractContextManager[None]]


def check(
    source: Source,
    reading: Reading,
    report: ImportReport,
    step: Step,
    since: datetime | None,
    sample: int,
) -> Checked:
    """What verification finds. `step` opens a transaction of the workspace."""
    checker = _Checker(source.name, report, since, sample)
    batch: list[Entry] = []
    for entry in numbered(reading.entries()):
        if entry.work is not None:
            with step():
                checker.note(entry.work.here())
            continue
        batch.append(entry)
        if len(batch) == BATCH:
            with step():
                checker.look_at(batch)
            batch = []
    if batch:
        with step():
            checker.look_at(batch)
    return checker.result()


def numbered(entries: Iterator[Entry]) -> Iterator[Entry]:
    """Entries with their place in the source, the same each time it is read, and with keys that
    can be stored."""
    for number, entry in enumerate(entries, 1):
        entry.number = number
        yield entry if entry.work is not None else with_fitted_keys(entry)


class _Checker:
    def __init__(
        self, source: str, report: ImportReport, since: datetime | None, sample: int
    ) -> None:
        self.source = source
        self.report = report
        self.since = since
        self.checked = Checked()
        self.here: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        self.strides = {
            table: max(1, count.total // sample) if sample else 0
            for table, count in report.tables.items()
        }
        self.cleaner = Cleaner()
        self.ids: dict[Ref, uuid.UUID | None] = {}

    def result(self) -> Checked:
        checked = self.checked
        sums = []
        for table, count in sorted(self.report.tables.items()):
            here = self.here.get(table, 0)
            checked.tables[table] = {
                "total": count.total, "here": here, "skipped": count.skipped, "older": count.older,
            }  # fmt: skip
            if problem := _sum_problem(count, here):
                sums.append(f"{table}: {problem}")
        checked.differences[:0] = sums
        return checked

    def _differs(self, text: str) -> None:
        if len(self.checked.differences) < MAX_DIFFERENCES:
            self.checked.differences.append(text)

    def note(self, tally: Tally) -> None:
        for table, outcomes in tally.tables.items():
            self.here[table] = self.here.get(table, 0) + outcomes.total()

    def look_at(self, entries: Sequence[Entry]) -> None:
        wanted = [
            entry
            for entry in entries
            if entry.number not in self.report.left_out
            and not (self.since is not None and entry.at is not None and entry.at < self.since)
        ]
        self._look_up(wanted)
        rows = self._rows(wanted)
        appended = self._appended(wanted)
        here = told(self.source, wanted)
        compared: list[tuple[Entry, uuid.UUID]] = []
        for entry in wanted:
            self.seen[entry.table] = seen = self.seen.get(entry.table, 0) + 1
            if entry.drafts:
                draft = entry.drafts[0]
                row_id = rows.get((draft.model, self._identity(draft)))
                if row_id is None:
                    continue
                self._count(entry.table, draft)
                stride = self.strides.get(entry.table, 1)
                if stride and seen % stride == 0:
                    compared.append((entry, row_id))
            elif entry.number in here or (
                entry.appended and all(self._keys(one) <= appended for one in entry.appended)
            ):
                self.here[entry.table] = self.here.get(entry.table, 0) + 1
        self._compare_all(compared)

    def _count(self, table: str, draft: Draft) -> None:
        self.here[table] = self.here.get(table, 0) + 1
        for other, rows in draft.also.items():
            self.here[other] = self.here.get(other, 0) + rows

    # --- Looking up -----------------------------------------------------------------------

    def _identity(self, draft: Draft) -> Any:
        if not draft.natural:
            return draft.key
        values = []
        for name in draft.natural:
            ref = draft.refs.get(name.removesuffix("_id"))
            values.append(draft.values.get(name) if ref is None else self.ids[ref])
        return tuple(values)

    def _rows(self, entries: Sequence[Entry]) -> dict[tuple[Model, Any], uuid.UUID]:
        by_model: dict[Model, list[Draft]] = {}
        for entry in entries:
            for draft in entry.drafts[:1]:
                by_model.setdefault(draft.model, []).append(draft)
        found: dict[tuple[Model, Any], uuid.UUID] = {}
        for model, drafts in by_model.items():
            keys = [draft.key for draft in drafts if not draft.natural]
            if keys:
                found |= {(model, key): pk for key, pk in self._by_key(model, keys).items()}
            natural = [draft for draft in drafts if draft.natural]
            if natural:
                names = natural[0].natural
                values = [self._identity(draft)[-1] for draft in natural]
                there = model.objects.filter(**{f"{names[-1]}__in": values})
                for pk, *identity in there.values_list("pk", *names):
                    found[model, tuple(identity)] = pk
        return found

    def _look_up(self, entries: Sequence[Entry]) -> None:
        """The ids of all that a batch refers to. A query for each model."""
        if len(self.ids) > MAX_IDS:
            self.ids.clear()
        refs = {ref for entry in entries for one in entry.drafts[:1] for ref in one.refs.values()}
        refs |= {one.to for entry in entries for one in entry.appended}
        asked: dict[Model, list[str]] = {}
        for ref in refs - self.ids.keys():
            self.ids[ref] = None
            asked.setdefault(ref.model, []).append(ref.key)
        for model, keys in asked.items():
            for key, pk in self._by_key(model, keys).items():
                self.ids[Ref(model, key)] = pk

    def _by_key(self, model: Model, keys: list[str]) -> dict[str, uuid.UUID]:
        sources = sources_of(self.source, model)
        there: Any = model.objects.filter(source__in=sources, external_id__any_of=keys)
        named = list(there.values_list("source", "external_id", "pk"))
        return {key: pk for _, key, pk in sorted(named, key=lambda one: sources.index(one[0]))}

    def _appended(self, entries: Sequence[Entry]) -> set[Key]:
        """Which of the messages and events are there."""
        asked = {
            key
            for entry in entries
            if not entry.drafts
            for appended in entry.appended
            for key in self._keys(appended)
        }
        events = [key for key in asked if key[0] is SessionEvent]
        found: set[Key] = set()
        if events:
            rows = SessionEvent.objects.filter(
                session_id__in={where for _, where, _ in events},
                dedupe_key__any_of=[key for _, _, key in events],
            )
            there = rows.values_list("session_id", "dedupe_key")
            found.update((SessionEvent, where, key) for where, key in there)
        return found | self._messages([key for key in asked if key[0] is Message])

    def _messages(self, asked: Sequence[Key]) -> set[Key]:
        """By the session, as they are appended: what was in another thread of it stays there."""
        if not asked:
            return set()
        threads = Thread.objects.filter(pk__in={where for _, where, _ in asked})
        session_of = dict(threads.values_list("pk", "session_id"))
        rows = Message.objects.filter(
            session_id__in=set(session_of.values()), native_uuid__any_of=[k for _, _, k in asked]
        )
        there = set(rows.values_list("session_id", "native_uuid"))
        return {one for one in asked if (session_of.get(one[1]), one[2]) in there}

    def _keys(self, appended: Appended) -> set[Key]:
        target = self.ids[appended.to]
        return {
            (SessionEvent, target, row.dedupe_key)
            if isinstance(row, NewEvent)
            else (Message, target, row.native_uuid)
            for row in appended.rows
        }

    # --- Comparing ------------------------------------------------------------------------

    def _compare_all(self, compared: Sequence[tuple[Entry, uuid.UUID]]) -> None:
        by_model: dict[Model, list[uuid.UUID]] = {}
        for entry, row_id in compared:
            by_model.setdefault(entry.drafts[0].model, []).append(row_id)
        rows = {row.pk: row for model, ids in by_model.items() for row in _fetched(model, ids)}
        wrong = {
            row_id: problems
            for entry, row_id in compared
            if (problems := self._problems(entry, rows[row_id]))
        }
        touched = changed_here_of(list(wrong)) if wrong else set()
        for entry, row_id in compared:
            if row_id in wrong and row_id not in touched:
                self._differs(f"{entry.table} {entry.key}: {'; '.join(wrong[row_id])}")

    def _problems(self, entry: Entry, row: Any) -> list[str]:
        self.cleaner.clean(entry)
        draft = entry.drafts[0]
        self.checked.compared += 1
        wrong: list[str] = []
        if is_joined(self.source, row):
            return wrong
        for name, value in draft.values.items():
            if name in draft.once:
                continue
            now = getattr(row, name)
            if name == "metadata":
                now = {key: now.get(key) for key in value}
            if now != value:
                wrong.append(f"{name} is {short(now)}, not {short(value)}")
        for name, ref in draft.refs.items():
            now = getattr(row, f"{name}_id")
            wanted = self.ids[ref]
            if wanted is not None and now != wanted:
                wrong.append(f"{name} does not lead to {ref.key!r:.60}")
        return wrong


def _fetched(model: Model, ids: Sequence[uuid.UUID]) -> Iterable[WorkspaceRow]:
    return model.objects.filter(pk__in=ids)


def _sum_problem(count: TableCount, here: int) -> str:
    if count.read != count.total:
        return f"{count.total:,} rows in the source, {count.read:,} read"
    wanted = count.total - count.skipped - count.older
    if here != wanted:
        return f"{wanted:,} rows should be here, {here:,} are"
    return ""
