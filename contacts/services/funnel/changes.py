"""What changes over a row come to: which of its fields differ, as they were and as they are now."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models

from contacts.services.funnel.checks import check
from contacts.services.funnel.values import HIDDEN, plain

Strike = Callable[[models.Model, Iterable[str]], None]


@dataclass(frozen=True, slots=True)
class Differing:
    """The attributes, and by name the JSON values that a Revision keeps; nothing where none is."""

    attnames: tuple[str, ...]
    was: Mapping[str, Any]
    now: Mapping[str, Any]


def assign(row: models.Model, changes: Mapping[str, Any], strike: Strike) -> Differing:
    """Set fields of a row, have `strike` look at them (tombstones.striker), and check them. Raises
    Invalid naming those that cannot be stored."""
    before = _values(row, changes)
    for name, value in changes.items():
        setattr(row, name, value)
    strike(row, changes)
    check(row, only=changes.keys())
    after = _values(row, changes)
    names = [name for name in changes if before[name] != after[name]]
    return Differing(
        tuple(_attname(row, name) for name in names),
        {name: _shown(name, before[name]) for name in names},
        {name: _shown(name, after[name]) for name in names},
    )


def _values(row: models.Model, names: Iterable[str]) -> dict[str, Any]:
    return {name: plain(getattr(row, _attname(row, name))) for name in names}


def _shown(name: str, value: Any) -> Any:
    return "(hidden)" if name in HIDDEN and value else value


def _attname(row: models.Model, name: str) -> str:
    return str(row._meta.get_field(name).attname)  # type: ignore[union-attr]
