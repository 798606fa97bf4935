"""Secrets out of rows, in the write funnel; and what each workspace added to what a secret is.

What comes in by the API, MCP, hooks, forms and importers was redacted when it was read, so that
names are looked up as they are stored. This is the wall behind that: no row is written without it.
"""

import time
import uuid
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from django.db import models

from config.lib.patterns import NOTHING, Extra, read_extra
from config.lib.redact import SHORTEST_SECRET, all_clean, redact
from config.lib.scope import in_scope, workspace_scope
from contacts.models import Workspace
from contacts.preferences import is_understood

# Fields that hold a secret because that is what they are for, and why. Nothing else may.
EXEMPT: Mapping[str, str] = {
    "contacts.workspace.settings": "holds what the product goes by; see clean_settings",
    "agent_sessions.pingchannel.target": "a webhook's address, which may be a secret itself",
    "agent_sessions.pingchannel.secret": "signs what is sent there",
}
# The key of a workspace's settings that holds what it added.
SETTING = "redaction"
# What a process may go on by after another one changed it, in seconds.
HELD_FOR = 5.0

_held: dict[uuid.UUID, tuple[float, Extra]] = {}


# --- What a workspace added -------------------------------------------------------------------


def extra_of(workspace_id: uuid.UUID, ask: bool = True) -> Extra:
    """As it was at most HELD_FOR ago; one row by its key. Without `ask`, as it was known last."""
    until, extra = _held.get(workspace_id, (0.0, NOTHING))
    if not ask or time.monotonic() < until:
        return extra
    if in_scope():
        extra = _read(workspace_id)
    else:
        with workspace_scope(workspace_id):
            extra = _read(workspace_id)
    if len(_held) > 10_000:
        _held.clear()
    _held[workspace_id] = time.monotonic() + HELD_FOR, extra
    return extra


def _read(workspace_id: uuid.UUID) -> Extra:
    rows = Workspace.objects.filter(pk=workspace_id).values_list("settings", flat=True)
    settings = rows.first() or {}
    return read_extra(settings.get(SETTING), settings.get("region"))


def forget_extra(workspace_id: uuid.UUID) -> None:
    """It was changed: this process reads it anew, when it next may."""
    _, last = _held.get(workspace_id, (0.0, NOTHING))
    _held[workspace_id] = 0.0, last


# --- Rows -------------------------------------------------------------------------------------


def clean(row: models.Model, *, only: Iterable[str] | None = None) -> None:
    """Take the secrets out of a row's texts and JSON, in place."""
    names = None if only is None else frozenset(only)
    fields = _fields(type(row)) if names is None else _fields_of(type(row), names)
    values = [
        (attname, personal, value)
        for attname, _, personal in fields
        if (value := getattr(row, attname))
    ]
    clean_already = not values or all_clean(value for _, _, value in values)
    for attname, personal, value in () if clean_already else values:
        try:
            redacted = redact(value, personal=personal)
        except RecursionError:
            continue  # the check that follows refuses it
        if redacted is not value:
            setattr(row, attname, redacted)
    if isinstance(row, Workspace) and (names is None or "settings" in names):
        row.settings = clean_settings(row.settings)


def cleaned(values: Mapping[str, Any], row: models.Model) -> dict[str, Any]:
    """The same for what a Revision keeps of a row and of its parts. Here no field is exempt."""
    found = {}
    for name, value in values.items():
        if name == "settings" and isinstance(row, Workspace):
            found[name] = clean_settings(value)
        else:
            found[name] = redact(value, personal=name not in _names(type(row))) if value else value
    return found


def clean_settings(settings: Any) -> Any:
    """A workspace's settings. What the product goes by stays, whatever a pattern finds in it: the
    patterns might well match their own text, and nothing works in the time zone `[REDACTED...`."""
    if not isinstance(settings, dict):
        return settings
    ours = {key: value for key, value in settings.items() if is_understood(key, value)}
    return redact({key: settings[key] for key in settings if key not in ours}) | ours


@cache
def _fields(model: type[models.Model]) -> tuple[tuple[str, str, bool], ...]:
    """(attribute, name, whether personal data goes too) of what may hold a secret."""
    return tuple(
        (field.attname, field.name, field.name not in _names(model))
        for field in model._meta.concrete_fields
        if f"{model._meta.label_lower}.{field.name}" not in EXEMPT and _may_hold_one(field)
    )


@lru_cache(maxsize=1000)
def _fields_of(
    model: type[models.Model], names: frozenset[str]
) -> tuple[tuple[str, str, bool], ...]:
    """Those that are named, or whose attributes are."""
    return tuple(one for one in _fields(model) if one[0] in names or one[1] in names)


@cache
def _names(model: type[models.Model]) -> frozenset[str]:
    """Fields and parts that name something: a person's name for it may be an address, and is
    looked up by it."""
    short = (field.name for field in model._meta.concrete_fields if _is_short(field))
    return frozenset({*short, "emails", "phones", "tags"})


def _is_short(field: Any) -> bool:
    return isinstance(getattr(field, "base_field", field), models.CharField)


def _may_hold_one(field: Any) -> bool:
    if isinstance(field, (models.GeneratedField, models.ForeignKey)) or field.choices:
        return False
    field = getattr(field, "base_field", field)
    if isinstance(field, models.CharField):
        return field.max_length is None or field.max_length >= SHORTEST_SECRET
    return isinstance(field, (models.TextField, models.JSONField))
