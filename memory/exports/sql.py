"""All of a workspace as plain SQL (docs/export.md), for psql. Streamed, as of one moment.

One transaction of INSERTs for a database that `manage.py migrate` has made: COPY is refused under
row-level security, and these load as whoever may work there. Each table comes after those that it
refers to; a row that refers to a later one of its own table is given that at the end. Nothing
else has to be taken care of: ids are UUIDs, there are no sequences and no triggers, and generated
columns generate themselves.
"""

import hashlib
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, models
from psycopg import sql

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import VersionedRow
from contacts.models import Workspace
from memory.exports.kinds import Model, fields, kind_of
from memory.exports.moment import changed_column, chosen, one_moment
from memory.exports.ndjson import dumped

FORMAT, VERSION = "remembrancer-sql", 1
# Rows read at a time, of which each may bring a body of a megabyte; and those of one statement.
BATCH = 200
STATEMENT_ROWS, STATEMENT_BYTES = 100, 1_000_000

_HEAD = """\
-- {about}
-- Everything{part} of the workspace {slug} of Remembrancer, as of one moment. To load it into a
-- database that `manage.py migrate` of the same release has made, as the runtime role, the tables'
-- owner or the server's administrator:
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f FILE
-- It is one transaction: all of it is there afterwards, or nothing. What searches read follows from
-- these rows: `manage.py verify --fix` makes it. The last line has the SHA-256 of all before it.
BEGIN;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL app.workspace = '{id}';
"""
# As they are read again whatever the server's own settings: exactly.
_EXACTLY = {
    "DateStyle": "ISO", "TimeZone": "UTC", "IntervalStyle": "postgres", "extra_float_digits": "1",
    "bytea_output": "hex",
}  # fmt: skip


def export_sql(
    workspace: Workspace, *, since: datetime | None = None, only: Collection[str] = ()
) -> Iterator[bytes]:
    """The file's parts, one after another; its manifest is the last. Outside any scope.

    `since` and `only` as in ndjson.py. A file of a part brings rows up to date that are there
    already, and leaves out references to rows that are neither in it nor there.
    """
    written: Counter[str] = Counter()
    digest = hashlib.sha256()
    for text in _parts(workspace, since, only, written):
        part = text.encode()
        digest.update(part)
        yield part
    manifest = dumped({"manifest": {"rows": dict(written), "sha256": digest.hexdigest()}})
    yield b"-- " + manifest


def _parts(
    workspace: Workspace, since: datetime | None, only: Collection[str], written: Counter[str]
) -> Iterator[str]:
    wanted = chosen(only)
    partial = since is not None or bool(only)
    with one_moment(workspace.id):
        with connection.cursor() as cursor:
            for name, value in _EXACTLY.items():
                cursor.execute(f"SET LOCAL {name} = '{value}'")
        head = Workspace.objects.get(pk=workspace.pk)
        about = {
            "format": FORMAT,
            "version": VERSION,
            "workspace": str(head.pk),
            "kinds": list(wanted),
            "since": since,
        }
        yield _HEAD.format(
            about=dumped(about).decode().rstrip(),
            part=" asked for" if partial else "",
            slug=head.slug,
            id=head.pk,
        )
        yield from _the_workspace(head, partial=partial)
        tables = [_Table(model, head.pk, since, partial=partial) for model in wanted.values()]
        for table in tables:
            for row_count, statement in table.inserts():
                written[kind_of(table.model)] += row_count
                yield statement
        for table in tables:
            yield from table.late_references()
        yield "COMMIT;\n"


def _the_workspace(head: Workspace, *, partial: bool) -> Iterator[str]:
    columns = [field.column or "" for field in head._meta.concrete_fields]
    source = _query(
        "SELECT {row} FROM {table} WHERE id = {id}",
        row=_tuple([_quoted(sql.Identifier(column)) for column in columns]),
        table=sql.Identifier(head._meta.db_table),
        id=sql.Literal(str(head.pk)),
    )
    with connection.cursor() as cursor:
        cursor.execute(source)
        ((row,),) = cursor.fetchall()
    ending = "\nON CONFLICT (id) DO NOTHING" if partial else ""
    yield f"{_insert(head._meta.db_table, columns)}\n{row}{ending};\n"


@dataclass(frozen=True, slots=True)
class _Column:
    """Of a table: `made` is an expression that gives what a row of VALUES says in its place."""

    name: str
    made: sql.Composable
    exported: bool = True


class _Table:
    """One model's rows of a workspace."""

    def __init__(
        self, model: Model, workspace_id: uuid.UUID, since: datetime | None, *, partial: bool
    ) -> None:
        self.model = model
        self.name = model._meta.db_table
        self.id = sql.Literal(str(workspace_id))
        self.since = since
        self.partial = partial
        exported = set(fields(model))
        self.columns = [
            self._column(field, exported=field in exported)
            for field in model._meta.concrete_fields
            if not isinstance(field, models.GeneratedField)
        ]

    @property
    def _own(self) -> Sequence[Any]:
        """Its keys to rows of its own."""
        return [
            field
            for field in self.model._meta.concrete_fields
            if isinstance(field, ScopedForeignKey) and field.related_model is self.model
        ]

    def _column(self, field: Any, *, exported: bool) -> _Column:
        name = field.column
        column = sql.Identifier(name)
        if field.name == "workspace":
            return _Column(name, sql.Literal(self.id.as_string(None)))
        if not exported:
            # What is not for others' eyes, as in a new row.
            return _Column(name, _quoted(sql.Literal(field.get_default())), exported=False)
        if field in self._own:
            # Of one that comes later: see late_references.
            earlier = sql.SQL("NULL" if self.partial else "CASE WHEN {0} <= id THEN {0} END")
            return _Column(name, _quoted(earlier.format(column)))
        if self.partial and isinstance(field, ScopedForeignKey) and field.null:
            there = "(SELECT id FROM {} WHERE workspace_id = {} AND id = %L)"
            target = sql.Identifier(field.related_model._meta.db_table)
            text = sql.SQL(there).format(target, self.id).as_string(None)
            return _Column(
                name,
                sql.SQL("CASE WHEN {0} IS NULL THEN 'NULL' ELSE format({1}, {0}) END").format(
                    column, sql.Literal(text)
                ),
            )
        return _Column(name, _quoted(column))

    def _where(self) -> sql.Composable:
        ours = sql.SQL("workspace_id = {}").format(self.id)
        if self.since is None:
            return ours
        changed = sql.Identifier(changed_column(self.model))
        return sql.SQL("{} AND {} >= {}").format(ours, changed, sql.Literal(self.since))

    def _read(self, made: sql.Composable, where: sql.Composable) -> Iterator[str]:
        """In the order of their ids, a batch at a time: each is a statement of its own."""
        source = _query(
            "SELECT {made} FROM {table} WHERE {where} ORDER BY id",
            made=made,
            table=sql.Identifier(self.name),
            where=where,
        )
        with connection.chunked_cursor() as cursor:
            cursor.execute(source)
            while batch := cursor.fetchmany(BATCH):
                yield from (text for (text,) in batch)

    def inserts(self) -> Iterator[tuple[int, str]]:
        """(rows, statement) by statement."""
        head = _insert(self.name, [column.name for column in self.columns])
        rows = self._read(_tuple([column.made for column in self.columns]), self._where())
        for group in _grouped(rows):
            yield len(group), f"{head}\n{_listed(group)}{self._conflict()};\n"

    def _conflict(self) -> str:
        if not self.partial:
            return ""
        if not issubclass(self.model, VersionedRow):
            # Rows that never change.
            return "\nON CONFLICT (workspace_id, id) DO NOTHING"
        changed = [c for c in self.columns if c.exported and c.name not in ("workspace_id", "id")]
        sets = ", ".join(f'"{c.name}" = excluded."{c.name}"' for c in changed)
        return f"\nON CONFLICT (workspace_id, id) DO UPDATE SET {sets}"

    def late_references(self) -> Iterator[str]:
        """To rows of its own table that were not there yet."""
        for field in self._own:
            column = sql.Identifier(field.column)
            late = "{} IS NOT NULL" if self.partial else "{} > id"
            where = sql.SQL("{} AND ").format(self._where()) + sql.SQL(late).format(column)
            made = _tuple([_quoted(sql.Identifier("id")), _quoted(column)])
            for group in _grouped(self._read(made, where)):
                yield (
                    f'UPDATE "{self.name}" AS t SET "{field.column}" = v.target::uuid\n'  # noqa: S608
                    f"FROM (VALUES\n{_listed(group)}\n) AS v (id, target)\n"
                    f"WHERE t.workspace_id = {self.id.as_string(None)} AND t.id = v.id::uuid\n"
                    f'AND EXISTS (SELECT FROM "{self.name}" AS o '
                    "WHERE o.workspace_id = t.workspace_id AND o.id = v.target::uuid);\n"
                )


def _grouped(rows: Iterator[str]) -> Iterator[list[str]]:
    """As many as one statement takes."""
    group: list[str] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row)
        if len(group) == STATEMENT_ROWS or size > STATEMENT_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _listed(rows: Sequence[str]) -> str:
    return ",\n".join(rows)


def _insert(table: str, columns: Sequence[str]) -> str:
    named = ", ".join(f'"{column}"' for column in columns)
    return f'INSERT INTO "{table}" ({named}) VALUES'


def _quoted(value: sql.Composable) -> sql.Composable:
    """An expression for a value as a literal: quoted by the server itself."""
    return sql.SQL("quote_nullable(({})::text)").format(value)


def _tuple(parts: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL("'(' || concat_ws(', ', {}) || ')'").format(sql.SQL(", ").join(parts))


def _query(template: str, **parts: sql.Composable) -> str:
    return sql.SQL(template).format(**parts).as_string(None)
