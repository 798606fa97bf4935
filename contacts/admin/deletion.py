"""What goes when a row goes, counted to a limit instead of read: the database does the deleting."""

from collections.abc import Sequence
from typing import Any

from django.db import models

from config.lib.db.fields import ScopedForeignKey
from contacts.admin.listing import bounded_count

# Enough to say "many"; the page must not take seconds to ask a question.
LIMIT = 1_000
MAX_NAMED = 20


def consequences(
    rows: Sequence[models.Model],
) -> tuple[list[str], dict[str, str], list[str]]:
    """(rows named, {what goes or is unlinked: how many}, what forbids it)."""
    named = [str(row) or str(row.pk) for row in rows[:MAX_NAMED]]
    if len(rows) > MAX_NAMED:
        named.append(f"and {len(rows) - MAX_NAMED:,} more")
    if not rows:
        return named, {}, []
    model = type(rows[0])
    counts = {str(model._meta.verbose_name_plural): f"{len(rows):,}"}
    forbidden = []
    keys = [row.pk for row in rows]
    for relation in model._meta.related_objects:
        field: Any = relation.field
        if not isinstance(field, ScopedForeignKey):
            continue
        related: Any = relation.related_model
        found = bounded_count(related.objects.filter(**{f"{field.name}__in": keys}), LIMIT)
        if not found:
            continue
        name = str(related._meta.verbose_name_plural)
        if field.cascade:
            counts[name] = str(found) if found >= LIMIT else f"{found:,}"
        elif field.null:
            counts[f"{name} that stay, without this {field.verbose_name}"] = str(found)
        else:
            forbidden.append(f"{found} {name} belong to it; move or delete them first")
    return named, counts, forbidden
