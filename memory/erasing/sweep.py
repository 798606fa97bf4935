"""What is erased, in the words of other rows: found in every table of the workspace, and struck.

Which columns hold text follows from the models, so a table that is added is swept too. A text that
says one of the phrases goes as a whole. A phrase that is spread over several values of a JSON
object, or written inside another word, is not found.
"""

import contextlib
import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Cast, Length, Lower, StrIndex

from config.lib.db.models import WorkspaceRow
from config.lib.wording import ERASED, Phrases
from contacts.models import IdempotencyKey, Revision, RevisionSeal, Tombstone
from memory.models import (
    DayCount,
    EmbeddingSpace,
    GoldenQuery,
    GoldenResult,
    HookPayload,
    ImportRun,
    Lesson,
    Passage,
    Receipt,
    RowCount,
    SearchFeedback,
)
from sessions.models import Handoff, Mission, Notification, Ping, RawLine, StagedContent

Model = type[WorkspaceRow]
AT_ONCE = 500
# Derived from other rows, or without a word; answers and changes are looked through by themselves.
_LEFT_OUT: frozenset[Model] = frozenset(
    {DayCount, EmbeddingSpace, IdempotencyKey, Passage, Revision, RevisionSeal, RowCount, Tombstone}
)
# What repeats others' words. Of a session, whose sentences anybody may say, only these.
COPIES: frozenset[Model] = frozenset(
    {
        GoldenQuery, GoldenResult, Handoff, HookPayload, ImportRun, Lesson, Mission, Notification,
        Ping, Receipt, SearchFeedback, StagedContent,
    }
)  # fmt: skip
# Of an erasure that waits: it empties this itself.
_NOT_TEXT = frozenset({"wanted"})


def swept(copies_only: bool) -> list[Model]:
    every = [
        model
        for model in apps.get_models()
        if issubclass(model, WorkspaceRow) and model not in _LEFT_OUT and text_fields(model)
    ]
    return [model for model in every if model in COPIES] if copies_only else every


@cache
def text_fields(model: Model) -> tuple[Any, ...]:
    """Those that hold what somebody said, not one of a few given words."""
    found = []
    for field in model._meta.concrete_fields:
        base = field.base_field if isinstance(field, ArrayField) else field
        if isinstance(field, models.GeneratedField) or field.name in _NOT_TEXT:
            continue
        says = isinstance(base, (models.CharField, models.TextField, models.JSONField))
        if says and not getattr(base, "choices", None):
            found.append(field)
    return tuple(found)


def rows_saying(model: Model, phrases: Phrases, fields: Sequence[Any] = ()) -> Iterator[Any]:
    """Rows of `model` one of whose texts says one of `phrases`, as they come."""
    fields = fields or text_fields(model)
    rows = model.objects.filter(_may_say(fields, phrases)).order_by("pk").defer(None)
    for row in rows.iterator(chunk_size=AT_ONCE):
        if any(phrases.are_in_any(_said(row, field)) for field in fields):
            yield row


def _said(row: Any, field: Any) -> Any:
    value = getattr(row, field.attname)
    if isinstance(row, RawLine) and field.name == "raw":
        with contextlib.suppress(orjson.JSONDecodeError):
            return [orjson.loads(value), value]
    return value


def _may_say(fields: Sequence[Any], phrases: Phrases) -> Q:
    """By a word of it, where that is plain: the database reads a table faster than we do. What has
    other letters may write it otherwise (full width, no-width letters within, a sharp s)."""
    needles = phrases.needles()
    if needles is None or len(needles) + len(phrases.numbers()) > 20:
        return Q()
    found = Q()
    for field in fields:
        text = Lower(Cast(field.name, models.TextField()))
        for needle in (*needles, "\\u"):
            found |= Q(models.lookups.GreaterThan(StrIndex(text, Value(needle)), 0))
        for number in phrases.numbers():
            found |= Q(models.lookups.Regex(text, "[^0-9]{0,5}".join(number)))
        found |= Q(models.lookups.GreaterThan(_Octets(text), Length(text)))
    return found


class _Octets(models.Func):
    function, output_field = "octet_length", models.IntegerField()


def struck(row: Any, phrases: Phrases) -> dict[str, Any]:
    """By field, what stands in place of the texts of a row that say one of `phrases`."""
    changes: dict[str, Any] = {}
    model: Model = type(row)
    for field in text_fields(model):
        value = getattr(row, field.attname)
        if not value or not phrases.are_in_any(_said(row, field)):
            continue
        if isinstance(row, RawLine) and field.name == "raw":
            changes |= _struck_line(value, phrases)
        elif isinstance(field, models.CharField) and not isinstance(field, models.TextField):
            changes[field.name] = _label(row, field)
        else:
            changes[field.name] = phrases.strike(value)
    return changes


def _label(row: Any, field: Any) -> str:
    """Names are told apart by, and may have to be unique."""
    tail = row.pk.hex[-8:]
    text = f"erased-{tail}" if isinstance(field, models.SlugField) else f"[erased {tail}]"
    return text[: field.max_length]


def _struck_line(raw: str, phrases: Phrases) -> dict[str, Any]:
    """A transcript's line stays one that can be read, in its place; the digest is of what it is."""
    try:
        line = orjson.dumps(phrases.strike(orjson.loads(raw))).decode()
    except orjson.JSONDecodeError:
        line = ERASED
    if phrases.are_in(line):
        # A phrase whose words lie in several of its values.
        line = orjson.dumps({"text": ERASED}).decode()
    return {"raw": line, "digest": hashlib.sha256(line.encode()).digest()}


def revisions_saying(phrases: Phrases, changes: models.QuerySet[Revision]) -> Iterator[uuid.UUID]:
    wanted = ("before", "after", "reason", "actor_label")
    fields = [Revision._meta.get_field(name) for name in wanted]
    rows = changes.filter(_may_say(fields, phrases))
    values = rows.order_by("pk").values_list("pk", *wanted)
    for pk, *texts in values.iterator(chunk_size=AT_ONCE):
        if phrases.are_in_any(texts):
            yield pk


def answers_saying(phrases: Phrases, ids: set[uuid.UUID]) -> Iterator[uuid.UUID]:
    """Kept answers to requests that say it, or that name what goes. They live for a day."""
    names = {str(pk) for pk in ids}
    rows = IdempotencyKey.objects.values_list("pk", "body", "headers")
    for pk, body, headers in rows.iterator(chunk_size=AT_ONCE):
        text = bytes(body).decode(errors="replace")
        try:
            said: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            said = text
        if mentions(said, names) or mentions(headers, names) or phrases.are_in_any(said):
            yield pk


def mentions(value: Any, names: set[str]) -> bool:
    """Whether a JSON value has one of these ids, by itself or at the end of an address."""
    if isinstance(value, str):
        return value in names or value.rpartition("/")[2] in names
    if isinstance(value, Mapping):
        return any(key in names for key in value) or any(
            mentions(one, names) for one in value.values()
        )
    if isinstance(value, (list, tuple)):
        return any(mentions(one, names) for one in value)
    return False
