"""From what people and agents type to a row's id: full ids, and the short ones lists show.

Not for names; what has a name is looked up by its own selector.
"""

import uuid
from typing import Any, TypeVar

from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Cast, Replace, Right

from config.lib.db.models import WorkspaceRow
from config.lib.errors import Conflict, NotFound
from config.lib.ids import read_id

R = TypeVar("R", bound=WorkspaceRow)


def find_id(
    model: type[WorkspaceRow], text: str, *, what: str = "", check: bool = True
) -> uuid.UUID:
    """The id of the row of this workspace that `text` names. NotFound, or Conflict if several.

    A full id costs a look at the primary key, or nothing with check=False, for callers whose
    service looks the row up anyway. A shortened one is compared with every id of the
    workspace, in the primary key's index alone: an index on the tail would not be used, because
    under row-level security only leakproof operators reach an index, and text functions are not.
    """
    noun = what or str(model._meta.verbose_name)
    wanted = read_id(text)
    if wanted is None:
        raise NotFound(noun, text)
    if isinstance(wanted, uuid.UUID):
        if check and not model.objects.filter(pk=wanted).exists():
            raise NotFound(noun, text)
        return wanted
    digits: Any = Replace(Cast("pk", TextField()), Value("-"), Value(""))
    found = list(
        model.objects.annotate(tail=Right(digits, len(wanted)))
        .filter(tail=wanted)
        .order_by()
        .values_list("pk", flat=True)[:2]
    )
    if not found:
        raise NotFound(noun, text)
    if len(found) > 1:
        raise Conflict(
            f"More than one {noun} has an id ending in {wanted}; give more of it.",
            code="ambiguous_id",
        )
    row_id: uuid.UUID = found[0]
    return row_id


def find_row(rows: QuerySet[R], text: str, *, what: str = "") -> R:
    """The one of `rows` that `text` names, or NotFound; Conflict if several."""
    row = rows.filter(pk=find_id(rows.model, text, what=what, check=False)).first()
    if row is None:
        raise NotFound(what or str(rows.model._meta.verbose_name), text)
    return row


def find_row_id(model: type[WorkspaceRow], text: str | None, *, what: str = "") -> uuid.UUID | None:
    """The same for a reference that may be absent."""
    return None if text is None else find_id(model, text, what=what)
