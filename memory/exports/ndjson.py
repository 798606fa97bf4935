"""All of a workspace, one row a line: docs/export.md describes it. Streamed, as of one moment.

The first line says what the file is, the last one how many rows of each kind came before it and
the SHA-256 of all bytes before it: a file without that line was cut off.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

import orjson
from django.db import models

from contacts.models import Workspace
from contacts.services.funnel import plain
from memory.exports.kinds import Model, fields
from memory.exports.moment import changed_column, chosen, one_moment

FORMAT, VERSION = "remembrancer-export", 1
# Each may bring a body of a megabyte.
BATCH = 200


def export_lines(
    workspace: Workspace, *, since: datetime | None = None, only: Collection[str] = ()
) -> Iterator[bytes]:
    """The file's lines. Outside any scope: all of it is one transaction that sees one moment.

    `since` leaves out rows that nobody changed since (of rows that never change, those made
    before); `only` names kinds.
    """
    written: Counter[str] = Counter()
    digest = hashlib.sha256()
    for line in _lines(workspace, since, only, written):
        digest.update(line)
        yield line
    yield dumped({"manifest": {"rows": dict(written), "sha256": digest.hexdigest()}})


def _lines(
    workspace: Workspace, since: datetime | None, only: Collection[str], written: Counter[str]
) -> Iterator[bytes]:
    wanted = chosen(only)
    with one_moment(workspace.id):
        head = Workspace.objects.get(pk=workspace.pk)
        yield dumped(
            {
                "format": FORMAT,
                "version": VERSION,
                "workspace": {f.attname: getattr(head, f.attname) for f in head._meta.fields},
                "kinds": list(wanted),
                "since": since,
            }
        )
        for kind, model in wanted.items():
            for row in _rows(model, since):
                written[kind] += 1
                yield dumped({"kind": kind, "row": values(row)})


def _rows(model: Model, since: datetime | None) -> Iterator[Any]:
    """In the order of their ids, a batch at a time."""
    rows = model.objects.order_by("pk").defer(None)
    if since is not None:
        rows = rows.filter(**{f"{changed_column(model)}__gte": since})
    last: uuid.UUID | None = None
    while True:
        batch = list((rows if last is None else rows.filter(pk__gt=last))[:BATCH])
        yield from batch
        if len(batch) < BATCH:
            return
        last = batch[-1].pk


def values(row: models.Model) -> dict[str, Any]:
    """A row as a line has it: column -> value; bytes in hexadecimal."""
    return {f.attname: getattr(row, f.attname) for f in fields(type(row))}


def dumped(value: Any) -> bytes:
    """A line of JSON."""
    try:
        return orjson.dumps(value, default=_default) + b"\n"
    except TypeError:
        # An integer of more than 64 bits, which jsonb can hold.
        text = json.dumps(value, default=_default, ensure_ascii=False, separators=(",", ":"))
        return text.encode() + b"\n"


def dumped_row(row: models.Model) -> bytes:
    """A row's values as a line would have them, for comparing."""
    return dumped(values(row))


def _default(value: Any) -> Any:
    found = plain(value)
    return str(value) if found is value else found
