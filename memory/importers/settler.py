"""What waits until all rows are there: references to what came later, and links of memories."""

import json
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from config.lib.actor import Actor
from config.lib.db.models import VersionedRow
from config.lib.errors import DomainError
from contacts.services import funnel
from memory.importers.finder import Finder
from memory.importers.planned import ACTION, Planned, attname, changed_here_of
from memory.importers.problems import Code, Finding
from memory.importers.report import ImportReport
from memory.importers.rows import Model, Ref
from memory.importers.spool import Spool, Waiting, packed
from memory.models import MemoryLink

# In the metadata of a link: which run made it.
IMPORT_RUN = "import_run"


class Settler:
    """One run's."""

    def __init__(self, finder: Finder, actor: Actor, spool: Spool, report: ImportReport) -> None:
        self.finder = finder
        self.actor = actor
        self.spool = spool
        self.report = report
        self.labels: dict[str, Model] = {}

    def wait(self, one: Planned) -> None:
        """References that were not there yet, and links, for `settle`."""
        draft, label = one.draft, one.draft.model._meta.label_lower
        self.labels[label] = draft.model
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
        found = self.finder.ids({Ref(self.labels[one.to_model], one.target) for one in waiting})
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
            rows: list[Any] = []
            wanted: dict[uuid.UUID, dict[str, Any]] = {}
            for row in self.labels[label].objects.filter(pk__in=ids):
                place = (label, row.pk)
                if row.pk not in touched:
                    lacks = _lacking(row, changes.get(place, {}), dangling.get(place, {}))
                    if lacks:
                        rows.append(row)
                        wanted[row.pk] = lacks
            self._settle_rows(rows, wanted)

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
        # Append-only rows are their own history.
        funnel.append(new, actor=self.actor)
        self.report.rows["link"] += len(new)

    def _settle_rows(
        self, rows: Sequence[Any], changes: Mapping[uuid.UUID, Mapping[str, Any]]
    ) -> None:
        """All at once; where that is refused, each by itself, and what is refused then is left."""
        try:
            with transaction.atomic():
                funnel.update_many(rows, changes, actor=self.actor, action=ACTION)
        except (IntegrityError, DomainError):
            model = type(rows[0])
            if len(rows) > 1:
                for row in model.objects.filter(pk__in=changes):
                    self._settle_rows([row], changes)


def _lacking(
    row: Any, keys: Mapping[str, uuid.UUID], dangling: Mapping[str, list[str]]
) -> dict[str, Any]:
    """What a row lacks of the references that wait for it, by attribute."""
    model: Model = type(row)
    changes: dict[str, Any] = {}
    for name, target in keys.items():
        column = attname(model, name)
        if getattr(row, column) is None and target != row.pk:
            changes[column] = target
    if dangling and isinstance(row, VersionedRow):
        held = row.metadata.get("dangling") or {}
        merged = {
            name: list(dict.fromkeys([*held.get(name, []), *values]))
            for name, values in dangling.items()
        }
        metadata = {**row.metadata, "dangling": {**held, **merged}}
        if metadata != row.metadata:
            changes["metadata"] = metadata
    return changes
