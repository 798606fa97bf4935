"""Writes entries batch by batch: new rows in bulk, changed ones by what differs, others not at all.

A row that differs from what the source says now is updated only where nobody but imports has
changed it here. Nothing of one row keeps the others from being written. The caller opens the
transaction of each batch.
"""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DataError, IntegrityError, transaction

from config.lib.actor import Actor
from config.lib.db.models import VersionedRow
from config.lib.errors import DomainError, Invalid
from contacts.services import funnel
from memory.importers.appender import Appender
from memory.importers.clean import Cleaner
from memory.importers.finder import Finder
from memory.importers.joined import is_joined, joined_sessions
from memory.importers.kinds import complete, follow, order_of, parts_of, write_new_parts
from memory.importers.made import set_late
from memory.importers.planned import (
    ACTION,
    CREATED,
    SKIPPED,
    UPDATED,
    Planned,
    attname,
    changed_here_of,
    said,
)
from memory.importers.problems import Code, Finding
from memory.importers.report import ImportReport
from memory.importers.rows import Draft, Entry, Model
from memory.importers.settler import Settler
from memory.importers.spool import Spool, Waiting
from sessions.models import Thread


class Writer:
    """One run's. `settle` is called after the last batch."""

    def __init__(self, *, source: str, actor: Actor, spool: Spool, report: ImportReport) -> None:
        self.source = source
        self.actor = actor
        self.report = report
        self.cleaner = Cleaner()
        self.finder = Finder(source, actor)
        self.appender = Appender(self.finder, actor, report)
        self.settler = Settler(self.finder, actor, spool, report)
        # Whether the last batch had new rows.
        self.makes_rows = True

    # --- One batch ------------------------------------------------------------------------

    def write(self, entries: Sequence[Entry]) -> None:
        """Write a batch, cleaned, in the caller's transaction."""
        self.finder.begin()
        groups: dict[Model, list[Planned]] = defaultdict(list)
        for entry in entries:
            for draft in entry.drafts if entry.key.strip() else ():
                groups[draft.model].append(Planned(entry, draft))
        outcomes: dict[int, str] = {}
        for model in sorted(groups, key=order_of):
            self._write_group(model, groups[model])
            for planned in groups[model]:
                if planned.draft is planned.entry.drafts[0]:
                    outcomes[id(planned.entry)] = planned.outcome
        appended = self.appender.append(entries)
        for entry in entries:
            outcome = outcomes.get(id(entry), appended.get(id(entry), SKIPPED))
            self._note(entry, outcome)
        self.report.redacted = self.cleaner.redacted
        self.makes_rows = CREATED in (*outcomes.values(), *appended.values())

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
        keyed = [one for one in group if not one.draft.natural]
        self.finder.find_keyed(model, keyed)
        self.finder.resolve(group)
        self.finder.find_natural(model, [one for one in group if one.draft.natural])
        self._leave_threads(model, group)
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
                self.settler.wait(one)

    def _leave_threads(self, model: Model, group: Sequence[Planned]) -> None:
        """A joined session has threads: it needs none but for what those do not tell."""
        if model is not Thread:
            return
        threads = [one for one in group if "session" in one.draft.refs]
        joined = joined_sessions(self.source, [one.draft.refs["session"].key for one in threads])
        for one in threads:
            if one.draft.refs["session"].key in joined:
                one.outcome = SKIPPED
                if one.is_new:
                    self.finder.known.pop((model, one.draft.key), None)

    def settle(self, waiting: Sequence[Waiting]) -> None:
        """References and links of rows that are all there now, in the caller's transaction."""
        self.settler.settle(waiting)

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
        funnel.create_many(
            rows,
            actor=self.actor,
            action=ACTION,
            parts=parts,
            write_parts=(lambda: write_new_parts(parts)) if parts else None,
        )

    def _insert_one(self, model: Model, one: Planned) -> bool:
        """By itself, where the batch was refused: what points into the batch waits."""
        for name in list(one.keys):
            ref = one.draft.refs.get(name)
            if ref is not None and ref.model is model and name not in one.draft.needed:
                setattr(one.row, attname(model, name), None)
                one.missing[name] = ref
        try:
            with transaction.atomic():
                self._insert([one])
        except (IntegrityError, DataError, DomainError) as error:
            if not self._came_meanwhile(model, one):
                self._refuse(one, said(error))
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
        self.finder.known[model, one.draft.key] = row.pk
        return True

    def _fill(self, model: Model, one: Planned) -> bool:
        """References onto a new row; what of it cannot be stored is left at its default, or the
        row out."""
        row, made = one.row, one.draft.made
        for name, target in one.keys.items():
            setattr(row, attname(model, name), target)
        problems = dict(made.problems) if made is not None else {}
        try:
            complete(row)
            funnel.check(row, only=set_late(model))
        except Invalid as error:
            problems |= error.errors
        return not problems or self._fall_back(model, one, problems)

    def _fall_back(self, model: Model, one: Planned, problems: Mapping[str, str]) -> bool:
        for name, problem in problems.items():
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
        self.finder.known.pop((one.draft.model, one.draft.key), None)
        code = Code.ORPHAN if one.draft.needed & one.missing.keys() else Code.REFUSED
        one.entry.findings.append(Finding(code, reason, "skipped"))

    # --- Rows that are there --------------------------------------------------------------

    def _update(self, one: Planned) -> None:
        row, draft = one.row, one.draft
        if not isinstance(row, VersionedRow) or is_joined(self.source, row):
            return
        changes = _changes(row, draft, one.keys)
        parts = parts_of(row, draft.parts)
        if not changes and all(part.before == part.after for part in parts):
            return
        if changed_here_of([row.pk]):
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
            one.entry.findings.append(Finding(Code.REFUSED, said(error), "left as it is here"))
            return
        one.outcome = UPDATED


def _changes(row: Any, draft: Draft, keys: dict[str, uuid.UUID]) -> dict[str, Any]:
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
        column = attname(draft.model, name)
        if name not in draft.once and getattr(row, column) != target:
            changes[column] = target
    return changes


def _lacks(one: Planned) -> str:
    lost = (
        f"{name} {ref.key!r:.80}" for name, ref in one.missing.items() if name in one.draft.needed
    )
    return f"it belongs to what is not there: {', '.join(lost)}"
