"""An import taken back: exactly what its run brought, where nobody changed it since.

What the run made and changed is read from its Revisions. A row stays where somebody changed it,
where somebody added something to it that would go with it, or where something that stays cannot be
without it. Rows of others that only name one of those that go are told so, and lose the name.
Jobs of ours (summaries, learning) are nobody.
"""

import contextlib
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import models

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.models import VersionedRow, WorkspaceRow
from config.lib.errors import Conflict, DomainError, NotFound
from contacts.models import Contact, ContactEmail, ContactPhone, ContactTag, Revision
from contacts.services import funnel
from contacts.services.addresses import Labelled
from contacts.services.contacts import parts_of
from memory.importers.kinds import ORDER
from memory.importers.run import SILENT, Steps, one_line
from memory.importers.scratch import scratch_folder
from memory.importers.settler import IMPORT_RUN
from memory.models import ImportRun, Learning, MemoryDuplicate, MemoryLink, Passage
from memory.models.imports import ImportState

BATCH = 500
MAX_KEPT = 200
# What belongs to a row or is derived from it; changes of it are recorded with the row.
_OWN = (ContactEmail, ContactPhone, ContactTag, Learning, MemoryDuplicate, Passage)
_PARTS = frozenset({"emails", "phones", "tags"})
_NOT_BEGUN = (
    ImportState.RECEIVING,
    ImportState.UNPACKING,
    ImportState.PROPOSED,
    ImportState.TRYING,
    ImportState.TRIED,
)


@dataclass(frozen=True, slots=True)
class Kept:
    model: str
    row_id: uuid.UUID
    name: str
    why: str

    @classmethod
    def of(cls, row: Any, why: str) -> "Kept":
        return cls(str(row._meta.verbose_name), row.pk, str(row)[:80], why)


@dataclass(slots=True)
class UndoReport:
    """Rows by model: taken back (`removed`), set back to what they were (`reverted`), and those
    that stay, the first ones with why."""

    run_id: str
    preview: bool
    removed: Counter[str] = field(default_factory=Counter)
    reverted: Counter[str] = field(default_factory=Counter)
    staying: Counter[str] = field(default_factory=Counter)
    kept: list[Kept] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "preview": self.preview,
            "removed": dict(sorted(self.removed.items())),
            "reverted": dict(sorted(self.reverted.items())),
            "staying": dict(sorted(self.staying.items())),
            "kept": [
                {"model": one.model, "id": str(one.row_id), "name": one.name, "why": one.why}
                for one in self.kept
            ],
        }

    def keep(self, row: Any, why: str) -> None:
        self.staying[str(row._meta.verbose_name)] += 1
        if len(self.kept) < MAX_KEPT:
            self.kept.append(Kept.of(row, why))


# Called after each step; what it raises stops the rest, which can be done later.
Progress = Callable[[UndoReport], None]


@dataclass(slots=True)
class _Staying:
    """Rows of one model that stay: how many, and the first ones."""

    rows: int = 0
    first: list[Kept] = field(default_factory=list)

    def add(self, row: Any, why: str) -> None:
        self.rows += 1
        if len(self.first) < MAX_KEPT:
            self.first.append(Kept.of(row, why))


def find_run(text: str) -> ImportRun:
    """A run by its id or the beginning or end of it; in a scope. NotFound, Conflict."""
    wanted = text.replace("-", "").lower()
    found = [
        run
        for run in ImportRun.objects.only("id").order_by("-id")
        if run.id.hex.startswith(wanted) or run.id.hex.endswith(wanted)
    ]
    if not wanted or not found:
        raise NotFound("import run", text)
    if len(found) > 1:
        raise Conflict(f"{len(found)} import runs have the id {text}; give more of it.")
    return ImportRun.objects.get(pk=found[0].pk)


def undo_import(
    *,
    workspace_id: uuid.UUID,
    run_id: uuid.UUID,
    actor: Actor,
    preview: bool = False,
    progress: Progress = lambda report: None,
) -> UndoReport:
    """Take a run back, or say what that would do. Outside any scope; can run again. Raises
    SourceError where a disk is full."""
    steps = Steps(workspace_id, dry_run=preview)
    report = UndoReport(str(run_id), preview)
    with one_line(), scratch_folder() as folder:
        made = _Made(folder)
        with contextlib.closing(made), steps.all():
            with steps.step():
                # A preview is one long transaction, in which nobody else should have to wait.
                run = funnel.get_row(ImportRun, run_id, lock=not preview)
                _check(run)
                if not preview:
                    funnel.touch(run, state=ImportState.UNDOING)
                made.read(run)
            worker = _Undo(run, actor, made, report, steps, progress)
            worker.revert()
            worker.unlink()
            for label in sorted(made.labels(), key=_depth, reverse=True):
                worker.remove(label)
            if not preview:
                with steps.step():
                    funnel.touch(
                        run,
                        state=ImportState.UNDONE,
                        undone=report.as_dict(),
                        undone_at=clock.now(),
                    )
    return report


def _check(run: ImportRun) -> None:
    heard = (clock.now() - run.beat_at).total_seconds()
    if run.state == ImportState.RUNNING and heard < SILENT:
        raise Conflict("This import is still running; stop it first.", code="running")
    if run.state in _NOT_BEGUN:
        raise Conflict("This import has brought nothing yet.", code="wrong_state")


class _Made:
    """What a run made and changed, on disk: an import may have been of millions of rows."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "made.db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("CREATE TABLE made (id TEXT PRIMARY KEY, model TEXT)")
        self._db.execute("CREATE TABLE changed (revision TEXT, id TEXT)")

    def close(self) -> None:
        self._db.close()

    def read(self, run: ImportRun) -> None:
        """Index revision_actor. Conflict (erased) where it is not told any more: what was changed
        would be taken for what was made."""
        rows = Revision.objects.filter(actor_id=str(run.id), actor_kind="import").order_by("id")
        if rows.filter(erased_at__isnull=False).exists():
            raise Conflict("What this import did has been erased in part.", code="erased")
        self._db.execute("BEGIN")
        for row in rows.only("id", "model", "object_id", "before").iterator(chunk_size=2000):
            if not row.before:
                self._db.execute(
                    "INSERT OR IGNORE INTO made VALUES (?, ?)", (row.object_id.hex, row.model)
                )
            else:
                self._db.execute(
                    "INSERT INTO changed VALUES (?, ?)", (row.id.hex, row.object_id.hex)
                )
        self._db.execute("COMMIT")

    def labels(self) -> list[str]:
        return [label for (label,) in self._db.execute("SELECT DISTINCT model FROM made")]

    def ids(self, label: str) -> Iterator[list[uuid.UUID]]:
        last = ""
        while True:
            rows = self._db.execute(
                "SELECT id FROM made WHERE model = ? AND id > ? ORDER BY id LIMIT ?",
                (label, last, BATCH),
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [uuid.UUID(hex=one) for (one,) in rows]

    def changed(self) -> list[uuid.UUID]:
        """Revisions of rows that were there before the run, the latest first."""
        rows = self._db.execute(
            "SELECT revision FROM changed WHERE id NOT IN (SELECT id FROM made) ORDER BY rowid DESC"
        )
        return [uuid.UUID(hex=one) for (one,) in rows]


class _Undo:
    def __init__(
        self,
        run: ImportRun,
        actor: Actor,
        made: _Made,
        report: UndoReport,
        steps: Steps,
        progress: Progress,
    ) -> None:
        self.run = run
        self.actor = actor
        self.made = made
        self.report = report
        self.steps = steps
        self.progress = progress
        self.until: datetime = run.ended_at or run.beat_at
        # What runs that were taken back had added or changed, is nobody's any more.
        with steps.step():
            undone = list(ImportRun.objects.filter(state=ImportState.UNDONE).order_by("id"))
        self.undone = [str(one.id) for one in undone]
        self.gone = [(one.started_at, one.ended_at or one.beat_at) for one in undone]
        self.reason = f"the import of {run} was taken back"[:500]

    # --- What was changed -----------------------------------------------------------------

    def revert(self) -> None:
        changed = self.made.changed()
        for start in range(0, len(changed), BATCH):
            with self.steps.step():
                for revision_id in changed[start : start + BATCH]:
                    self._revert(Revision.objects.get(pk=revision_id))
            self.progress(self.report)

    def _revert(self, revision: Revision) -> None:
        row = _row(revision)
        if row is None:
            return
        if row.pk in self._touched([row.pk], after=revision):
            self.report.keep(row, "it was changed since")
            return
        before = dict(revision.before)
        parts = []
        if isinstance(row, Contact):
            wanted = {name: before.pop(name) for name in _PARTS & before.keys()}
            read = {
                name: list(values) if name == "tags" else [Labelled.read(one) for one in values]
                for name, values in wanted.items()
            }
            parts = list(parts_of(row, read))
        changes = {}
        for name, value in before.items():
            found: Any = row._meta.get_field(name)
            changes[found.attname] = found.to_python(value)
        try:
            funnel.update(
                row, changes, actor=self.actor, action="undo", reason=self.reason, parts=parts
            )
        except DomainError as error:
            self.report.keep(row, error.detail)
            return
        self.report.reverted[str(row._meta.verbose_name)] += 1

    # --- What was made --------------------------------------------------------------------

    def unlink(self) -> None:
        """Links have no Revisions of their own; they say themselves which run made them."""
        mine = {f"metadata__{IMPORT_RUN}": str(self.run.id)}
        while True:
            with self.steps.step():
                links = list(MemoryLink.objects.filter(**mine).order_by("id")[:BATCH])
                funnel.delete_many(links, actor=self.actor, reason=self.reason)
                self.report.removed["memory link"] += len(links)
            self.progress(self.report)
            if not links:
                return

    def remove(self, label: str) -> None:
        """The rows of one model; what points at what stays, stays. Where rows of a model go with
        others of it (tasks with their parents), those below go first."""
        model: Any = apps.get_model(label)
        nested = any(
            relation.related_model is model and getattr(relation.field, "cascade", False)
            for relation in model._meta.related_objects
        )
        while True:
            removed, kept = 0, _Staying()
            for ids in self.made.ids(label):
                with self.steps.step():
                    removed += self._remove(model, ids, kept)
                self.progress(self.report)
            if not (nested and removed and kept.rows):
                break
        self.report.staying[str(model._meta.verbose_name)] += kept.rows
        self.report.kept += kept.first[: max(0, MAX_KEPT - len(self.report.kept))]

    def _remove(self, model: Any, ids: list[uuid.UUID], kept: "_Staying") -> int:
        found = model.objects.filter(pk__in=ids)
        if issubclass(model, VersionedRow):
            found = found.select_for_update(no_key=True)
        rows = {row.pk: row for row in found}
        why = self._staying(model, rows)
        going = [row for pk, row in rows.items() if pk not in why]
        funnel.delete_many(going, actor=self.actor, reason=self.reason)
        self.report.removed[str(model._meta.verbose_name)] += len(going)
        for pk, text in why.items():
            kept.add(rows[pk], text)
        return len(going)

    def _staying(self, model: Any, rows: dict[uuid.UUID, Any]) -> dict[uuid.UUID, str]:
        why = dict.fromkeys(self._touched(list(rows)), "it was changed since")
        for relation in model._meta.related_objects:
            related: Any = relation.related_model
            column: Any = relation.field
            if related in _OWN or not issubclass(related, WorkspaceRow):
                continue
            if not getattr(column, "cascade", False) and relation.on_delete is not models.PROTECT:
                continue
            what = str(related._meta.verbose_name)
            for key in self._others(related, column.name, list(rows)):
                why.setdefault(key, f"it has a {what} that the import did not bring")
        return why

    def _others(self, related: Any, name: str, ids: list[uuid.UUID]) -> set[uuid.UUID]:
        """Which of `ids` have rows of `related` that are not of this run, and still there."""
        found: set[uuid.UUID] = set()
        held = related.objects.filter(**{f"{name}__in": ids})
        if issubclass(related, VersionedRow):
            # One of the run's own that is still here stays for a reason of its own.
            found.update(held.values_list(name, flat=True).distinct())
        else:
            later = held.filter(created_at__gt=self.until)
            for start, end in self.gone:
                later = later.exclude(created_at__gte=start, created_at__lte=end)
            found.update(later.values_list(name, flat=True).distinct())
        return found

    def _touched(self, ids: list[uuid.UUID], after: Revision | None = None) -> set[uuid.UUID]:
        """Those that somebody else changed. Index revision_object."""
        others = Revision.objects.filter(object_id__any_of=ids).exclude(channel="job")
        others = others.exclude(actor_id__in=[str(self.run.id), *self.undone])
        others = others.exclude(request_id__in=self.undone)
        others = others.filter(id__gt=after.id) if after else others.filter(id__gt=self.run.id)
        return set(others.values_list("object_id", flat=True))


def _row(revision: Revision) -> Any:
    model: Any = apps.get_model(revision.model)
    return model.objects.filter(pk=revision.object_id).first()


def _depth(label: str) -> int:
    """What is pointed at has the smaller one; links and other parts the largest."""
    labels = [model._meta.label_lower for model in ORDER]
    if label in ("contacts.agent", "contacts.tag"):
        return -1
    return labels.index(label) if label in labels else len(labels)
