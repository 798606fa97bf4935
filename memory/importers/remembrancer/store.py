"""Writes exported rows as they were, batch by batch, and what they refer to once it is there."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, models, transaction

from config.lib.actor import Actor
from config.lib.db.models import VersionedRow
from config.lib.errors import Erased, Invalid
from config.lib.redact import redact, taken_out
from contacts.models import Agent, Contact, Tag
from contacts.services import funnel
from memory.exports.kinds import Model, fields, keys, kind_of
from memory.exports.ndjson import dumped_row
from memory.importers.problems import Code, Finding, Problem
from memory.importers.rows import Tally
from memory.models import Memory
from memory.services import passages
from sessions.models import Message, Project, Session, SessionEvent, Task

Id = tuple[Model, uuid.UUID]
# What an empty workspace may have already, and is the same by this name.
_NAMED: Mapping[Model, str] = {Agent: "name", Tag: "name"}
_INDEXED: Mapping[Model, Callable[[Any, Actor], None]] = {
    Contact: passages.index_contacts,
    Memory: passages.index_memories,
    Message: passages.index_messages,
    Project: passages.index_projects,
    Session: passages.index_sessions,
    SessionEvent: passages.index_events,
    Task: passages.index_tasks,
}


class Store:
    """What is known during one reading: `same` are rows that are here under another id, `later`
    references to rows that had not come yet."""

    def __init__(self, *, keep_ids: bool) -> None:
        self.keep_ids = keep_ids
        self.same: dict[Id, uuid.UUID] = {}
        self.later: list[tuple[Model, uuid.UUID, str, uuid.UUID]] = []

    def last(self) -> "Last":
        return Last(self)


class Batch:
    """Rows of one kind. Secrets are taken out of them as of all that is imported, but for ids that
    are kept: those rows are as they were, since their history is, whose seals say so."""

    def __init__(self, store: Store, model: Model, found: Sequence[dict[str, Any]]) -> None:
        self.store = store
        self.model = model
        self.found = found
        self.problems: list[Problem] = []
        self.redacted = 0

    def write(self, actor: Actor) -> Tally:
        self.problems = []
        self.redacted = 0
        outcomes: Counter[str] = Counter()
        rows = [row for values in self.found if (row := self._row(values)) is not None]
        outcomes["skipped"] += len(self.found) - len(rows)
        self._find_same(rows)
        there = self._there([row.pk for row in rows])
        new = []
        for row in rows:
            known = there.get(self.store.same.get((self.model, row.pk), row.pk))
            if known is None:
                new.append(row)
                continue
            outcomes["unchanged"] += 1
            self._compare(row, known)
        fit = [row for row in new if self._resolve(row, new)]
        made = self._insert(fit, actor)
        outcomes["created"] += len(made)
        outcomes["skipped"] += len(new) - len(made)
        if made and self.model in _INDEXED:
            _INDEXED[self.model](made, actor)
        named = str(self.model._meta.verbose_name)
        return Tally(
            {kind_of(self.model): +outcomes},
            +Counter({named: len(made)}),
            problems=self.problems,
            redacted=self.redacted,
        )

    def prepare(self, workspace_id: uuid.UUID) -> None:
        pass

    def texts(self) -> Iterable[str]:
        return ()

    def here(self) -> Tally:
        ids = []
        for values in self.found:
            row = self._row(values)
            if row is not None:
                ids.append(self.store.same.get((self.model, row.pk), row.pk))
                if self.model in _NAMED:
                    self._find_same([row])
                    ids[-1] = self.store.same.get((self.model, row.pk), row.pk)
        there = self.model.objects.filter(pk__in=ids).count()
        return Tally({kind_of(self.model): Counter(unchanged=there)})

    # --- From a line to a row -------------------------------------------------------------

    def _row(self, values: Mapping[str, Any]) -> Any:
        """A row that is not stored yet; None where one of its values can be none of ours."""
        try:
            clean = values if self.store.keep_ids else redact(values)
            row = self.model(
                **{
                    field.attname: _value(field, clean[field.attname])
                    for field in fields(self.model)
                    if field.attname in clean
                }
            )
            taken = taken_out(values, clean) + self._check(row)
        except (ValidationError, ValueError, TypeError, AttributeError) as error:
            self._find(values.get("id", ""), Code.REFUSED, str(error)[:200], "skipped")
            return None
        except Invalid as error:
            self._find(values.get("id", ""), Code.REFUSED, error.detail[:200], "skipped")
            return None
        if taken:
            self.redacted += taken
            what = "1 secret" if taken == 1 else f"{taken:,} secrets"
            self._find(row.pk, Code.REDACTED, what, "redacted")
        return row

    def _check(self, row: Any) -> int:
        """Whether it can be stored, and how many more secrets that took out. What must not be empty
        was so where it comes from."""
        held = dict(row.__dict__)
        try:
            funnel.check(row)
        except Invalid as error:
            left = {n: text for n, text in error.errors.items() if text != funnel.EMPTY}
            if left:
                raise Invalid(left) from None
        changed = {n: value for n, value in held.items() if row.__dict__[n] is not value}
        if not self.store.keep_ids:
            return sum(taken_out(value, row.__dict__[n]) for n, value in changed.items())
        row.__dict__.update(changed)
        return 0

    def _find(self, key: Any, code: Code, reason: str, action: str) -> None:
        self.problems.append(Finding(code, reason, action).of(kind_of(self.model), str(key)))

    # --- What is there --------------------------------------------------------------------

    def _there(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Any]:
        wanted = [self.store.same.get((self.model, one), one) for one in ids]
        return {row.pk: row for row in self.model.objects.filter(pk__in=wanted).defer(None)}

    def _find_same(self, rows: Sequence[Any]) -> None:
        name = _NAMED.get(self.model)
        if name is None:
            return
        names = {getattr(row, name): row.pk for row in rows}
        for pk, found in self.model.objects.filter(**{f"{name}__in": list(names)}).values_list(
            "pk", name
        ):
            if names[found] != pk:
                self.store.same[self.model, names[found]] = pk

    def _compare(self, row: Any, known: Any) -> None:
        for key in keys(self.model):
            target = getattr(row, key.attname)
            if target is None:
                continue
            target = self.store.same.get((key.related_model, target), target)
            setattr(row, key.attname, target)
            if getattr(known, key.attname) is None:
                self.store.later.append((self.model, known.pk, key.attname, target))
                setattr(known, key.attname, target)
        if row.pk == known.pk and dumped_row(row) != dumped_row(known):
            self._find(row.pk, Code.CHANGED_HERE, "it is here, and differs", "left as it is here")

    # --- References -----------------------------------------------------------------------

    def _resolve(self, row: Any, batch: Sequence[Any]) -> bool:
        """Whether all it needs is there; what may come later is left open until then."""
        there = self._targets(batch)
        for key in keys(self.model):
            target = getattr(row, key.attname)
            if target is None:
                continue
            target = self.store.same.get((key.related_model, target), target)
            setattr(row, key.attname, target)
            if target in there[key.attname]:
                continue
            if not key.null:
                reason = f"{key.attname} {target} is not there"
                self._find(row.pk, Code.ORPHAN, reason, "skipped")
                return False
            setattr(row, key.attname, None)
            self.store.later.append((self.model, row.pk, key.attname, target))
        return True

    def _targets(self, batch: Sequence[Any]) -> Mapping[str, set[uuid.UUID]]:
        if getattr(self, "_known", None) is not None and self._known[0] is batch:
            return self._known[1]
        found: dict[str, set[uuid.UUID]] = defaultdict(set)
        for key in keys(self.model):
            model = key.related_model
            ids = {getattr(row, key.attname) for row in batch} - {None}
            ids = {self.store.same.get((model, one), one) for one in ids}
            if model is self.model:
                found[key.attname] |= {row.pk for row in batch} & ids
            if missing := ids - found[key.attname]:
                rows = model.objects.filter(pk__in=missing)
                found[key.attname] |= set(rows.values_list("pk", flat=True))
        self._known: tuple[Any, Mapping[str, set[uuid.UUID]]] = (batch, found)
        return found

    # --- Writing --------------------------------------------------------------------------

    def _insert(self, rows: list[Any], actor: Actor) -> list[Any]:
        try:
            with transaction.atomic():
                self._put_back(rows, actor)
            return rows
        except (IntegrityError, DataError, Erased):
            made = []
        for row in rows:
            try:
                with transaction.atomic():
                    self._put_back([row], actor)
                made.append(row)
            except (IntegrityError, DataError, Erased) as error:
                reason = str(error).splitlines()[0][:200]
                self._find(row.pk, Code.REFUSED, reason, "skipped")
        return made

    def _put_back(self, rows: list[Any], actor: Actor) -> None:
        recorded = not self.store.keep_ids
        versioned = issubclass(self.model, VersionedRow)
        funnel.put_back(rows, actor=actor, recorded=recorded and versioned)
        if recorded and not versioned:
            # By their Revisions the run is taken back. Those of rows that have no history else say
            # that they came, and nothing of what they are: retention lets go of them.
            alone: list[Any] = [(row, {}, {}) for row in rows if self._goes_with_nothing(row)]
            funnel.record_changes(alone, "import", actor=actor)

    def _goes_with_nothing(self, row: Any) -> bool:
        """Whether no other row takes it along when that goes. Tags stay: others may use them."""
        holders = [key for key in keys(self.model) if getattr(key, "cascade", False)]
        return self.model is not Tag and all(getattr(row, key.attname) is None for key in holders)


class Last:
    """References to rows that came after those that refer to them."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def write(self, actor: Actor) -> Tally:
        problems = []
        for model, row_id, attname, target in self.store.later:
            key: Any = next(key for key in keys(model) if key.attname == attname)
            wanted = self.store.same.get((key.related_model, target), target)
            row = model.objects.filter(pk=row_id).first()
            if row is None:
                continue
            if key.related_model.objects.filter(pk=wanted).exists():
                funnel.touch(row, **{attname: wanted})
            else:
                found = Finding(Code.DANGLING, f"{attname} {target} is not there", "left empty")
                problems.append(found.of(kind_of(model), str(row_id)))
        return Tally(problems=problems)

    def prepare(self, workspace_id: uuid.UUID) -> None:
        pass

    def texts(self) -> Iterable[str]:
        return ()

    def here(self) -> Tally:
        return Tally()


def _value(field: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(field, models.BinaryField):
        return bytes.fromhex(value)
    if isinstance(field, models.ForeignKey):
        return uuid.UUID(value)
    return field.to_python(value)
