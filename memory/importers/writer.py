"""Writes entries batch by batch: new rows in bulk, changed ones by what differs, others not at all.

A row is known by (source, external_id), or by its natural key. One that differs from what the
source says now is updated only where nobody but imports has changed it here. Nothing of one row
keeps the others from being written. The caller opens the transaction of each batch.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DataError, IntegrityError, models, transaction

from config.lib.actor import Actor
from config.lib.db.models import SourcedRow, VersionedRow, WorkspaceRow
from config.lib.errors import Conflict, DomainError, Invalid
from config.lib.ids import new_id
from contacts.models import Revision
from contacts.services import funnel
from contacts.services.agents import ensure_agent
from contacts.services.funnel import Part
from memory.importers.clean import Cleaner
from memory.importers.kinds import Ids, follow, order_of, parts_of, prepare
from memory.importers.problems import Code, Finding
from memory.importers.report import ImportReport
from memory.importers.rows import Appended, Draft, Entry, Model, Ref
from memory.importers.spool import Spool, Waiting, packed
from memory.models import MemoryLink
from sessions.models import Session
from sessions.services.events import append_to_sessions
from sessions.services.threads import append_to_threads

APPEND_ROWS = 500
# Ids that are remembered of rows written or looked up; beyond this they are looked up again.
MAX_KNOWN = 100_000
CREATED, UPDATED, UNCHANGED, SKIPPED = "created", "updated", "unchanged", "skipped"
ACTION = "import"
# In the metadata of a link: which run made it.
IMPORT_RUN = "import_run"
# Rows to append, by the thread or session they belong to.
Group = dict[Ref, Sequence[tuple[Entry, Any]]]


@dataclass(slots=True)
class Planned:
    """A draft on its way: the row it is or becomes, and its references that are resolved."""

    entry: Entry
    draft: Draft
    row: Any = None
    is_new: bool = False
    keys: dict[str, uuid.UUID] = field(default_factory=dict)
    missing: dict[str, Ref] = field(default_factory=dict)
    outcome: str = UNCHANGED


class Writer:
    """One run's. `finish` is called after the last batch."""

    def __init__(self, *, source: str, actor: Actor, spool: Spool, report: ImportReport) -> None:
        self.source = source
        self.actor = actor
        self.spool = spool
        self.report = report
        self.cleaner = Cleaner()
        self.known: Ids = {}
        self.labels: dict[str, Model] = {}
        self.agents: dict[str, uuid.UUID] = {}

    # --- One batch ------------------------------------------------------------------------

    def write(self, entries: Sequence[Entry]) -> None:
        """Write a batch, cleaned, in the caller's transaction."""
        if len(self.known) > MAX_KNOWN:
            self.known.clear()
        groups: dict[Model, list[Planned]] = defaultdict(list)
        for entry in entries:
            for draft in entry.drafts:
                groups[draft.model].append(Planned(entry, draft))
        outcomes: dict[int, str] = {}
        for model in sorted(groups, key=order_of):
            self._write_group(model, groups[model])
            for planned in groups[model]:
                if planned.draft is planned.entry.drafts[0]:
                    outcomes[id(planned.entry)] = planned.outcome
        appended = self._append(entries)
        for entry in entries:
            outcome = outcomes.get(id(entry), appended.get(id(entry), SKIPPED))
            self._note(entry, outcome)
        self.report.redacted = self.cleaner.redacted

    def _note(self, entry: Entry, outcome: str) -> None:
        self.report.table(entry.table).note(outcome)
        if outcome == SKIPPED:
            self.report.left_out.add(entry.number)
        for draft in entry.drafts[:1]:
            for table, rows in draft.also.items():
                self.report.table(table).note(outcome, rows)
        for finding in entry.findings:
            self.report.problems.add(finding.of(entry.table, entry.key))

    def _write_group(self, model: Model, group: list[Planned]) -> None:
        self.labels[model._meta.label_lower] = model
        keyed = [one for one in group if not one.draft.natural]
        self._find_keyed(model, keyed)
        self._resolve(group)
        self._find_natural(model, [one for one in group if one.draft.natural])
        for one in group:
            if one.outcome != SKIPPED and one.draft.needed & one.missing.keys():
                self._refuse(one, _lacks(one))
        new = [one for one in group if one.is_new and one.outcome != SKIPPED]
        self._create(model, new)
        for one in group:
            if not one.is_new and one.outcome != SKIPPED and one.row is not None:
                self._update(one)
        for one in group:
            if one.outcome != SKIPPED:
                self._wait(one)

    # --- What is there --------------------------------------------------------------------

    def _find_keyed(self, model: Model, group: list[Planned]) -> None:
        if not group:
            return
        wanted = list({one.draft.key for one in group})
        rows = model.objects.filter(source=self.source, external_id__any_of=wanted)
        there = {row.external_id: row for row in rows}
        first: dict[str, Planned] = {}
        for one in group:
            key = one.draft.key
            if key in first:
                one.row = first[key].row
                if one.draft is one.entry.drafts[0]:
                    one.outcome = SKIPPED
                    one.entry.findings.append(
                        Finding(Code.DUPLICATE, "its id has come before", "the first one stands")
                    )
                continue
            first[key] = one
            row = there.get(key)
            one.is_new = row is None
            one.row = row if row is not None else model(id=new_id())
            self.known[model, key] = one.row.pk

    def _find_natural(self, model: Model, group: list[Planned]) -> None:
        if not group:
            return
        first: dict[tuple[Any, ...], Planned] = {}
        names = group[0].draft.natural
        narrow = names[-1]
        values = [_natural(one)[-1] for one in group]
        rows = model.objects.filter(**{f"{narrow}__in": values})
        there = {tuple(getattr(row, name) for name in names): row for row in rows}
        for one in group:
            identity = _natural(one)
            if identity in first:
                one.outcome = SKIPPED
                one.entry.findings.append(
                    Finding(Code.DUPLICATE, "the same has come before", "the first one stands")
                )
                continue
            first[identity] = one
            row = there.get(identity)
            one.is_new = row is None
            one.row = row if row is not None else model(id=new_id())

    def _resolve(self, group: list[Planned]) -> None:
        refs = {ref for one in group for ref in one.draft.refs.values()}
        found = self.ids(refs)
        for one in group:
            if one.draft.agent:
                one.keys["agent"] = self._agent(one.draft.agent)
            for name, ref in one.draft.refs.items():
                target = found.get((ref.model, ref.key))
                if target is None:
                    one.missing[name] = ref
                else:
                    one.keys[name] = target

    def _agent(self, name: str) -> uuid.UUID:
        if name not in self.agents:
            self.agents[name] = ensure_agent(actor=self.actor, name=name[:120]).id
        return self.agents[name]

    def ids(self, refs: Iterable[Ref]) -> Ids:
        """The ids of those that are there, or made in this batch. A query for each model."""
        found: Ids = {}
        asked: dict[Model, list[str]] = defaultdict(list)
        for ref in refs:
            known = self.known.get((ref.model, ref.key))
            if known is None:
                asked[ref.model].append(ref.key)
            else:
                found[ref.model, ref.key] = known
        for model, keys in asked.items():
            rows = model.objects.filter(source=self.source, external_id__any_of=keys)
            for key, row_id in rows.values_list("external_id", "id"):
                found[model, key] = self.known[model, key] = row_id
        return found

    # --- New rows -------------------------------------------------------------------------

    def _create(self, model: Model, new: list[Planned]) -> None:
        fit = [one for one in new if self._fill(model, one)]
        if not fit:
            return
        try:
            with transaction.atomic():
                self._insert(fit)
            made = fit
        except (IntegrityError, DataError, DomainError):
            made = [one for one in fit if self._insert_one(model, one)]
        for one in made:
            one.outcome = CREATED
        self.report.rows[str(model._meta.verbose_name)] += len(made)

    def _insert(self, group: Sequence[Planned]) -> None:
        parts = {one.row.pk: parts_of(one.row, one.draft.parts) for one in group if one.draft.parts}
        rows = [one.row for one in group]
        funnel.create_many(rows, actor=self.actor, action=ACTION, parts=parts)

    def _insert_one(self, model: Model, one: Planned) -> bool:
        """By itself, where the batch was refused: what points into the batch waits."""
        for name in list(one.keys):
            ref = one.draft.refs.get(name)
            if ref is not None and ref.model is model and name not in one.draft.needed:
                setattr(one.row, _attname(model, name), None)
                one.missing[name] = ref
        try:
            with transaction.atomic():
                self._insert([one])
        except (IntegrityError, DataError, DomainError) as error:
            if not self._came_meanwhile(model, one):
                self._refuse(one, _said(error))
            return False
        return True

    def _came_meanwhile(self, model: Model, one: Planned) -> bool:
        """Whether another run of the same source has written it since it was looked for."""
        if one.draft.natural:
            return False
        row = model.objects.filter(source=self.source, external_id=one.draft.key).first()
        if row is None:
            return False
        one.row, one.is_new = row, False
        self.known[model, one.draft.key] = row.pk
        return True

    def _fill(self, model: Model, one: Planned) -> bool:
        """Values onto a new row; what cannot be stored is left at its default, or the row out."""
        row = one.row
        if isinstance(row, SourcedRow):
            row.source, row.external_id = self.source, one.draft.key
        for name, value in one.draft.values.items():
            setattr(row, name, value)
        for name, target in one.keys.items():
            setattr(row, _attname(model, name), target)
        try:
            prepare(row)
            funnel.check(row)
        except Invalid as error:
            return self._fall_back(model, one, error)
        return True

    def _fall_back(self, model: Model, one: Planned, error: Invalid) -> bool:
        for name, problem in error.errors.items():
            plain = name.split(".")[0].split("[")[0]
            found: Any = model._meta.get_field(plain)
            given = one.draft.values.get(plain)
            if found.has_default() or found.null or (found.blank and found.empty_strings_allowed):
                setattr(one.row, found.attname, found.get_default())
                one.draft.values.pop(plain, None)
                one.entry.findings.append(
                    Finding(Code.BAD_FIELD, f"{name} {problem}: {given!r:.60}", "left out")
                )
            else:
                self._refuse(one, f"{name} {problem}")
                return False
        try:
            funnel.check(one.row)
        except Invalid as again:
            self._refuse(one, "; ".join(f"{n} {p}" for n, p in again.errors.items()))
            return False
        return True

    def _refuse(self, one: Planned, reason: str) -> None:
        one.outcome = SKIPPED
        self.known.pop((one.draft.model, one.draft.key), None)
        code = Code.ORPHAN if one.draft.needed & one.missing.keys() else Code.REFUSED
        one.entry.findings.append(Finding(code, reason, "skipped"))

    # --- Rows that are there --------------------------------------------------------------

    def _update(self, one: Planned) -> None:
        row, draft = one.row, one.draft
        if not isinstance(row, VersionedRow):
            return
        changes = self.changes(row, draft, one.keys)
        parts = parts_of(row, draft.parts)
        if not changes and all(part.before == part.after for part in parts):
            return
        if changed_here(row):
            one.entry.findings.append(
                Finding(
                    Code.CHANGED_HERE,
                    f"{', '.join(sorted(changes)) or 'its parts'} differ, and it was changed here",
                    "left as it is here",
                )
            )
            return
        try:
            with transaction.atomic():
                changed = follow(draft.model, changes)
                funnel.update(row, changed, actor=self.actor, action=ACTION, parts=parts)
        except (IntegrityError, DataError, DomainError) as error:
            one.entry.findings.append(Finding(Code.REFUSED, _said(error), "left as it is here"))
            return
        one.outcome = UPDATED

    def changes(self, row: Any, draft: Draft, keys: dict[str, uuid.UUID]) -> dict[str, Any]:
        """What a row lacks of its draft, by attribute."""
        changes: dict[str, Any] = {}
        for name, value in draft.values.items():
            if name in draft.once:
                continue
            now = getattr(row, name)
            if name == "metadata":
                value = {**now, **value}
            if now != value:
                changes[name] = value
        for name, target in keys.items():
            attname = _attname(draft.model, name)
            if name not in draft.once and getattr(row, attname) != target:
                changes[attname] = target
        return changes

    # --- Appended rows --------------------------------------------------------------------

    def _append(self, entries: Sequence[Entry]) -> dict[int, str]:
        """Messages and events, those of one thread or session together; outcomes by entry."""
        outcomes: dict[int, str] = {}
        found = self.ids({one.to for entry in entries for one in entry.appended})
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
                entry.findings.append(Finding(Code.REFUSED, _said(error), "skipped"))
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

    # --- What waits -----------------------------------------------------------------------

    def _wait(self, one: Planned) -> None:
        """References that were not there yet, and links, for `finish`."""
        draft, label = one.draft, one.draft.model._meta.label_lower
        place = (one.entry.table, one.entry.key)
        for name, ref in one.missing.items():
            to = ref.model._meta.label_lower
            self.labels[to] = ref.model
            self.spool.add(Waiting(label, one.row.pk, *place, name, name, "", to, ref.key))
        for link in draft.links:
            self.spool.add(
                Waiting(
                    label, one.row.pk, *place, link.label, "", link.relation, label, link.target,
                    packed(link.metadata),
                )
            )  # fmt: skip

    def settle(self, waiting: Sequence[Waiting]) -> None:
        """References and links of rows that are all there now, in the caller's transaction. What
        points at nothing is reported, and kept as text in the row's metadata."""
        found = self.ids({Ref(self.labels[one.to_model], one.target) for one in waiting})
        links: dict[tuple[uuid.UUID, str, uuid.UUID], Waiting] = {}
        changes: dict[tuple[str, uuid.UUID], dict[str, uuid.UUID]] = defaultdict(dict)
        dangling: dict[tuple[str, uuid.UUID], dict[str, list[str]]] = defaultdict(dict)
        for one in waiting:
            target = found.get((self.labels[one.to_model], one.target))
            if target is None:
                dangling[one.model, one.row_id].setdefault(one.label, []).append(one.target)
                what = self.labels[one.to_model]._meta.verbose_name
                finding = Finding(
                    Code.DANGLING,
                    f"{one.label} names {one.target!r:.80}, a {what} that is not there",
                    "kept as text in metadata",
                )
                self.report.problems.add(finding.of(one.table, one.key))
            elif one.relation:
                if target != one.row_id:
                    links.setdefault((one.row_id, one.relation, target), one)
            else:
                changes[one.model, one.row_id][one.field] = target
        self._link(links)
        by_model: dict[str, list[uuid.UUID]] = defaultdict(list)
        for label, row_id in dict.fromkeys([*changes, *dangling]):
            by_model[label].append(row_id)
        for label, ids in by_model.items():
            touched = changed_here_of(ids)
            for row in self.labels[label].objects.filter(pk__in=ids):
                place = (label, row.pk)
                if row.pk not in touched:
                    self._settle_row(row, changes.get(place, {}), dangling.get(place, {}))

    def _link(self, links: dict[tuple[uuid.UUID, str, uuid.UUID], Waiting]) -> None:
        sources = list({source for source, _, _ in links})
        rows = MemoryLink.objects.filter(source__in=sources)
        there = set(rows.values_list("source_id", "relation", "target_id"))
        new = [
            MemoryLink(
                source_id=source,
                relation=relation,
                target_id=target,
                metadata={
                    **(json.loads(one.metadata) if one.metadata else {}),
                    IMPORT_RUN: self.report.run_id,
                },
            )
            for (source, relation, target), one in links.items()
            if (source, relation, target) not in there
        ]
        # The Revision of the memory's creation names them.
        funnel.append(new, actor=self.actor, checked=True)
        self.report.rows["link"] += len(new)

    def _settle_row(
        self, row: Any, keys: dict[str, uuid.UUID], dangling: dict[str, list[str]]
    ) -> None:
        changes: dict[str, Any] = {}
        for name, target in keys.items():
            attname = _attname(type(row), name)
            if getattr(row, attname) is None and target != row.pk:
                changes[attname] = target
        if dangling and isinstance(row, VersionedRow):
            held = row.metadata.get("dangling") or {}
            merged = {
                name: list(dict.fromkeys([*held.get(name, []), *values]))
                for name, values in dangling.items()
            }
            metadata = {**row.metadata, "dangling": {**held, **merged}}
            if metadata != row.metadata:
                changes["metadata"] = metadata
        if changes:
            try:
                with transaction.atomic():
                    funnel.update(row, changes, actor=self.actor, action=ACTION)
            except (IntegrityError, DomainError):
                return


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


def _linked(draft: Draft) -> Sequence[Part]:
    """A memory's links as the Revision of its creation keeps them: by the source's keys."""
    named = [{"relation": one.relation, "target": one.target} for one in draft.links]
    return [Part("links", [], named, lambda: None)] if named else ()


def changed_here(row: WorkspaceRow) -> bool:
    """Whether anybody but an import changed a row."""
    return bool(changed_here_of([row.pk]))


def changed_here_of(ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Which rows anybody but an import changed. Index revision_object."""
    others = Revision.objects.filter(object_id__any_of=ids).exclude(actor_kind="import")
    return set(others.values_list("object_id", flat=True))


def _natural(one: Planned) -> tuple[Any, ...]:
    values: list[Any] = []
    for name in one.draft.natural:
        plain = name.removesuffix("_id")
        values.append(one.keys[plain] if plain in one.keys else one.draft.values.get(name))
    return tuple(values)


def _lacks(one: Planned) -> str:
    lost = (
        f"{name} {ref.key!r:.80}" for name, ref in one.missing.items() if name in one.draft.needed
    )
    return f"it belongs to what is not there: {', '.join(lost)}"


def _attname(model: Model, name: str) -> str:
    found: models.Field[Any, Any] = model._meta.get_field(name)  # type: ignore[assignment]
    return str(found.attname)


def _said(error: Exception) -> str:
    """Why the database or a service refused, in one line."""
    if isinstance(error, Invalid):
        return "; ".join(f"{name} {text}" for name, text in error.errors.items())
    if isinstance(error, (Conflict, DomainError)):
        return error.detail
    return str(error).strip().splitlines()[0][:300]
