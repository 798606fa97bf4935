"""Columns that say how a row is used (when it was seen, how often recalled): written without
version, Revision or announcement, but through the same checks."""

from collections.abc import Mapping, Sequence
from typing import Any

from config.lib.db.bulk import update_values
from config.lib.db.models import WorkspaceRow
from contacts.services.funnel.checks import check
from contacts.services.funnel.values import R


def touch(row: R, **telemetry: Any) -> None:
    """Write telemetry columns: no version, no Revision, no announcement."""
    for name, value in telemetry.items():
        setattr(row, name, value)
    check(row, only=telemetry.keys())
    type(row).objects.filter(pk=row.pk).update(**{n: getattr(row, n) for n in telemetry})


def touch_all(rows: Sequence[R], **telemetry: Any) -> None:
    """`touch` for several rows of one model, each given the same values. One statement."""
    for row in rows:
        for name, value in telemetry.items():
            setattr(row, name, value)
        check(row, only=telemetry.keys())
    if rows:
        wanted = type(rows[0]).objects.filter(pk__in=[row.pk for row in rows])
        wanted.update(**{name: getattr(rows[0], name) for name in telemetry})


def touch_each(telemetry: Sequence[tuple[WorkspaceRow, Mapping[str, Any]]]) -> None:
    """`touch` for several rows of one model, each with values of its own for the same columns. One
    statement."""
    for row, values in telemetry:
        for name, value in values.items():
            setattr(row, name, value)
        check(row, only=values.keys())
    if telemetry:
        # As the check left them.
        rows = [
            {"id": row.pk, **{name: getattr(row, name) for name in values}}
            for row, values in telemetry
        ]
        update_values(type(telemetry[0][0]), list(telemetry[0][1]), rows)
