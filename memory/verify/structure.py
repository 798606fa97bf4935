"""Whether the database is made of what the models and migrations say. Reads catalogs only."""

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.migrations.loader import MigrationLoader

from memory.verify import expected
from memory.verify.report import Check

CATEGORY = "structure"
OWN = "c.relnamespace = 'public'::regnamespace"


def check() -> list[Check]:
    """One Check for each category of things."""
    parts: list[Callable[[Check], None]] = [
        migrations, roles, tables, columns, indexes, constraints, row_security, policies, grants,
        views, functions,
    ]  # fmt: skip
    done = []
    for part in parts:
        result = Check(CATEGORY, part.__name__.replace("_", " "))
        part(result)
        done.append(result)
    return done


def _rows(sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def migrations(result: Check) -> None:
    loader = MigrationLoader(connection)
    applied, known = set(loader.applied_migrations), set(loader.disk_migrations)
    for app, name in sorted(known):
        result.saw((app, name) in applied, f"{app}.{name} is not applied: run migrate")
    for app, name in sorted(applied - known):
        if app in expected.OURS:
            result.wrong(f"{app}.{name} was applied by another release than this one")


def roles(result: Check) -> None:
    """The runtime login must be one that row-level security holds."""
    role = expected.runtime_role()
    found = _rows(
        "SELECT rolsuper, rolbypassrls, EXISTS (SELECT FROM pg_class c "
        f"WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p') AND {OWN}) "
        "FROM pg_roles r WHERE rolname = %s",
        [role],
    )
    if not found:
        result.saw(False, f"{role} is missing")
        return
    for name, holds in zip(("superuser", "BYPASSRLS", "an owner of tables"), found[0], strict=True):
        result.saw(not holds, f"{role} is {name}: row-level security would not hold it")


def tables(result: Check) -> None:
    wanted = {model._meta.db_table for model in expected.every_model()}
    there = {name for (name,) in _rows(f"SELECT relname FROM pg_class c WHERE {OWN}")}  # noqa: S608
    for name in sorted(wanted):
        result.saw(name in there, f"{name} is missing")


def columns(result: Check) -> None:
    there: dict[tuple[str, str], tuple[str, bool]] = {
        (table, name): (kind, required)
        for table, name, kind, required in _rows(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull "  # noqa: S608
            "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            f"WHERE {OWN} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped"
        )
    }
    for model in expected.every_model():
        table = model._meta.db_table
        for name, (kind, required) in expected.columns(model).items():
            if (table, name) not in there:
                result.saw(False, f"{table}.{name} is missing")
            elif not model._meta.managed or model._meta.app_label not in expected.OURS:
                result.saw(True, "")
            else:
                found = there[table, name]
                result.saw(
                    found == (kind, required),
                    f"{table}.{name}: {_column(*found)}, not {_column(kind, required)}",
                )


def _column(kind: str, required: bool) -> str:
    return f"{kind}{' NOT NULL' if required else ''}"


def indexes(result: Check) -> None:
    there = {
        name: (table, valid)
        for name, table, valid in _rows(
            "SELECT i.relname, c.relname, x.indisvalid AND x.indisready FROM pg_index x "  # noqa: S608
            "JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid "
            f"WHERE {OWN}"
        )
    }
    for name, table in sorted(expected.indexes().items()):
        if name not in there:
            result.saw(False, f"{name} on {table} is missing")
        elif there[name][0] != table:
            result.saw(False, f"{name} is on {there[name][0]}, not on {table}")
        else:
            result.saw(there[name][1], f"{name} on {table} is not valid: REINDEX INDEX {name}")


def constraints(result: Check) -> None:
    there = {
        name: (table, kind, definition, valid)
        for name, table, kind, definition, valid in _rows(
            "SELECT k.conname, c.relname, k.contype::text, pg_get_constraintdef(k.oid), "  # noqa: S608
            "k.convalidated AND NOT k.condeferrable FROM pg_constraint k "
            f"JOIN pg_class c ON c.oid = k.conrelid WHERE {OWN}"
        )
    }
    for name, wanted in sorted(expected.constraints().items()):
        if name not in there:
            result.saw(False, f"{name} on {wanted.table} is missing")
            continue
        table, kind, definition, valid = there[name]
        same = (table, kind) == (wanted.table, wanted.kind)
        if same and wanted.definition:
            same = definition.removesuffix(" NOT VALID") == wanted.definition
        if same and not valid:
            result.saw(False, f"{name} on {table} is deferrable, or was never validated")
        else:
            result.saw(same, f"{name} on {table}: {definition}, not {wanted.definition or 'this'}")


def row_security(result: Check) -> None:
    there = {
        name: (enabled, forced)
        for name, enabled, forced in _rows(
            "SELECT relname, relrowsecurity, relforcerowsecurity "  # noqa: S608
            f"FROM pg_class c WHERE {OWN} AND relkind IN ('r', 'p')"
        )
    }
    for model in expected.scoped_models():
        table = model._meta.db_table
        enabled, forced = there.get(table, (False, False))
        result.saw(enabled, f"{table}: row-level security is not enabled")
        result.saw(forced, f"{table}: row-level security is not forced")


def policies(result: Check) -> None:
    there = {
        (table, name): (using, check, permissive, command, roles)
        for table, name, using, check, permissive, command, roles in _rows(
            "SELECT c.relname, p.polname, pg_get_expr(p.polqual, p.polrelid), "  # noqa: S608
            "pg_get_expr(p.polwithcheck, p.polrelid), p.polpermissive, p.polcmd::text, "
            "p.polroles = '{0}' FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid "
            f"WHERE {OWN}"
        )
    }
    wanted = expected.policies()
    for key in sorted(wanted):
        shown = f"{key[1]} on {key[0]}"
        if key not in there:
            result.saw(False, f"{shown} is missing")
        elif key[1] == "workspace_rows":
            right = (expected.WORKSPACE, expected.WORKSPACE, True, "*", True)
            result.saw(there[key] == right, f"{shown} is not the workspace's: {there[key][0]}")
        else:
            result.saw(True, "")
    ours = {model._meta.db_table for model in expected.our_models()}
    for table, name in sorted(there.keys() - wanted):
        # A further permissive policy shows rows that the workspace's own would not.
        if table in ours:
            result.wrong(f"{name} on {table} is not of any migration")


def grants(result: Check) -> None:
    """Of the runtime role on whole tables and views, on columns, and of everybody (PUBLIC)."""
    role = expected.runtime_role()
    whole: dict[str, set[str]] = {}
    public: dict[str, set[str]] = {}
    for table, grantee, privilege in _rows(
        "SELECT c.relname, coalesce(r.rolname, ''), a.privilege_type FROM pg_class c "  # noqa: S608
        "CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee "
        f"WHERE {OWN} AND c.relkind IN ('r', 'p', 'v') AND (a.grantee = 0 OR r.rolname = %s)",
        [role],
    ):
        (whole if grantee else public).setdefault(table, set()).add(privilege)
    for table, wanted in sorted(expected.grants().items()):
        found = frozenset(whole.get(table, set()))
        result.saw(found == wanted, f"{table}: {_difference(role, found, wanted)}")
        if table in public:
            result.wrong(f"{table}: everybody has {', '.join(sorted(public[table]))}")
    parts: dict[tuple[str, str], set[str]] = {}
    for table, column, privilege in _rows(
        "SELECT c.relname, t.attname, a.privilege_type FROM pg_class c "  # noqa: S608
        "JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN aclexplode(t.attacl) a "
        f"JOIN pg_roles r ON r.oid = a.grantee WHERE {OWN} AND r.rolname = %s",
        [role],
    ):
        parts.setdefault((table, privilege), set()).add(column)
    for key in sorted(parts.keys() | expected.COLUMN_GRANTS.keys()):
        found, wanted = (frozenset(g.get(key, set())) for g in (parts, expected.COLUMN_GRANTS))
        what = f"{key[0]}, {key[1]} of columns"
        result.saw(found == wanted, f"{what}: {_difference(role, found, wanted)}")


def _difference(role: str, found: frozenset[str], wanted: frozenset[str]) -> str:
    lacks, exceeds = ", ".join(sorted(wanted - found)), ", ".join(sorted(found - wanted))
    said = [f"{role} lacks {lacks}"] if lacks else []
    return "; ".join([*said, *([f"{role} has {exceeds} too"] if exceeds else [])])


def views(result: Check) -> None:
    there = {
        name: "security_invoker=true" in (options or [])
        for name, options in _rows(
            f"SELECT relname, reloptions FROM pg_class c WHERE {OWN} AND relkind = 'v'"  # noqa: S608
        )
    }
    for name in sorted(expected.views()):
        if name not in there:
            result.saw(False, f"{name} is missing")
        else:
            result.saw(there[name], f"{name} reads as its owner, past row-level security")


def functions(result: Check) -> None:
    there = {
        signature.replace(" ", ""): owner if definer else ""
        for signature, definer, owner in _rows(
            "SELECT p.oid::regprocedure::text, p.prosecdef, r.rolname FROM pg_proc p "
            "JOIN pg_roles r ON r.oid = p.proowner "
            "WHERE p.pronamespace = 'public'::regnamespace"
        )
    }
    for signature, owner in sorted(expected.functions().items()):
        if signature not in there:
            result.saw(False, f"{signature} is missing")
        else:
            runs, wanted = (who or "who calls it" for who in (there[signature], owner))
            result.saw(runs == wanted, f"{signature} runs as {runs}, not as {wanted}")
