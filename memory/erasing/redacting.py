"""Taking secrets out of what is stored: what came before a form or a workspace's pattern was known.

New rows are redacted as they come (contacts/services/redaction.py); this goes through the old ones
with the same rules, table by table in the order of their keys, a transaction for each part. What is
found is struck as an erasure strikes words: its passages and vectors are made anew, Revisions that
say it are emptied and keep their digests, kept answers go. By the owner's login: the runtime role
may change neither history nor what is written once. Killed at any moment, it is begun again.
"""

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.apps import apps
from django.db import IntegrityError, models, transaction
from django.db.models import CharField

from config.lib.actor import Actor
from config.lib.db.models import WorkspaceRow
from config.lib.db.owner import as_owner
from config.lib.redact import redact
from config.lib.scope import workspace_scope
from config.lib.shorten import beginning
from contacts.models import IdempotencyKey, Revision, Workspace
from contacts.services import funnel, redaction, seals
from memory.counted import START
from memory.erasing import sweep
from memory.erasing.indexes import reindex
from memory.models import Memory
from memory.services.memories import content_hash
from sessions.models import RawLine

Model = type[WorkspaceRow]
# Rows that are read at once; a message may have megabytes. Changes and answers are short.
BATCH, SHORT_BATCH = 100, 500
_MARK = re.compile(r"\[REDACTED:([\w .-]+?)[:\]]")
Progress = Callable[[str], None]


@dataclass(slots=True)
class Redacted:
    """What was found, by table: how many rows, and how many secrets of each kind in them. With
    `dry_run` nothing was written. `changes` of the history were emptied, `answers` removed;
    `kept` are rows that could not be written, as (table, id)."""

    dry_run: bool
    rows: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    changes: int = 0
    answers: int = 0
    kept: list[tuple[str, str]] = field(default_factory=list)

    def note(self, table: str, found: Counter[str]) -> None:
        self.rows[table] += 1
        self.kinds.setdefault(table, Counter()).update(found)

    def as_dict(self) -> dict[str, Any]:
        return {
            "dry_run": self.dry_run,
            "tables": {
                table: {"rows": self.rows[table], "kinds": dict(sorted(self.kinds[table].items()))}
                for table in sorted(self.rows)
            },
            "changes": self.changes,
            "answers": self.answers,
            "kept": [{"table": table, "id": pk} for table, pk in self.kept],
        }


def redact_stored(
    workspace_id: uuid.UUID,
    *,
    actor: Actor,
    dry_run: bool,
    progress: Progress = lambda text: None,
) -> Redacted:
    """Go through all that a workspace has; with `dry_run` only count. Outside any scope. Conflict
    (`no_owner_login`) where it is to write and no owner's login is known."""
    report = Redacted(dry_run)
    with nullcontext() if dry_run else as_owner("take secrets out of what is stored"):
        for model in sweep.swept(copies_only=False):
            progress(f"looking through {model._meta.verbose_name_plural}")
            _rows(workspace_id, model, report, actor)
        progress("looking through changes")
        _own_row(workspace_id, report, actor)
        _changes(workspace_id, report)
        _answers(workspace_id, report)
    return report


# --- Rows -------------------------------------------------------------------------------------


def _rows(workspace_id: uuid.UUID, model: Model, report: Redacted, actor: Actor) -> None:
    table = str(model._meta.verbose_name)
    after = START
    while True:
        with workspace_scope(workspace_id):
            rows = list(model.objects.filter(pk__gt=after).order_by("pk").defer(None)[:BATCH])
            dirty = [row.pk for row in rows if _cleaned(row)]
            if report.dry_run:
                _count(model, dirty, table, report)
            elif dirty:
                _write(model, dirty, table, report, actor)
        if len(rows) < BATCH:
            return
        after = rows[-1].pk


def _cleaned(row: Any) -> dict[str, Any]:
    """By field, what stands in place of texts that hold a secret; the row has it then."""
    model: Model = type(row)
    names = [one.name for one in sweep.text_fields(model)]
    before = {name: getattr(row, name) for name in names}
    redaction.clean(row, only=names)
    return {name: getattr(row, name) for name in names if getattr(row, name) != before[name]}


def _read(model: Model, ids: list[uuid.UUID], *, lock: bool) -> Iterator[Any]:
    rows = model.objects.filter(pk__any_of=ids).order_by("pk").defer(None)
    yield from rows.select_for_update(no_key=True) if lock else rows


def _count(model: Model, ids: list[uuid.UUID], table: str, report: Redacted) -> None:
    for row in _read(model, ids, lock=False) if ids else ():
        before = _told(row)
        if _cleaned(row):
            report.note(table, _told(row) - before)


def _write(model: Model, ids: list[uuid.UUID], table: str, report: Redacted, actor: Actor) -> None:
    written = []
    # Locked and looked at once more: somebody may have changed one since.
    for row in _read(model, ids, lock=True):
        before = _told(row)
        changes = _cleaned(row)
        if not changes:
            continue
        try:
            with transaction.atomic():
                funnel.strike([row], _fitting(row, changes), actor=actor, action="redact")
        except IntegrityError:
            # Two of a name that was told apart by a secret.
            report.kept.append((table, str(row.pk)))
            continue
        report.note(table, _told(row) - before)
        written.append(row.pk)
    if written:
        reindex(model, written, actor)


def _told(row: Any) -> Counter[str]:
    """How many marks of each kind its texts have."""
    model: Model = type(row)
    return _marks([getattr(row, one.name) for one in sweep.text_fields(model)])


def _marks(value: Any) -> Counter[str]:
    return Counter(_MARK.findall(str(value)))


def _fitting(row: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A mark may be longer than what it stands for. With what follows from a text."""
    fitting = dict(changes)
    for name, value in changes.items():
        field = row._meta.get_field(name)
        longest = getattr(field, "max_length", None)
        if isinstance(value, str) and longest is not None:
            personal = not isinstance(field, CharField)
            fitting[name] = beginning(value, longest, personal=personal)
    if isinstance(row, RawLine) and "raw" in fitting:
        fitting["digest"] = hashlib.sha256(fitting["raw"].encode()).digest()
    if isinstance(row, Memory) and "text" in fitting:
        fitting |= {"content_hash": content_hash(fitting["text"]), "repeat_key": ""}
    return fitting


def _own_row(workspace_id: uuid.UUID, report: Redacted, actor: Actor) -> None:
    """The workspace's own name and settings, but for its patterns."""
    with workspace_scope(workspace_id):
        row = Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
        before = (row.name, row.settings)
        redaction.clean(row, only=["name", "settings"])
        if (row.name, row.settings) == before:
            return
        report.note("workspace", _marks([row.name, row.settings]) - _marks(before))
        if not report.dry_run:
            fitting = _fitting(row, {"name": row.name, "settings": row.settings})
            Workspace.objects.filter(pk=row.pk).update(**fitting)
            after = {"erased": ["name", "settings"]}
            funnel.record(row, "redact", actor=actor, before={}, after=after)


# --- The history and kept answers -------------------------------------------------------------


def _changes(workspace_id: uuid.UUID, report: Redacted) -> None:
    table, after = str(Revision._meta.verbose_name), START
    while True:
        with workspace_scope(workspace_id):
            rows = list(
                Revision.objects.filter(pk__gt=after, erased_at=None).order_by("pk")[:SHORT_BATCH]
            )
            dirty = []
            for row in rows:
                said = (row.before, row.after, row.reason, row.actor_label)
                clean = _clean_change(row)
                if clean != said:
                    report.note(table, _marks(clean) - _marks(said))
                    dirty.append(row.pk)
            report.changes += len(dirty)
            if dirty and not report.dry_run:
                seals.empty(Revision.objects.filter(pk__any_of=dirty, erased_at=None))
        if len(rows) < SHORT_BATCH:
            return
        after = rows[-1].pk


def _clean_change(row: Revision) -> tuple[Any, ...]:
    try:
        of: models.Model | None = apps.get_model(row.model)()
    except (LookupError, ValueError):
        of = None  # Of a release that had such a table.
    bodies = [
        redact(body) if of is None else redaction.cleaned(body, of)
        for body in (row.before, row.after)
    ]
    return (*bodies, redact(row.reason, personal=True), redact(row.actor_label))


def _answers(workspace_id: uuid.UUID, report: Redacted) -> None:
    """They live for a day; without one, a request that is sent again is done again."""
    with workspace_scope(workspace_id):
        dirty = []
        rows = IdempotencyKey.objects.values_list("pk", "body", "headers")
        for pk, body, headers in rows.iterator(chunk_size=BATCH):
            said: Any = bytes(body).decode(errors="replace")
            with suppress(orjson.JSONDecodeError):
                said = orjson.loads(said)
            if redact(said, personal=True) != said or redact(headers) != headers:
                dirty.append(pk)
        report.answers = len(dirty)
        if dirty and not report.dry_run:
            IdempotencyKey.objects.filter(pk__any_of=dirty).delete()
