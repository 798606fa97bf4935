"""Revisions as people read them: who, when, through which door, and what changed, word by word."""

import difflib
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import QuerySet, Value
from django.db.models.functions import Coalesce, Left, NullIf
from django.utils.dateparse import parse_datetime

from config.lib.admin import show
from config.lib.db.together import read_together
from contacts.models import Revision
from contacts.selectors import history
from contacts.services.undo import Plan, as_of, plan

PER_PAGE = 50
# Comparing words is quadratic at worst; longer texts are shown side by side instead.
MAX_COMPARED = 20_000
# What follows from another field says nothing more to a person.
DERIVED = frozenset({"content_hash", "quote_hash", "sort_name", "references", "target_revision"})
# Deeper than this, JSON is shown as it is.
MAX_DEPTH, MAX_PATH = 8, 200
MAX_TITLE = 80
# What an unchanged stretch is cut to around a change.
CONTEXT_CHARACTERS = 160

# The id of a row -> what it is called.
Titles = Mapping[str, str]

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a compared text; `kind` is same, gone, new or cut."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of one Revision. `url` is where a changed link now leads."""

    label: str
    pieces: list[Piece]
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A Revision with its fields. What was made, or is gone, has nothing to compare with."""

    revision: Revision
    fields: list[FieldChange]

    @property
    def is_edit(self) -> bool:
        return bool(self.revision.before and self.revision.after)


def history_page(object_id: uuid.UUID, before: str | None) -> dict[str, Any]:
    """Template context: a page of an object's changes and the mark of the next one."""
    rows = history(object_id)
    if before:
        try:
            rows = rows.filter(id__lt=uuid.UUID(before))
        except ValueError:
            rows = rows.none()
    found = list(rows[: PER_PAGE + 1])
    more = found[PER_PAGE - 1].id if len(found) > PER_PAGE else None
    return {"changes": describe(found[:PER_PAGE]), "more": more}


def describe(revisions: Sequence[Revision]) -> list[Change]:
    """Revisions with their fields named and compared. One statement, for the names of the rows that
    they refer to; none where they refer to no row."""
    titles = _titles_of(
        (_model_of(row.model), values) for row in revisions for values in (row.before, row.after)
    )
    return [_described(row, titles) for row in revisions]


def _described(revision: Revision, titles: Titles) -> Change:
    model = _model_of(revision.model)
    names = dict.fromkeys([*revision.before, *revision.after])
    edit = bool(revision.before and revision.after)
    fields = []
    for name in names:
        old, new = revision.before.get(name), revision.after.get(name)
        if name in DERIVED or not (edit or old or new):
            continue  # zero and no, as every new row has them
        if edit and isinstance(old, dict) and isinstance(new, dict):
            fields += _parts(_label(model, name), old, new)
            continue
        pieces = compare(*(_readable(model, name, value, titles) for value in (old, new)))
        fields.append(FieldChange(_label(model, name), pieces, _url(model, name, new)))
    return Change(revision, fields)


def _parts(label: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[FieldChange]:
    """What differs in a JSON object, each value by its path."""
    found = []
    for key in dict.fromkeys([*old, *new]):
        was, now = old.get(key), new.get(key)
        path = f"{label} › {key}"[:MAX_PATH]
        if was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict) and label.count("›") < MAX_DEPTH:
            found += _parts(path, was, now)
        else:
            found.append(FieldChange(path, compare(plain(was), plain(now))))
    return found


def _titles_of(rows: Iterable[tuple[type[models.Model] | None, Mapping[str, Any]]]) -> Titles:
    """What the rows that these values refer to are called now. By primary keys."""
    wanted: dict[type[models.Model], set[str]] = {}
    for model, values in rows:
        for of, name, value in _values(model, values):
            field = _field(of, name)
            if isinstance(field, models.ForeignKey) and _is_id(value):
                wanted.setdefault(field.related_model, set()).add(value)
    asked: dict[str, QuerySet[Any, Any]] = {}
    for model, ids in wanted.items():
        columns = {field.name for field in model._meta.concrete_fields}
        known = [Left(column, MAX_TITLE) for column in _TITLES if column in columns]
        if known and "id" in columns:
            title = Coalesce(*(NullIf(one, Value("")) for one in known), Value(""))
            referred = model._default_manager.filter(id__in=ids)
            asked[model._meta.label_lower] = referred.values("id", title_now=title)
    return {
        str(row["id"]): " ".join(row["title_now"].split())
        for found in read_together(asked).values()
        for row in found
    }


def _values(
    model: type[models.Model] | None, values: Mapping[str, Any]
) -> Iterator[tuple[type[models.Model] | None, str, Any]]:
    """(model, field's name, value) of a row and of the rows that are kept with it."""
    parts = getattr(model, "kept_with", {})
    for name, value in values.items():
        if name not in parts or not isinstance(value, list):
            yield model, name, value
            continue
        part = apps.get_model(parts[name])
        for row in value:
            if isinstance(row, dict):
                yield from ((part, key.removesuffix("_id"), one) for key, one in row.items())


def _is_id(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(uuid.UUID(value))
    except ValueError:
        return False


def _readable(model: type[models.Model] | None, name: str, value: Any, titles: Titles) -> str:
    """A value as text; times as people read them, rows by what they are called."""
    field = _field(model, name)
    if isinstance(value, str) and isinstance(field, models.DateTimeField):
        moment = parse_datetime(value)
        return show.exact(moment) if moment else value
    if isinstance(value, str) and isinstance(field, models.ForeignKey):
        return titles.get(value) or value
    if name in getattr(model, "kept_with", {}) and isinstance(value, list):
        return plain([_named(row, titles) for row in value])
    return plain(value)


def _named(row: Any, titles: Titles) -> Any:
    """A row that is kept with another, its references by what they are called."""
    if not isinstance(row, dict):
        return row
    return {
        key: titles.get(value) or value if isinstance(value, str) else value
        for key, value in row.items()
    }


def plain(value: Any, indent: str = "") -> str:
    """A recorded JSON value as text: objects and lists a line for each entry."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if not isinstance(value, (dict, list)):
        return str(value)
    if len(indent) > MAX_DEPTH:
        return orjson.dumps(value).decode()
    marked = value.items() if isinstance(value, dict) else (("–", one) for one in value)
    lines = []
    for key, one in marked:
        text = plain(one, indent + "  ")
        nested = isinstance(one, (dict, list)) and "\n" in text
        mark = f"{indent}{key}:" if isinstance(value, dict) else f"{indent}{key}"
        lines.append(f"{mark}\n{text}" if nested else f"{mark} {text.strip()}")
    return "\n".join(lines)


def compare(old: str, new: str) -> list[Piece]:
    """The pieces of `new` with what is gone from `old` between them."""
    if not old or not new or len(old) + len(new) > MAX_COMPARED:
        return [Piece(kind, text) for kind, text in (("gone", old), ("new", new)) if text]
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    if matcher.quick_ratio() < 0.3:  # two different texts: mixing them would be unreadable
        return [Piece("gone", old), Piece("new", new)]
    pieces: list[Piece] = []
    gone = new = ""
    for tag, a1, a2, b1, b2 in [*matcher.get_opcodes(), ("end", 0, 0, 0, 0)]:
        was, now = "".join(before[a1:a2]), "".join(after[b1:b2])
        if tag == "equal" and was.isspace() and (gone or new):
            gone, new = gone + was, new + now  # words changed on both sides read as one change
        elif tag in ("equal", "end"):
            pieces += [Piece(kind, text) for kind, text in (("gone", gone), ("new", new)) if text]
            pieces += _shorten(was, first=a1 == 0, last=a2 == len(before)) if was else []
            gone = new = ""
        else:
            gone, new = gone + was, new + now
    return pieces


def _shorten(text: str, *, first: bool, last: bool) -> list[Piece]:
    if len(text) <= 2 * CONTEXT_CHARACTERS:
        return [Piece("same", text)]
    head = [] if first else [Piece("same", text[:CONTEXT_CHARACTERS])]
    tail = [] if last else [Piece("same", text[-CONTEXT_CHARACTERS:])]
    return [*head, Piece("cut", "…"), *tail]


def _model_of(label: str) -> type[models.Model] | None:
    """None where the model of an old Revision is gone."""
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None


def _field(model: type[models.Model] | None, name: str) -> Any:
    if model is None:
        return None
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _label(model: type[models.Model] | None, name: str) -> str:
    field = _field(model, name)
    return str(getattr(field, "verbose_name", name.replace("_", " "))).capitalize()


def _url(model: type[models.Model] | None, name: str, value: Any) -> str | None:
    field = _field(model, name)
    if value and isinstance(field, models.ForeignKey):
        return show.change_url(field.related_model._meta.label_lower, value)
    return None


@dataclass(frozen=True, slots=True)
class Undoing:
    """What taking a change back would do, as its page shows it: each field as it is and as it would
    be, with those marked that were changed once more since."""

    plan: Plan
    fields: list[FieldChange]
    since: list[str]


def undoing(revision: Revision) -> Undoing:
    planned = plan(revision)
    model = _model_of(revision.model)
    now = {} if planned.restores else {**revision.after, **planned.since}
    titles = _titles_of([(model, now), (model, planned.changes)])
    fields = [
        FieldChange(
            _label(model, name),
            compare(
                _readable(model, name, now.get(name), titles),
                _readable(model, name, value, titles),
            ),
            _url(model, name, value),
        )
        for name, value in planned.changes.items()
        if name not in DERIVED and (value or not planned.restores)
    ]
    return Undoing(planned, fields, [_label(model, name) for name in planned.since])


def as_it_was(revision: Revision) -> list[FieldChange]:
    """All that is recorded of the object, just after that change. Empty where it was gone."""
    values = as_of(revision.model, revision.object_id, revision.created_at) or {}
    model = _model_of(revision.model)
    titles = _titles_of([(model, values)])
    return [
        FieldChange(
            _label(model, name), [Piece("same", _readable(model, name, value, titles))],
            _url(model, name, value),
        )
        for name, value in values.items()
        if name not in DERIVED
    ]  # fmt: skip


# Where a row says what it is, in the order tried.
_TITLES = ("name", "title", "text", "email", "slug", "prompt")


def summary(revision: Revision) -> str:
    """In a list: the fields that changed, or what was made or went."""
    if revision.before and revision.after:
        return ", ".join(name.replace("_", " ") for name in revision.after)
    row = revision.after or revision.before
    title = next((str(row[name]) for name in _TITLES if row.get(name)), "")
    return f"“{title}”" if title else ""
