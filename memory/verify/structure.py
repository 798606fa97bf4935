"""Whether the database is made of what the models and migrations say. Reads catalogs only."""

# ruff: noqa: S608  (what is put into SQL here is OWN)
from collections.abc import Callable
from functools import cache
from typing import Any

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from memory.verify import expected
from memory.verify.report import Check

CATEGORY = "structure"
OWN = "c.relnamespace = 'public'::regnamespace"
TRIGGER_STATES = {"D": "off", "R": "for replicas only", "A": "on for replicas too"}


def check() -> list[Check]:
    """One Check for each category of things."""
    parts: list[Callable[[Check], None]] = [
        migrations, extensions, roles, tables, columns, indexes, constraints, triggers,
        row_security, policies, grants, views, functions,
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
    applied = set(MigrationRecorder(connection).applied_migrations())
    known = set(expected.migrations())
    for app, name in sorted(known):
        result.saw((app, name) in applied, f"{app}.{name} is not applied: run migrate")
    for app, name in sorted(applied - known):
        if app in expected.OURS:
            result.wrong(f"{app}.{name} was applied by another release than this one")


def extensions(result: Check) -> None:
    found = _rows("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    result.saw(bool(found), "vector is missing: CREATE EXTENSION vector")


def roles(result: Check) -> None:
    """The runtime login, and whatever it can become, is held by row-level security; nobody logs in
    as the search role."""
    role, search = expected.runtime_role(), expected.search_role()
    there = dict(_rows("SELECT rolname, rolcanlogin FROM pg_roles"))
    result.saw(role in there, f"{role} is missing")
    result.saw(search in there, f"{search} is missing")
    if there.get(search):
        result.wrong(f"{search} can log in")
    if role not in there:
        return
    for name, superuser, bypasses, owns in _rows(
        "SELECT r.rolname, rolsuper, rolbypassrls, EXISTS (SELECT FROM pg_class c "
        f"WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p') AND {OWN}) "
        "FROM pg_roles r WHERE pg_has_role(%s, r.oid, 'MEMBER') ORDER BY 1",
        [role],
    ):
        who = role if name == role else f"{role} can become {name}, which"
        held = {"is a superuser": superuser, "has BYPASSRLS": bypasses, "owns tables": owns}
        for why, holds in held.items():
            if holds:
                result.wrong(f"{who} {why}: row-level security would not hold it")


def tables(result: Check) -> None:
    wanted = {model._meta.db_table for model in expected.every_model()}
    there = {name for (name,) in _rows(f"SELECT relname FROM pg_class c WHERE {OWN}")}
    for name in sorted(wanted):
        result.saw(name in there, f"{name} is missing")


def columns(result: Check) -> None:
    there: dict[tuple[str, str], tuple[str, bool]] = {
        (table, name): (kind, required)
        for table, name, kind, required in _rows(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull "
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
    there: dict[str, expected.Index] = {}
    invalid: set[str] = set()
    single: set[tuple[str, str]] = set()
    for name, table, names, unique, whole, valid in _rows(
        "SELECT i.relname, c.relname, array_agg(CASE WHEN x.indoption[k.n - 1] & 1 = 1 "
        "THEN '-' ELSE '' END || coalesce(a.attname, '') ORDER BY k.n), x.indisunique, "
        "x.indpred IS NULL, x.indisvalid AND x.indisready "
        "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
        "JOIN pg_class c ON c.oid = x.indrelid "
        "CROSS JOIN unnest(x.indkey::smallint[]) WITH ORDINALITY AS k (attnum, n) "
        "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum "
        f"WHERE {OWN} GROUP BY i.relname, c.relname, x.indexrelid"
    ):
        there[name] = expected.Index(table, tuple(names), unique)
        if unique and whole and len(names) == 1:
            single.add((table, names[0]))
        if not valid:
            invalid.add(name)
    for name, wanted in sorted(expected.indexes().items()):
        found = there.get(name)
        if found is None:
            result.saw(False, f"{name} on {wanted.table} is missing")
        elif name in invalid:
            result.saw(False, f"{name} on {wanted.table} is not valid: REINDEX INDEX {name}")
        elif wanted.columns:
            result.saw(found == wanted, f"{name} is {_index(found)}, not {_index(wanted)}")
        else:
            result.saw(found.table == wanted.table, f"{name} is on {found.table}")
    for table, column in sorted(expected.unique_columns()):
        result.saw((table, column) in single, f"{table}.{column} has no unique index")


def _index(index: expected.Index) -> str:
    return f"{'unique ' if index.unique else ''}on {index.table} ({', '.join(index.columns)})"


def constraints(result: Check) -> None:
    there = {
        name: (table, kind, definition, valid)
        for name, table, kind, definition, valid in _rows(
            "SELECT k.conname, c.relname, k.contype::text, pg_get_constraintdef(k.oid), "
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
    checked = set(
        _rows(
            "SELECT c.relname, a.attname FROM pg_constraint k "
            "JOIN pg_class c ON c.oid = k.conrelid "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND k.conkey = ARRAY[a.attnum] "
            f"WHERE k.contype = 'c' AND k.convalidated AND {OWN}"
        )
    )
    for table, column in sorted(expected.checked_columns()):
        result.saw((table, column) in checked, f"{table}.{column} has no check")


def triggers(result: Check) -> None:
    """Those that keep foreign keys, which a broken restore leaves off. There are no others here."""
    for table, name, internal, state in _rows(
        "SELECT c.relname, t.tgname, t.tgisinternal, t.tgenabled::text FROM pg_trigger t "
        f"JOIN pg_class c ON c.oid = t.tgrelid WHERE {OWN} ORDER BY 1, 2"
    ):
        result.saw(state == "O", f"{name} on {table} is {TRIGGER_STATES.get(state, state)}")
        if table in _our_tables() and not internal:
            result.wrong(f"{name} on {table} is not of any migration")


@cache
def _our_tables() -> set[str]:
    return {model._meta.db_table for model in expected.our_models()}


def row_security(result: Check) -> None:
    there = {
        name: (enabled, forced)
        for name, enabled, forced in _rows(
            "SELECT relname, relrowsecurity, relforcerowsecurity "
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
            "SELECT c.relname, p.polname, pg_get_expr(p.polqual, p.polrelid), "
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
    ours = _our_tables()
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
        "SELECT c.relname, coalesce(r.rolname, ''), a.privilege_type FROM pg_class c "
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
        "SELECT c.relname, t.attname, a.privilege_type FROM pg_class c "
        "JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN aclexplode(t.attacl) a "
        f"JOIN pg_roles r ON r.oid = a.grantee WHERE {OWN} AND r.rolname = %s",
        [role],
    ):
        parts.setdefault((table, privilege), set()).add(column)
    narrow = expected.column_grants()
    for key in sorted(parts.keys() | narrow.keys()):
        found, wanted = frozenset(parts.get(key, ())), narrow.get(key, frozenset())
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
            f"SELECT relname, reloptions FROM pg_class c WHERE {OWN} AND relkind = 'v'"
        )
    }
    for name in sorted(expected.views()):
        if name not in there:
            result.saw(False, f"{name} is missing")
        else:
            result.saw(there[name], f"{name} reads as its owner, past row-level security")


def functions(result: Check) -> None:
    there: dict[str, str] = {}
    for name, signature, definer, owner, open_to_all in _rows(
        "SELECT p.proname, p.oid::regprocedure::text, p.prosecdef, r.rolname, "
        "has_function_privilege('public', p.oid, 'EXECUTE') FROM pg_proc p "
        "JOIN pg_roles r ON r.oid = p.proowner "
        "WHERE p.pronamespace = 'public'::regnamespace"
    ):
        if definer:
            result.saw(
                not open_to_all,
                f"{signature} runs as {owner} for every login of the server: REVOKE ALL ON "
                f"FUNCTION {signature} FROM PUBLIC, as {owner}",
            )
        runs_as = owner if definer else ""
        there |= {name: runs_as, signature.replace(" ", ""): runs_as}
    for signature, owner in sorted(expected.functions().items()):
        key = signature.replace(" ", "")
        if key not in there:
            result.saw(False, f"{signature} is missing")
        else:
            runs, wanted = (who or "who calls it" for who in (there[key], owner))
            result.saw(runs == wanted, f"{signature} runs as {runs}, not as {wanted}")
