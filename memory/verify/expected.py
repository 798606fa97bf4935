"""What a database must be made of, read from the models and the migrations.

What a migration makes by SQL of its own is read from that SQL: names, not bodies. A test compares
all this with a database that was just migrated, so that nothing is missed.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunSQL

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow
from config.lib.db.operations import AppendOnly
from config.lib.db.sql_objects import SqlFunction, SqlView

OURS = {"contacts", "agent_sessions", "memory"}
WORKSPACE = (
    "(workspace_id = (NULLIF(current_setting('app.workspace'::text, true), ''::text))::uuid)"
)
DML = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})

# What migrations make, or drop, in SQL of their own; blanks are folded before.
_MADE = re.compile(
    r"\b(CREATE|DROP) (?:OR REPLACE )?(?:UNIQUE )?(INDEX|POLICY|FUNCTION) "
    r"(?:CONCURRENTLY )?(?:IF (?:NOT )?EXISTS )?\"?(\w+)\"?(?: ON \"?(\w+)\"?)?",
    re.IGNORECASE,
)
_COLUMN_GRANT = re.compile(
    r"\b(GRANT|REVOKE) (\w+) \(([\w, ]+)\) ON (?:TABLE )?\"?(\w+)\"?", re.IGNORECASE
)

# What Django calls a type, and what PostgreSQL's catalog says.
_TYPES = {
    "varchar": "character varying",
    "double precision": "double precision",
    "numeric": "numeric",
}


@dataclass(frozen=True, slots=True)
class Constraint:
    """`kind` as pg_constraint.contype has it; `definition` is compared where it is not empty."""

    table: str
    kind: str
    definition: str = ""


@cache
def every_model() -> list[type[models.Model]]:
    found = apps.get_models(include_auto_created=True)
    return [model for model in found if not model._meta.proxy]


@cache
def our_models() -> list[type[models.Model]]:
    return [model for model in every_model() if model._meta.app_label in OURS]


def scoped_models() -> list[type[WorkspaceRow]]:
    return [model for model in our_models() if issubclass(model, WorkspaceRow)]


@cache
def columns(model: type[models.Model]) -> dict[str, tuple[str, bool]]:
    """column -> (type as the catalog says it, whether it is NOT NULL)."""
    return {
        str(field.column): (_catalog_type(str(field.db_type(connection))), not field.null)
        for field in model._meta.local_concrete_fields
        if field.db_type(connection) is not None
    }


def _catalog_type(name: str) -> str:
    base, paren, rest = name.replace(", ", ",").partition("(")
    array = "[]" if name.endswith("[]") else ""
    base = base.removesuffix("[]").strip()
    aliases = {"serial": "integer", "bigserial": "bigint", "smallserial": "smallint"}
    base = _TYPES.get(base, aliases.get(base, base))
    return f"{base}{paren}{rest}" if paren else f"{base}{array}"


@dataclass(frozen=True, slots=True)
class Index:
    """`columns` with `-` before those that descend; empty where they are expressions."""

    table: str
    columns: tuple[str, ...] = ()
    unique: bool = False


def indexes() -> dict[str, Index]:
    """By name: of Meta, of unique constraints, and of migrations' own SQL."""
    found = {name: Index(table) for kind, name, table in _made_by_sql() if kind == "INDEX"}
    for model in our_models():
        table = model._meta.db_table
        for index in model._meta.indexes:
            order = [("-" if sign else "") + _column(model, n) for n, sign in index.fields_orders]
            found[index.name] = Index(table, tuple(order))
        for constraint in model._meta.constraints:
            if isinstance(constraint, models.UniqueConstraint):
                names = tuple(_column(model, name) for name in constraint.fields)
                found[constraint.name] = Index(table, names, unique=True)
    return found


def unique_columns() -> set[tuple[str, str]]:
    """(table, column) of fields that are unique by themselves; their indexes have no fixed name."""
    return {
        (model._meta.db_table, str(field.column))
        for model in our_models()
        for field in model._meta.local_concrete_fields
        if field.unique and not (field.primary_key and issubclass(model, WorkspaceRow))
    }


def checked_columns() -> set[tuple[str, str]]:
    """(table, column) of fields whose type PostgreSQL keeps by a check (never below 0)."""
    return {
        (model._meta.db_table, str(field.column))
        for model in our_models()
        for field in model._meta.local_concrete_fields
        if field.db_check(connection)
    }


def _column(model: type[models.Model], name: str) -> str:
    return str(model._meta.get_field(name).column)  # type: ignore[union-attr]


def constraints() -> dict[str, Constraint]:
    """name -> what it is: keys and checks."""
    found: dict[str, Constraint] = {}
    for model in our_models():
        table = model._meta.db_table
        for constraint in model._meta.constraints:
            if isinstance(constraint, models.CheckConstraint):
                found[constraint.name] = Constraint(table, "c")
            elif isinstance(constraint, models.UniqueConstraint) and not constraint.condition:
                found[constraint.name] = Constraint(table, "u")
    for model in scoped_models():
        table = model._meta.db_table
        found[f"{table}_pkey"] = Constraint(table, "p", "PRIMARY KEY (workspace_id, id)")
        keys = scoped_keys(model)
        if all(field.null for field in keys):
            found[f"{table}_workspace_fk"] = Constraint(
                table, "f", "FOREIGN KEY (workspace_id) REFERENCES contacts_workspace(id)"
            )
        for field in keys:
            target = field.remote_field.model._meta.db_table
            cascade = " ON DELETE CASCADE" if field.cascade else ""
            found[f"{table}_{field.column}_fk"] = Constraint(
                table,
                "f",
                f"FOREIGN KEY (workspace_id, {field.column}) "
                f"REFERENCES {target}(workspace_id, id){cascade}",
            )
    return found


def scoped_keys(model: type[models.Model]) -> list[ScopedForeignKey]:
    return [field for field in model._meta.local_fields if isinstance(field, ScopedForeignKey)]


def policies() -> set[tuple[str, str]]:
    """(table, name)."""
    rows = {(model._meta.db_table, "workspace_rows") for model in scoped_models()}
    return rows | {(table, name) for kind, name, table in _made_by_sql() if kind == "POLICY"}


def column_grants() -> dict[tuple[str, str], frozenset[str]]:
    """(table, privilege) -> the columns the runtime role has it for."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for text in _own_sql():
        for verb, privilege, columns, table in _COLUMN_GRANT.findall(text):
            key = (table, privilege.upper())
            named = frozenset(re.findall(r"\w+", columns))
            held = found.get(key, frozenset())
            found[key] = held | named if verb.upper() == "GRANT" else held - named
    return {key: columns for key, columns in found.items() if columns}


@cache
def migrations() -> dict[tuple[str, str], Migration]:
    """(app, name) -> every migration of this release."""
    return dict(sorted(MigrationLoader(None).disk_migrations.items()))


@cache
def _operations() -> list[tuple[str, Any]]:
    """(app, operation) of every migration of ours."""
    return [
        (app, operation)
        for (app, _), migration in migrations().items()
        if app in OURS
        for operation in migration.operations
    ]


@cache
def _own_sql() -> list[str]:
    """The statements of RunSQL, forwards, blanks folded."""
    found: list[str] = []
    for _, operation in _operations():
        if isinstance(operation, RunSQL):
            parts = operation.sql if isinstance(operation.sql, (list, tuple)) else [operation.sql]
            found += [" ".join(part.split()) for part in parts if isinstance(part, str)]
    return found


@cache
def _made_by_sql() -> set[tuple[str, str, str]]:
    """(INDEX, POLICY or FUNCTION; name; table, if it is on one)."""
    found: set[tuple[str, str, str]] = set()
    for text in _own_sql():
        for verb, kind, name, table in _MADE.findall(text):
            thing = (kind.upper(), name, table)
            if verb.upper() == "CREATE":
                found.add(thing)
            else:
                # An index is dropped without its table.
                gone = {(*thing[:2], each[2]) for each in found if thing[2] in ("", each[2])}
                found -= gone
    return found


def append_only() -> set[str]:
    return {
        apps.get_model(app, name)._meta.db_table
        for app, operation in _operations()
        if isinstance(operation, AppendOnly)
        for name in operation.model_names
    }


def grants() -> dict[str, frozenset[str]]:
    """table or view -> what the runtime role may do with all of it."""
    narrow = append_only()
    found = {
        model._meta.db_table: frozenset({"SELECT", "INSERT"})
        if model._meta.db_table in narrow
        else DML
        for model in every_model()
    }
    return found | dict.fromkeys(views(), frozenset({"SELECT"}))


def views() -> set[str]:
    return {op.name for _, op in _operations() if isinstance(op, SqlView)}


def functions() -> dict[str, str]:
    """signature -> who it runs as: the search role, or empty for who calls it.

    What a migration makes by SQL of its own is there because it must run as the search role, and
    known by its name alone.
    """
    own = {op.signature: "" for _, op in _operations() if isinstance(op, SqlFunction)}
    by_sql = {name for kind, name, _ in _made_by_sql() if kind == "FUNCTION"}
    return own | dict.fromkeys(by_sql, search_role())


def runtime_role() -> str:
    return str(settings.RUNTIME_ROLE)


def search_role() -> str:
    return str(settings.SEARCH_ROLE)
