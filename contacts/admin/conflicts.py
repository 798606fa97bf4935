"""Two people, one row: what the page shows when it was changed since it was opened.

Nothing is written. The person sees three values for each field in question (when they opened it,
now, theirs), and the form again with the row as it is now and their own changes over it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from config.lib.db.models import VersionedRow
from contacts.admin.forms import RowForm
from contacts.models import Revision
from contacts.selectors import history


@dataclass(frozen=True, slots=True)
class Clash:
    """One field in question. Values are as the page shows them."""

    label: str
    opened: str
    now: str
    yours: str
    both: bool


@dataclass(frozen=True, slots=True)
class Conflict:
    """`kept` holds the person's own changes; `last` is the change they had not seen."""

    clashes: list[Clash]
    kept: dict[str, Any]
    last: Revision | None


def find_conflict(row: VersionedRow, form: RowForm, seen: int | None) -> Conflict | None:
    """None where `seen` is the row's version. `form` is bound to what was sent, over a copy."""
    if seen == row.version:
        return None
    unseen = list(history(row.pk)[: max(row.version - (seen or 0), 1)])
    # The oldest change of a field that the person had not seen tells what they saw.
    opened = {name: value for revision in unseen for name, value in revision.before.items()}
    clashes, kept = [], {}
    form.is_valid()
    for name, field in form.fields.items():
        current = form.get_initial_for_field(field, name)
        before = _value(row, name, opened[name]) if name in opened else current
        sent = field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))
        mine = field.has_changed(before, sent)
        theirs = name in opened
        if mine:
            kept[name] = form.cleaned_data.get(name, sent)
        if mine or theirs:
            clashes.append(
                Clash(
                    label=str(field.label or name),
                    opened=_shown(before),
                    now=_shown(current),
                    yours=_shown(form.cleaned_data.get(name, sent)) if mine else "",
                    both=mine and theirs,
                )
            )
    return Conflict(clashes, kept, unseen[0] if unseen else None)


def _value(row: models.Model, name: str, plain: Any) -> Any:
    """A Revision's JSON value as the field's own type."""
    # What is no column (a contact's emails) is in a Revision as its form has it.
    field = next((f for f in row._meta.concrete_fields if f.name == name), None)
    try:
        return plain if field is None else field.to_python(plain)
    except ValidationError:
        return plain


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {item}" for key, item in value.items())
    return "" if value is None else str(value)
