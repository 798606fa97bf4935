"""Taking back what a source wrote, where nobody changed it since.

Of an import all that it made goes, sessions and messages too, and each field that it changed is set
back. Of others, memories are archived, also those derived from nothing else; other rows that can be
restored are removed, and changes reverted by the rules of their models; what happened (sessions,
messages, workers) stays on record. A row stays where something that stays cannot be without it.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.apps import apps
from django.db import IntegrityError, models, transaction

from config.lib.actor import Actor
from config.lib.db.models import VersionedRow, WorkspaceRow
from config.lib.errors import DomainError
from contacts.models import ContactEmail, ContactPhone, ContactTag, Revision
from contacts.services import funnel, undo
from contacts.services.undoable import field_of, python_value, way_of
from memory.erasing.going import Going, without_source
from memory.importers.kinds import ORDER
from memory.importers.settler import IMPORT_RUN
from memory.models import Learning, Memory, MemoryDuplicate, MemoryLink, Passage, Unlearning
from memory.models.memory import MemoryState
from memory.models.unlearning import UnlearningKind
from memory.services.memories import delete_memory
from memory.services.repeats import forget_key
from memory.services.trust import DERIVING
from memory.unlearning import links
from memory.unlearning.report import Report, named
from memory.unlearning.written import BATCH, Written

# What belongs to a row and is recorded with it, or is derived from it.
_OWN = (ContactEmail, ContactPhone, ContactTag, Learning, MemoryDuplicate, Passage)
_MEMORY = "memory.memory"
CHANGED = "it was changed since"
Step = Callable[[], AbstractContextManager[Any]]


def reason_of(unit: Unlearning) -> str:
    what = UnlearningKind(unit.kind).label.lower()
    return unit.reason or f"what {'an' if what[0] in 'aeiou' else 'a'} {what} wrote was taken back"


class Taking:
    """`step` is the transaction of each part, where there is not one around all; `progress` is
    called after each, and what it raises stops the rest."""

    def __init__(
        self,
        written: Written,
        actor: Actor,
        report: Report,
        step: Step = nullcontext,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self.unit = written.unit
        self.written = written
        self.actor = actor
        self.report = report
        self.step = step
        self.progress = progress
        self.whole = self.unit.kind == UnlearningKind.IMPORT
        self.reason = reason_of(self.unit)

    def go(self) -> None:
        if not self.whole:
            self._take_back_links()
            self._archive()
        self._set_back()
        if self.whole:
            self._unlink()
        for label in sorted(self.written.labels(), key=_depth, reverse=True):
            if self.whole or _restorable(label):
                self._remove(label)

    # --- What it changed ------------------------------------------------------------------

    def _set_back(self) -> None:
        for ids in self.written.changes():
            with self.step():
                rows = Revision.objects.filter(pk__any_of=ids).order_by("-id")
                if self.whole:
                    set_back(list(rows), self.written, self.actor, self.report, self.reason)
                else:
                    revert(list(rows), self.actor, self.report, self.reason)
            self.progress()

    # --- What it made ---------------------------------------------------------------------

    def _take_back_links(self) -> None:
        """First, so that what it only tied to its own is not taken for derived from it."""
        made = {one for ids in self.written.ids(_MEMORY) for one in ids}
        touched = self.written.touched(made)
        self.report.reverted["memory"] += links.take_back_links(
            actor=self.actor,
            made={one for ids in self.written.ids(links.LINK) for one in ids},
            going=made - touched,
            kept=touched,
            reason=self.reason,
            keep=lambda pk, why: self.report.keep(_MEMORY, pk, why),
        )

    def _archive(self) -> None:
        """Its memories, and what follows from them alone."""
        made = {one for ids in self.written.ids(_MEMORY) for one in ids}
        touched = self.written.touched(made)
        for pk in sorted(touched):
            self.report.keep(_MEMORY, pk, CHANGED)
        going = made - touched
        derived, losing = _derived(going)
        self.report.losing["memory"] += len(losing)
        for pk in sorted(losing):
            self.report.keep(_MEMORY, pk, "it has another source")
        vouched = self.written.touched(derived) if derived else set()
        people = Revision.objects.filter(object_id__in=vouched, actor_kind="user")
        for pk in sorted(set(people.values_list("object_id", flat=True))):
            self.report.keep(_MEMORY, pk, "a person made or changed it")
            derived.discard(pk)
        # What has expired is in the archive, and was in use until then: as of that time, too, it
        # goes.
        in_use = models.Q(state__in=[MemoryState.ACTIVE, MemoryState.QUARANTINED])
        rows = Memory.objects.filter(in_use | ~models.Q(expired_at=None), pk__in=going | derived)
        for memory in rows.select_for_update(no_key=True).order_by("id"):
            funnel.update(
                memory, {"state": MemoryState.ARCHIVED, "expired_at": None}, actor=self.actor,
                action="unlearn", reason=self.reason,
            )  # fmt: skip
            forget_key(memory)
            self.report.archived["memory"] += 1

    def _unlink(self) -> None:
        """An import's links have no Revisions of their own; they say themselves which made them."""
        mine = {f"metadata__{IMPORT_RUN}": str(self.unit.target_id)}
        while True:
            with self.step():
                links = list(MemoryLink.objects.filter(**mine).order_by("id")[:BATCH])
                funnel.delete_many(links, actor=self.actor, reason=self.reason)
                self.report.removed["memory link"] += len(links)
            self.progress()
            if not links:
                return

    def _remove(self, label: str) -> None:
        """The rows of one model; what points at what stays, stays. Where rows of a model go with
        others of it (tasks with their parents), those below go first."""
        model: Any = apps.get_model(label)
        nested = any(one.related_model is model for one in _holding(model))
        while True:
            removed, staying = 0, Report()
            for ids in self.written.ids(label):
                with self.step():
                    removed += self._remove_some(model, ids, staying)
                self.progress()
            if not (nested and removed and staying.staying):
                break
        self.report.add(staying)

    def _remove_some(self, model: Any, ids: list[uuid.UUID], staying: Report) -> int:
        found = model.objects.filter(pk__in=ids)
        if issubclass(model, VersionedRow):
            found = found.select_for_update(no_key=True)
        rows = {row.pk: row for row in found}
        why = self._staying(model, list(rows))
        for pk, text in why.items():
            staying.keep_row(rows[pk], text)
        going = [row for pk, row in rows.items() if pk not in why]
        keys = [row.pk for row in going]
        for below in _below(model, keys) if self.whole else ():
            funnel.record_cascading(below, actor=self.actor, reason=self.reason)
        notes = _notes(model, keys)
        funnel.delete_many(going, actor=self.actor, reason=self.reason, notes=notes)
        self.report.removed[named(model._meta.label_lower)] += len(going)
        return len(going)

    def _staying(self, model: Any, ids: list[uuid.UUID]) -> dict[uuid.UUID, str]:
        why = dict.fromkeys(self.written.touched(ids), CHANGED)
        for relation in _holding(model):
            related: Any = relation.related_model
            for key in self._held(related, relation.field.name, ids):
                why.setdefault(key, f"it has a {related._meta.verbose_name} that stays")
        return why

    def _held(self, related: Any, name: str, ids: list[uuid.UUID]) -> set[uuid.UUID]:
        """Which of `ids` have rows of `related` that would go with them, and are somebody's: those
        with a history that are still there, others that came later than what is taken back."""
        held = related.objects.filter(**{f"{name}__in": ids})
        if not issubclass(related, VersionedRow):
            if self.written.until is None:
                return set()
            held = held.filter(created_at__gt=self.written.until)
            for start, end in self.written.gone:
                held = held.exclude(created_at__gte=start, created_at__lte=end)
        return set(held.values_list(name, flat=True).distinct())


def _restorable(label: str) -> bool:
    """A session, a thread, a worker, a link is what happened, or goes with what it is of; memories
    are archived."""
    way = way_of(label)
    return label != _MEMORY and way is not None and way.parts is not None


def _holding(model: Any) -> list[Any]:
    """The relations by which rows go with one of `model`, or keep it from going."""
    return [
        one
        for one in model._meta.related_objects
        if one.related_model not in _OWN
        and issubclass(one.related_model, WorkspaceRow)
        and (getattr(one.field, "cascade", False) or one.on_delete is models.PROTECT)
    ]


def _below(model: Any, ids: list[uuid.UUID]) -> Iterator[list[Any]]:
    """What goes with these rows and has no history of its own, some at a time."""
    for relation in _holding(model):
        related: Any = relation.related_model
        if issubclass(related, VersionedRow):
            continue
        rows = related.objects.filter(**{f"{relation.field.name}__in": ids}).order_by("id")
        some: list[Any] = []
        for row in rows.iterator(chunk_size=BATCH):
            some.append(row)
            if len(some) == BATCH:
                yield some
                some = []
        if some:
            yield some


def _notes(model: Any, ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Mapping[str, Any]]:
    """What belongs to rows and is in none of the Revisions of what goes with them."""
    way = way_of(model._meta.label_lower)
    if way is None or way.held is None or model is Memory or not ids:
        return {}
    return {
        pk: {name: part for name, part in held.items() if part}
        for pk, held in way.held(ids).items()
    }


def _derived(ids: set[uuid.UUID]) -> tuple[set[uuid.UUID], set[uuid.UUID]]:
    """(memories that follow from these alone, those that keep another source)."""
    going = Going()
    going.rows[Memory] |= ids
    waiting, seen = set(ids), set()
    while waiting:
        links = MemoryLink.objects.filter(
            target_id__in=waiting, relation__in=DERIVING, source__state=MemoryState.ACTIVE
        )
        seen |= set(links.values_list("source_id", flat=True)) - going.rows[Memory]
        waiting = without_source(going, seen, DERIVING)
        going.rows[Memory] |= waiting
        seen -= waiting
    return going.rows[Memory] - ids, seen


def _depth(label: str) -> int:
    """What is pointed at has the smaller one; links and other parts the largest."""
    labels = [model._meta.label_lower for model in ORDER]
    if label in ("contacts.agent", "contacts.tag"):
        return -1
    return labels.index(label) if label in labels else len(labels)


# --- Changes ----------------------------------------------------------------------------------


def revert(
    revisions: Sequence[Revision], actor: Actor, report: Report, reason: str, *, own: bool = False
) -> None:
    """One by one, as a person would take them back, the latest first; `own` are the unit's own."""
    for revision in revisions:
        if links.follows_from_link(revision):
            continue
        try:
            with transaction.atomic():
                why = _revert(revision, actor, reason, own)
        except DomainError as error:
            why = error.detail
        if why:
            report.keep(revision.model, revision.object_id, why)
        else:
            report.reverted[named(revision.model)] += 1


def _revert(revision: Revision, actor: Actor, reason: str, own: bool) -> str:
    """Why it stays, if it does. In a savepoint."""
    is_link, is_memory = revision.model == links.LINK, revision.model == _MEMORY
    if is_link and undo.is_deletion(revision) and revision.erased_at is None:
        links.make_again(revision.before, actor=actor, reason=reason)
        return ""
    if is_link and own:
        for link in MemoryLink.objects.filter(pk=revision.object_id).select_related("target"):
            links.remove(link, actor=actor, reason=reason)
        return ""
    if is_memory and revision.action == "lower" and revision.erased_at is None:
        lifted = links.lift(revision, actor=actor, reason=reason)
        return "" if lifted else "it rests on what is trusted as little"
    if own and revision.action == "restore":
        return _delete_again(revision, actor, reason)
    back = _BACK.get(revision.action) if is_memory and revision.erased_at is None else None
    if back is not None and (own or revision.action != "unlearn"):
        return _put_back(revision, actor, reason, back)
    planned = undo.plan(revision)
    if planned.why_not or planned.since:
        return planned.why_not or CHANGED
    undo.undo(actor=actor, revision_id=revision.pk, reason=reason)
    return ""


# What units of work do to memories as a whole -> what takes that back.
_BACK = {"unlearn": "relearn", "consolidate": "unconsolidate", "unconsolidate": "consolidate"}


def _put_back(revision: Revision, actor: Actor, reason: str, action: str) -> str:
    """By the unit itself, as it was put away: no agent may, by a change of its own."""
    memory = Memory.objects.filter(pk=revision.object_id).select_for_update(no_key=True).first()
    if memory is None:
        return "it is gone"
    now = funnel.snapshot(memory)
    if any(now.get(name) != value for name, value in revision.after.items()):
        return CHANGED
    changes = _values(Memory, revision.before)
    funnel.update(memory, changes, actor=actor, action=action, reason=reason)
    return ""


def _delete_again(revision: Revision, actor: Actor, reason: str) -> str:
    """What the unit restored, where nobody changed it since."""
    model: Any = apps.get_model(revision.model)
    row = model.objects.filter(pk=revision.object_id).select_for_update(no_key=True).first()
    if row is None:
        return "it is gone"
    since = Revision.objects.filter(object_id=row.pk, id__gt=revision.pk).exclude(channel="job")
    if since.exists():
        return CHANGED
    if isinstance(row, Memory):
        delete_memory(actor=actor, memory_id=row.pk, reason=reason)
        return ""
    note = _notes(model, [row.pk]).get(row.pk, {})
    funnel.delete(row, actor=actor, reason=reason, note=note)
    return ""


def set_back(
    revisions: Sequence[Revision], written: Written, actor: Actor, report: Report, reason: str
) -> None:
    """Every field as it was before the first of `revisions`, which come the latest first; rows that
    somebody else changed since stay as they are."""
    before: dict[str, dict[uuid.UUID, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    first = {}
    for revision in revisions:
        before[revision.model][revision.object_id] |= revision.before
        first[revision.object_id] = revision.id
    touched = written.touched_after(first) if first else set()
    for label, wanted in before.items():
        model: Any = apps.get_model(label)
        found = model.objects.select_for_update(no_key=True).filter(pk__any_of=list(wanted))
        rows = [row for row in found if row.pk not in touched]
        for row in found:
            if row.pk in touched:
                report.keep_row(row, CHANGED)
        # What lies in rows of its own is written row by row.
        way = way_of(label)
        parts = way is not None and any(way.read.keys() & wanted[row.pk].keys() for row in rows)
        changes = {row.pk: _values(model, wanted[row.pk]) for row in rows}
        if not parts and _update_all(rows, changes, actor, reason):
            report.reverted[named(label)] += len(rows)
            continue
        for row in rows:
            why = _update(model, row.pk, wanted[row.pk], actor, reason)
            if why:
                report.keep_row(row, why)
            else:
                report.reverted[named(label)] += 1


def _update_all(
    rows: Sequence[Any], changes: Mapping[uuid.UUID, Mapping[str, Any]], actor: Actor, reason: str
) -> bool:
    try:
        with transaction.atomic():
            funnel.update_many(rows, changes, actor=actor, action="undo", reason=reason)
    except (DomainError, IntegrityError):
        return False
    return True


def _update(
    model: Any, row_id: uuid.UUID, before: Mapping[str, Any], actor: Actor, reason: str
) -> str:
    """Why it stays as it is, if it does."""
    row, way = model.objects.get(pk=row_id), way_of(model._meta.label_lower)
    parts: Sequence[funnel.Part] = ()
    if way is not None and way.parts is not None:
        parts = way.parts(row, {name: before[name] for name in before.keys() & way.read.keys()})
    try:
        with transaction.atomic():
            funnel.update(
                row, _values(model, before), actor=actor, action="undo", reason=reason,
                parts=parts,
            )  # fmt: skip
    except IntegrityError:
        return "another row has taken its place"
    except DomainError as error:
        return error.detail
    return ""


def _values(model: Any, before: Mapping[str, Any]) -> dict[str, Any]:
    """A Revision's values of a model's own fields, as these have them."""
    found = ((field_of(model, name), value) for name, value in before.items())
    return {one.attname: python_value(one, value) for one, value in found if one is not None}
