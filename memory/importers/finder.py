"""What is there of a batch: the rows its drafts are, and the ids of those that they name."""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from config.lib.actor import Actor
from config.lib.scope import current_workspace_id
from contacts.services.agents import ensure_agent
from memory.importers.joined import sources_of
from memory.importers.kinds import Ids
from memory.importers.made import make_row
from memory.importers.planned import SKIPPED, Planned
from memory.importers.problems import Code, Finding
from memory.importers.rows import Model, Ref

# Ids that are remembered of rows written or looked up; beyond this they are looked up again.
MAX_KNOWN = 100_000


class Finder:
    """One run's. A row is known by (source, external_id), or by its natural key."""

    def __init__(self, source: str, actor: Actor) -> None:
        self.source = source
        self.actor = actor
        self.known: Ids = {}
        self.agents: dict[str, uuid.UUID] = {}

    def begin(self) -> None:
        """A new batch."""
        if len(self.known) > MAX_KNOWN:
            self.known.clear()

    def find_keyed(self, model: Model, group: list[Planned]) -> None:
        if not group:
            return
        wanted = list({one.draft.key for one in group})
        there = self._there(model, wanted)
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
            self._take(one, row)
            self.known[model, key] = one.row.pk

    def _there(self, model: Model, keys: list[str]) -> dict[str, Any]:
        """Rows by their keys; this source's own where another one's is there too."""
        sources = sources_of(self.source, model)
        rows = list(model.objects.filter(source__in=sources, external_id__any_of=keys))
        rows.sort(key=lambda row: sources.index(row.source))
        return {row.external_id: row for row in rows}

    def find_natural(self, model: Model, group: list[Planned]) -> None:
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
            self._take(one, row)

    def _take(self, one: Planned, row: Any) -> None:
        """The row that is there, or a new one."""
        one.is_new = row is None
        if row is None:
            if one.draft.made is None:
                one.draft.made = make_row(one.draft, self.source, current_workspace_id())
            row = one.draft.made.row
        one.row = row

    def resolve(self, group: list[Planned]) -> None:
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
            sources = sources_of(self.source, model)
            rows = model.objects.filter(source__in=sources, external_id__any_of=keys)
            named = list(rows.values_list("source", "external_id", "id"))
            for _, key, row_id in sorted(named, key=lambda one: sources.index(one[0])):
                found[model, key] = self.known[model, key] = row_id
        return found


def _natural(one: Planned) -> tuple[Any, ...]:
    values: list[Any] = []
    for name in one.draft.natural:
        plain = name.removesuffix("_id")
        values.append(one.keys[plain] if plain in one.keys else one.draft.values.get(name))
    return tuple(values)
