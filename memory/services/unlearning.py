"""Taking back what a session, a worker, a key or a run wrote, and what follows from it: one unit,
looked at first, done in one transaction, and undone as a whole.

Memories are archived, also those derived from nothing else; other rows that it made are removed,
and changes of others' rows reverted, where nobody changed them since. What stays is listed. What
happened (sessions, messages, workers) stays on record. All by Revisions, so that the unit's own
can be undone. Not for imports alone, of millions of rows (memory/importers/undo.py).
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db import IntegrityError, models, transaction
from django.db.models import Q

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.models import VersionedRow
from config.lib.errors import Conflict, DomainError, NotFound
from contacts.models import ApiKey, Revision
from contacts.services import funnel, undo
from memory.erasing.going import Going, without_source
from memory.models import Memory, MemoryLink, Unlearning
from memory.models.links import Relation
from memory.models.memory import MemoryState
from memory.models.unlearning import UnlearningKind, UnlearningState
from memory.services import unlearning_links as links
from memory.services.memories import delete_memory
from memory.services.repeats import forget_key
from sessions.models import Session, StagedContent, Worker

# What a request has time for; the shell has more.
MOST_ROWS = 1000
MOST_KEPT = 200
# What of a session can be taken back; the rest is the record of what happened.
_OF_SESSION: tuple[Any, ...] = (Memory, StagedContent)
_MEMORY = "memory.memory"


@dataclass(slots=True)
class Report:
    """Rows by table, and the first ones that stay, with why."""

    archived: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    reverted: Counter[str] = field(default_factory=Counter)
    losing: Counter[str] = field(default_factory=Counter)
    staying: Counter[str] = field(default_factory=Counter)
    kept: list[dict[str, str]] = field(default_factory=list)

    def keep(self, model: str, row_id: uuid.UUID, why: str) -> None:
        self.staying[_named(model)] += 1
        if len(self.kept) < MOST_KEPT:
            self.kept.append({"model": model, "id": str(row_id), "why": why})

    def as_dict(self) -> dict[str, Any]:
        counts = ("archived", "removed", "reverted", "losing", "staying")
        said: dict[str, Any] = {
            name: dict(sorted((+getattr(self, name)).items())) for name in counts
        }
        return said | {"kept": self.kept}


def _named(label: str) -> str:
    return str(apps.get_model(label)._meta.verbose_name)


# --- What it wrote ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Written:
    """`made` rows by model, `changes` Revisions of others' rows, the latest first. `own` are the
    Revisions that count as its own when it is asked who else changed a row."""

    own: Q
    made: dict[str, set[uuid.UUID]] = field(default_factory=dict)
    changes: list[Revision] = field(default_factory=list)
    by_jobs: bool = True

    def rows(self) -> int:
        return sum(map(len, self.made.values())) + len(self.changes)


def _written(unit: Unlearning) -> _Written:
    match UnlearningKind(unit.kind):
        case UnlearningKind.KEY:
            _there(ApiKey, unit.target_id)
            return _by_revisions(unit, Q(actor_id=str(unit.target_id), actor_kind="key"))
        case UnlearningKind.RUN:
            run = str(unit.target_id)
            # Its id is older than all it wrote, so the record before it is not read.
            own = (Q(actor_id=run) | Q(request_id=run)) & Q(id__gt=unit.target_id)
            if not Revision.objects.filter(own).exists():
                raise NotFound("run that wrote something", unit.target_id)
            return _by_revisions(unit, own)
        case UnlearningKind.SESSION:
            _there(Session, unit.target_id)
            return _by_session(unit, unit.target_id, None, None)
        case UnlearningKind.WORKER:
            _there(Worker, unit.target_id)
            worker = Worker.objects.get(pk=unit.target_id)
            if worker.run_session_id is None:
                raise Conflict("This worker has run in no session.", code="nothing_written")
            return _by_session(unit, worker.run_session_id, worker.started_at, worker.ended_at)


def _there(model: Any, target: uuid.UUID) -> None:
    if not model.objects.filter(pk=target).exists():
        raise NotFound(str(model._meta.verbose_name), target)


def _by_revisions(unit: Unlearning, own: Q) -> _Written:
    """Index revision_actor; of runs, the record since they began."""
    found = _Written(own)
    rows = Revision.objects.filter(own, erased_at=None)
    if unit.since is not None:
        rows = rows.filter(created_at__gte=unit.since)
    for row in rows.order_by("id").iterator(chunk_size=500):
        if not row.before and row.action not in ("erase", "delete"):
            found.made.setdefault(row.model, set()).add(row.object_id)
        elif row.before:
            found.changes.append(row)
    found.changes = [
        row for row in reversed(found.changes) if row.object_id not in found.made.get(row.model, ())
    ]
    return found


def _by_session(
    unit: Unlearning, session_id: uuid.UUID, start: datetime | None, end: datetime | None
) -> _Written:
    """What bears its name, unless a person made it. Whose key it was does not matter."""
    found = _Written(~Q(actor_kind="user"))
    start = max((one for one in (start, unit.since) if one is not None), default=None)
    for model in _OF_SESSION:
        rows = model.objects.filter(session_id=session_id)
        rows = rows.filter(created_at__gte=start) if start else rows
        rows = rows.filter(created_at__lte=end) if end else rows
        ids = set(rows.values_list("pk", flat=True))
        people = Revision.objects.filter(object_id__in=ids, actor_kind="user", before={})
        ids -= set(people.exclude(action="restore").values_list("object_id", flat=True))
        found.made[model._meta.label_lower] = ids
    return found


def _touched(found: _Written, ids: Iterable[uuid.UUID], unit: Unlearning) -> set[uuid.UUID]:
    """Those that somebody else changed. Jobs of ours are nobody. Index revision_object."""
    others = Revision.objects.filter(object_id__any_of=list(ids)).exclude(channel="job")
    others = others.exclude(found.own).exclude(request_id__in=[str(unit.pk), f"undo-{unit.pk}"])
    return set(others.values_list("object_id", flat=True))


def _derived(ids: set[uuid.UUID]) -> tuple[set[uuid.UUID], set[uuid.UUID]]:
    """(memories that follow from these alone, those that keep another source)."""
    going = Going()
    going.rows[Memory] |= ids
    waiting, seen = set(ids), set()
    while waiting:
        links = MemoryLink.objects.filter(
            target_id__in=waiting, relation=Relation.DERIVED_FROM, source__state=MemoryState.ACTIVE
        )
        seen |= set(links.values_list("source_id", flat=True)) - going.rows[Memory]
        waiting = without_source(going, seen)
        going.rows[Memory] |= waiting
        seen -= waiting
    return going.rows[Memory] - ids, seen


# --- Proposing, doing, undoing ----------------------------------------------------------------


def propose_unlearning(
    *,
    actor: Actor,
    kind: UnlearningKind,
    target_id: uuid.UUID,
    since: datetime | None = None,
    reason: str = "",
    most: int | None = MOST_ROWS,
) -> Unlearning:
    """Look at what taking it back would do; nothing is done. In a scope. Conflict `too_much` above
    `most` rows, NotFound."""
    unit = Unlearning(
        kind=kind, target_id=target_id, since=since, reason=reason, actor_label=actor.label
    )
    funnel.create(unit, actor=actor, action="propose", reason=reason)
    with transaction.atomic():
        unit.preview = _take_back(unit, actor, most).as_dict()
        transaction.set_rollback(True)
    funnel.touch(unit, preview=unit.preview)
    return unit


def run_unlearning(
    *,
    actor: Actor,
    unlearning_id: uuid.UUID,
    expected_version: int | None = None,
    most: int | None = MOST_ROWS,
) -> Unlearning:
    """Take it back, in the caller's transaction. Conflict `wrong_state`, `too_much`."""
    unit = _unit(unlearning_id, UnlearningState.PROPOSED)
    report = _take_back(unit, actor, most)
    funnel.touch(unit, report=report.as_dict())
    changes = {"state": UnlearningState.DONE, "done_at": clock.now(), "actor_label": actor.label}
    return funnel.update(
        unit, changes, actor=actor, action="run", expected_version=expected_version
    )


def undo_unlearning(
    *, actor: Actor, unlearning_id: uuid.UUID, expected_version: int | None = None
) -> Unlearning:
    """Bring back all that it took, but for what was changed since, which is listed."""
    unit = _unit(unlearning_id, UnlearningState.DONE)
    report = Report()
    rows = Revision.objects.filter(request_id=str(unit.pk), id__gt=unit.pk)
    rows = rows.exclude(object_id=unit.pk).exclude(action="unlink").order_by("-id")
    _revert_all(list(rows), replace(actor, request_id=f"undo-{unit.pk}"), unit, report, own=True)
    funnel.touch(unit, undone=report.as_dict())
    changes = {"state": UnlearningState.UNDONE, "undone_at": clock.now()}
    return funnel.update(
        unit, changes, actor=actor, action="undo", expected_version=expected_version
    )


def _unit(unlearning_id: uuid.UUID, state: UnlearningState) -> Unlearning:
    unit = funnel.get_row(Unlearning, unlearning_id, lock=True)
    if unit.state != state:
        raise Conflict(f"This is {UnlearningState(unit.state).label.lower()}.", code="wrong_state")
    return unit


def _take_back(unit: Unlearning, actor: Actor, most: int | None) -> Report:
    found, report = _written(unit), Report()
    if most is not None and found.rows() > most:
        raise Conflict(
            f"It wrote {found.rows():,} rows and changes; at most {most:,} are taken back by a "
            "request. Use `manage.py unlearn`.",
            code="too_much",
        )
    mine = replace(actor, request_id=str(unit.pk))
    _take_back_links(found, mine, unit, report)
    _archive(found, mine, unit, report)
    _revert_all(found.changes, mine, unit, report)
    for label in sorted(found.made.keys() - {_MEMORY}):
        _remove(label, found, mine, unit, report)
    return report


def _reason(unit: Unlearning) -> str:
    return unit.reason or f"what a {unit.kind} wrote was taken back"


def _take_back_links(found: _Written, actor: Actor, unit: Unlearning, report: Report) -> None:
    """First, so that what it only tied to its own is not taken for derived from it."""
    made = found.made.get(_MEMORY, set())
    touched = _touched(found, made, unit)
    report.reverted["memory"] += links.take_back_links(
        actor=actor,
        made=found.made.get(links.LINK, set()),
        going=made - touched,
        kept=touched,
        reason=_reason(unit),
        keep=lambda pk, why: report.keep(_MEMORY, pk, why),
    )


def _archive(found: _Written, actor: Actor, unit: Unlearning, report: Report) -> None:
    made = found.made.get(_MEMORY, set())
    touched = _touched(found, made, unit)
    for pk in sorted(touched):
        report.keep(_MEMORY, pk, "it was changed since")
    going = made - touched
    derived, losing = _derived(going)
    report.losing["memory"] += len(losing)
    for pk in sorted(losing):
        report.keep(_MEMORY, pk, "it has another source")
    vouched = _touched(found, derived, unit) if derived else set()
    people = Revision.objects.filter(object_id__in=vouched, actor_kind="user")
    for pk in sorted(set(people.values_list("object_id", flat=True))):
        report.keep(_MEMORY, pk, "a person made or changed it")
        derived.discard(pk)
    rows = Memory.objects.filter(
        pk__in=going | derived, state__in=[MemoryState.ACTIVE, MemoryState.QUARANTINED]
    )
    for memory in rows.select_for_update(no_key=True).order_by("id"):
        funnel.update(
            memory, {"state": MemoryState.ARCHIVED}, actor=actor, action="unlearn",
            reason=_reason(unit),
        )  # fmt: skip
        forget_key(memory)
        report.archived["memory"] += 1


def _revert_all(
    revisions: Iterable[Revision], actor: Actor, unit: Unlearning, report: Report, own: bool = False
) -> None:
    """The latest first; `own` are the unit's own."""
    for revision in revisions:
        if links.follows_from_link(revision):
            continue
        try:
            with transaction.atomic():
                why = _revert(revision, actor, _reason(unit), own)
        except DomainError as error:
            why = error.detail
        if why:
            report.keep(revision.model, revision.object_id, why)
        else:
            report.reverted[_named(revision.model)] += 1


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
    planned = undo.plan(revision)
    if planned.why_not or planned.since:
        return planned.why_not or "it was changed since"
    if own and is_memory and revision.action == "unlearn":
        # By the unit itself, as it was put away: no agent may, by a change of its own.
        memory = funnel.get_row(Memory, revision.object_id, lock=True)
        funnel.update(memory, planned.changes, actor=actor, action="relearn", reason=reason)
        return ""
    undo.undo(actor=actor, revision_id=revision.pk, reason=reason)
    return ""


def _delete_again(revision: Revision, actor: Actor, reason: str) -> str:
    """What the unit restored, where nobody changed it since."""
    model: Any = apps.get_model(revision.model)
    row = model.objects.filter(pk=revision.object_id).select_for_update(no_key=True).first()
    if row is None:
        return "it is gone"
    since = Revision.objects.filter(object_id=row.pk, id__gt=revision.pk).exclude(channel="job")
    if since.exists():
        return "it was changed since"
    if isinstance(row, Memory):
        delete_memory(actor=actor, memory_id=row.pk, reason=reason)
        return ""
    way = undo.way_of(revision.model)
    note = way.held(row) if way is not None and way.held is not None else {}
    funnel.delete(row, actor=actor, reason=reason, note=note)
    return ""


def _remove(label: str, found: _Written, actor: Actor, unit: Unlearning, report: Report) -> None:
    """Rows that it made and that can be restored; the latest first, so that children go first."""
    model: Any = apps.get_model(label)
    way = undo.way_of(label)
    if way is None or way.parts is None:
        # A session, a thread, a worker, a link: what happened, or goes with what it is of.
        return
    ids = found.made[label]
    touched = _touched(found, ids, unit)
    rows = model.objects.filter(pk__in=ids).select_for_update(no_key=True)
    for row in rows.order_by("-id"):
        why = "it was changed since" if row.pk in touched else _held(row)
        if not why:
            note = way.held(row) if way.held is not None else {}
            try:
                with transaction.atomic():
                    funnel.delete(row, actor=actor, reason=_reason(unit), note=note)
            except (DomainError, IntegrityError, models.ProtectedError):
                why = "other rows need it"
        if why:
            report.keep(label, row.pk, why)
        else:
            report.removed[_named(label)] += 1


def _held(row: Any) -> str:
    """What would go with it, and has a history of its own."""
    for relation in row._meta.related_objects:
        related: Any = relation.related_model
        if not getattr(relation.field, "cascade", False) or not issubclass(related, VersionedRow):
            continue
        if related.objects.filter(**{relation.field.attname: row.pk}).exists():
            return f"it has a {related._meta.verbose_name}"
    return ""
