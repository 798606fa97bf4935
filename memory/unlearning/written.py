"""What a source wrote: rows that it made, and changes of others' rows. From Revisions, but for what
bears a session's name.

Kept in SQLite, on disk where the caller says so: an import may have been of millions of rows.
"""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db.models import Q

from config.lib.errors import Conflict, NotFound
from contacts.models import ApiKey, Revision
from memory.models import ImportRun, Memory, Unlearning
from memory.models.imports import ImportState
from memory.models.unlearning import UnlearningKind
from sessions.models import Session, StagedContent, Worker

BATCH = 500
# What of a session can be taken back; the rest is the record of what happened.
_OF_SESSION: tuple[Any, ...] = (Memory, StagedContent)


class Written:
    """`own` are the Revisions that count as its own when it is asked who else changed a row;
    `until` is when it ended, `gone` when others wrote of which nothing counts any more."""

    def __init__(self, unit: Unlearning, path: Path | None = None) -> None:
        self.unit = unit
        self.own = Q(pk__in=[])
        self.until: datetime | None = None
        self.gone: list[tuple[datetime, datetime]] = []
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("CREATE TABLE made (id TEXT PRIMARY KEY, model TEXT)")
        self._db.execute("CREATE TABLE changed (revision TEXT, id TEXT)")

    def close(self) -> None:
        self._db.close()

    # --- Filled ---------------------------------------------------------------------------

    def add(self, revisions: Iterable[Revision]) -> None:
        """The oldest first."""
        self._db.execute("BEGIN")
        for row in revisions:
            # Of an emptied one its action tells; what was changed stays, and is listed with why.
            if row.before or (row.erased_at is not None and row.action != "create"):
                self._db.execute(
                    "INSERT INTO changed VALUES (?, ?)", (row.id.hex, row.object_id.hex)
                )
            elif row.action not in ("erase", "delete"):
                self._made(row.model, row.object_id)
        self._db.execute("DELETE FROM changed WHERE id IN (SELECT id FROM made)")
        self._db.execute("COMMIT")

    def add_made(self, label: str, ids: Iterable[uuid.UUID]) -> None:
        for one in ids:
            self._made(label, one)

    def _made(self, label: str, row_id: uuid.UUID) -> None:
        self._db.execute("INSERT OR IGNORE INTO made VALUES (?, ?)", (row_id.hex, label))

    # --- Asked ----------------------------------------------------------------------------

    def rows(self) -> int:
        """How many rows it made and changes it made of others."""
        query = "SELECT (SELECT count(*) FROM made) + (SELECT count(*) FROM changed)"
        (found,) = self._db.execute(query).fetchone()
        return int(found)

    def labels(self) -> list[str]:
        return [label for (label,) in self._db.execute("SELECT DISTINCT model FROM made")]

    def ids(self, label: str, batch: int = BATCH) -> Iterator[list[uuid.UUID]]:
        last = ""
        while True:
            rows = self._db.execute(
                "SELECT id FROM made WHERE model = ? AND id > ? ORDER BY id LIMIT ?",
                (label, last, batch),
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [uuid.UUID(hex=one) for (one,) in rows]

    def changes(self) -> Iterator[list[uuid.UUID]]:
        """Revisions of rows that were there before, the latest first, those of one row together."""
        rows = self._db.execute(
            "SELECT id, group_concat(revision) FROM changed GROUP BY id ORDER BY max(rowid) DESC"
        )
        while some := rows.fetchmany(BATCH):
            found = [uuid.UUID(hex=one) for _, listed in some for one in listed.split(",")]
            yield sorted(found, reverse=True)

    def touched(self, ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
        """Those that somebody else changed. Jobs of ours are nobody. Index revision_object."""
        return set(self._others(list(ids)).values_list("object_id", flat=True))

    def touched_after(self, first: Mapping[uuid.UUID, uuid.UUID]) -> set[uuid.UUID]:
        """The same of rows that were there before: since a Revision of theirs."""
        others = self._others(list(first)).filter(id__gt=min(first.values()))
        return {row for row, by in others.values_list("object_id", "id") if by > first[row]}

    def _others(self, ids: Sequence[uuid.UUID]) -> Any:
        others = Revision.objects.filter(object_id__any_of=ids).exclude(channel="job")
        return others.exclude(self.own)


def find_written(unit: Unlearning, path: Path | None = None) -> Written:
    """What the unit's source wrote. NotFound, Conflict."""
    found = Written(unit, path)
    match UnlearningKind(unit.kind):
        case UnlearningKind.KEY:
            _there(ApiKey, unit.target_id)
            _by_revisions(found, Q(actor_id=str(unit.target_id), actor_kind="key"))
        case UnlearningKind.RUN:
            run = str(unit.target_id)
            # Its id is older than all it wrote, so the record before it is not read.
            own = (Q(actor_id=run) | Q(request_id=run)) & Q(id__gt=unit.target_id)
            if not Revision.objects.filter(own).exists():
                raise NotFound("run that wrote something", unit.target_id)
            _by_revisions(found, own)
        case UnlearningKind.IMPORT:
            _by_import(found)
        case UnlearningKind.SESSION:
            _there(Session, unit.target_id)
            _by_session(found, unit.target_id, None, None)
        case UnlearningKind.WORKER:
            _there(Worker, unit.target_id)
            worker = Worker.objects.get(pk=unit.target_id)
            if worker.run_session_id is None:
                raise Conflict("This worker has run in no session.", code="nothing_written")
            _by_session(found, worker.run_session_id, worker.started_at, worker.ended_at)
    found.own |= Q(request_id__in=of_units([unit.target_id]))
    return found


def _there(model: Any, target: uuid.UUID) -> None:
    if not model.objects.filter(pk=target).exists():
        raise NotFound(str(model._meta.verbose_name), target)


def of_units(targets: Sequence[uuid.UUID]) -> list[str]:
    """What Revisions of units of these, and of their undoing, bear."""
    units = Unlearning.objects.filter(target_id__in=targets).values_list("pk", flat=True)
    return [text for pk in units for text in (str(pk), f"undo-{pk}")]


def _by_revisions(found: Written, own: Q) -> None:
    """Index revision_actor; of runs, the record since they began."""
    found.own = own
    rows = Revision.objects.filter(own)
    if found.unit.since is not None:
        rows = rows.filter(created_at__gte=found.unit.since)
    found.add(_told(rows))


def _told(rows: Any) -> Iterator[Revision]:
    found = rows.order_by("id").only("id", "model", "object_id", "action", "before", "erased_at")
    return iter(found.iterator(chunk_size=2000))


def _by_import(found: Written) -> None:
    """Index revision_actor. Conflict (erased) where it is not told any more: what was changed would
    be taken for what was made."""
    run = ImportRun.objects.get(pk=found.unit.target_id)
    rows = Revision.objects.filter(actor_id=str(run.id), actor_kind="import")
    if rows.filter(erased_at__isnull=False).exists():
        raise Conflict("What this import did has been erased in part.", code="erased")
    found.add(_told(rows))
    found.until = run.ended_at or run.beat_at
    # What runs that were taken back had added or changed, is nobody's any more.
    undone = list(ImportRun.objects.filter(state=ImportState.UNDONE).exclude(pk=run.pk))
    found.gone = [(one.started_at, one.ended_at or one.beat_at) for one in undone]
    ids = [str(one.pk) for one in (run, *undone)]
    theirs = of_units([one.pk for one in undone])
    found.own = Q(actor_id__in=ids) | Q(request_id__in=[*ids, *theirs])


def _by_session(
    found: Written, session_id: uuid.UUID, start: datetime | None, end: datetime | None
) -> None:
    """What bears its name, unless a person made it. Whose key it was does not matter."""
    found.own = ~Q(actor_kind="user")
    since = found.unit.since
    start = max((one for one in (start, since) if one is not None), default=None)
    for model in _OF_SESSION:
        rows = model.objects.filter(session_id=session_id)
        rows = rows.filter(created_at__gte=start) if start else rows
        rows = rows.filter(created_at__lte=end) if end else rows
        ids = set(rows.values_list("pk", flat=True))
        people = Revision.objects.filter(object_id__in=ids, actor_kind="user", before={})
        ids -= set(people.exclude(action="restore").values_list("object_id", flat=True))
        found.add_made(model._meta.label_lower, ids)
