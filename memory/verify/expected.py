"""What a database must be made of, read from the models and the migrations.

Whatever a migration makes by SQL of its own, without an operation that names it, is listed here.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow
from config.lib.db.operations import AppendOnly
from config.lib.db.roles import RoleNames
from config.lib.db.sql_objects import SqlFunction, SqlView

OURS = {"contacts", "agent_sessions", "memory"}
WORKSPACE = (
    "(workspace_id = (NULLIF(current_setting('app.workspace'::text, true), ''::text))::uuid)"
)
# memory 0002: an expression index, which Django has no class for.
MORE_INDEXES = {"passage_vectors": "memory_passage"}
# contacts 0002 and 0005, memory 0003.
MORE_POLICIES = {
    ("contacts_membership", "own_memberships"),
    ("contacts_revision", "sealed_once"),
    ("memory_passage", "search_rows"),
}
# contacts 0005.
COLUMN_GRANTS = {("contacts_revision", "UPDATE"): {"seal_id", "salt", "digest"}}
# memory 0003; they run as the search role.
DEFINER_FUNCTIONS = {
    "search_term_counts(text[],integer)",
    "search_words(text[],doubleprecision[],integer,text,doubleprecision,jsonb,uuid[],integer,"
    "integer)",
}
DML = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})

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


def every_model() -> list[type[models.Model]]:
    found = apps.get_models(include_auto_created=True)
    return [model for model in found if not model._meta.proxy]


def our_models() -> list[type[models.Model]]:
    return [model for model in every_model() if model._meta.app_label in OURS]


def scoped_models() -> list[type[WorkspaceRow]]:
    return [model for model in our_models() if issubclass(model, WorkspaceRow)]


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


def indexes() -> dict[str, str]:
    """name -> table. Conditional unique constraints are indexes in PostgreSQL."""
    found = dict(MORE_INDEXES)
    for model in our_models():
        table = model._meta.db_table
        found |= {index.name: table for index in model._meta.indexes}
        for constraint in model._meta.constraints:
            if isinstance(constraint, models.UniqueConstraint) and constraint.condition:
                found[constraint.name] = table
    return found


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
    return rows | MORE_POLICIES


@cache
def _operations() -> list[tuple[str, Any]]:
    """(app, operation) of every migration of ours."""
    loader = MigrationLoader(None)
    return [
        (app, operation)
        for (app, _), migration in sorted(loader.disk_migrations.items())
        if app in OURS
        for operation in migration.operations
    ]


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
    """signature without blanks -> who it runs as: the role's name, or empty for who calls it."""
    search = RoleNames().search
    own = {op.signature for _, op in _operations() if isinstance(op, SqlFunction)}
    return {signature.replace(" ", ""): "" for signature in own} | dict.fromkeys(
        DEFINER_FUNCTIONS, search
    )


def runtime_role() -> str:
    return str(settings.RUNTIME_ROLE)
