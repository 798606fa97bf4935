"""The database roles: the SQL that makes them, and the checks that a login is what it should be.

Three roles. The owner makes and changes tables. The runtime role does the product's work under
row-level security, which holds only for a role that is neither superuser, nor BYPASSRLS, nor
owner. The search role owns the one SECURITY DEFINER function that text search goes through, and
nobody logs in as it. `manage.py dbroles` prints this SQL and the embedded server runs it.

Not for policies on tables (those are migrations).
"""

import re
from dataclasses import dataclass, fields
from typing import Any, Protocol

from psycopg import sql

# PostgreSQL cuts longer names off silently. The other characters would need quoting by hand
# in URLs and in the DO blocks below.
ROLE_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,62}")


class RoleError(Exception):
    """A role or a server setting under which the product must not run; says what to do."""


@dataclass(frozen=True)
class RoleNames:
    """What the roles and the database are called; a managed server may need other names."""

    owner: str = "app_owner"
    runtime: str = "app_rw"
    search: str = "app_search"
    database: str = "remembrancer"

    def __post_init__(self) -> None:
        for field in fields(self):
            name = getattr(self, field.name)
            if not ROLE_NAME.fullmatch(name):
                raise RoleError(
                    f"{field.name}: {name!r} must be 1 to 63 of a-z, 0-9, _ and -, "
                    "and begin with a letter or _"
                )
        if len({self.owner, self.runtime, self.search}) < 3:
            raise RoleError("owner, runtime and search must be three different roles")


# A request that takes longer has lost its client; imports work in batches far below it.
RUNTIME_STATEMENT_TIMEOUT = "30s"
# Rows are locked for one short transaction, so 5 s of waiting means something is stuck.
RUNTIME_LOCK_TIMEOUT = "5s"
# An abandoned transaction holds locks and keeps VACUUM from cleaning.
RUNTIME_IDLE_TIMEOUT = "60s"
# While a migration waits for its lock, every later query on the table waits behind it: better
# that the migration fails and is run again than that clients stand still for longer than this.
OWNER_LOCK_TIMEOUT = "2s"
# A migration may compute between two statements, but a forgotten session must let go.
OWNER_IDLE_TIMEOUT = "5min"


def _text(template: str, /, **parts: str) -> str:
    """SQL with names quoted as identifiers and `*_literal` parts quoted as values."""
    composed = sql.SQL(template).format(
        **{
            key: sql.Literal(value) if key.endswith("_literal") else sql.Identifier(value)
            for key, value in parts.items()
        }
    )
    return composed.as_string(None)


def _create_role(name: str, login: str, options: str) -> str:
    # CREATE ROLE has no IF NOT EXISTS. The attributes are the defaults, named for the reader.
    return _text(
        "DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name_literal}) THEN "
        f"CREATE ROLE {{name}} {login} NOSUPERUSER NOBYPASSRLS NOCREATEROLE {options}; "
        "END IF; END $do$",
        name=name,
        name_literal=name,
    )


def role_statements(
    names: RoleNames,
    *,
    owner_password: str,
    runtime_password: str,
    owner_may_create_databases: bool = False,
    managed: bool = False,
) -> list[str]:
    """SQL for the whole server: roles, passwords, timeouts, membership. Can be run again.

    `owner_may_create_databases` is for test servers, where Django makes its own database.
    `managed` is for a server whose administrator is no superuser: there the administrator must
    join the owner role to make a database for it.
    """
    createdb = "CREATEDB" if owner_may_create_databases else "NOCREATEDB"
    statements = [
        _create_role(names.owner, "LOGIN", createdb),
        _create_role(names.runtime, "LOGIN", "NOCREATEDB"),
        _create_role(names.search, "NOLOGIN", "NOCREATEDB"),
    ]
    for role, password in ((names.owner, owner_password), (names.runtime, runtime_password)):
        statements.append(
            _text(
                "ALTER ROLE {role} LOGIN PASSWORD {password_literal}",
                role=role,
                password_literal=password,
            )
        )
    statements += _timeout_statements(names)
    # With SET the owner may hand the search function over; without INHERIT it does not read
    # through the search role's policy by itself.
    statements.append(
        _text(
            "GRANT {search} TO {owner} WITH INHERIT FALSE, SET TRUE",
            search=names.search,
            owner=names.owner,
        )
    )
    if managed:
        statements.append(_text("GRANT {owner} TO CURRENT_USER", owner=names.owner))
    return statements


def _timeout_statements(names: RoleNames) -> list[str]:
    settings = (
        (names.runtime, "statement_timeout", RUNTIME_STATEMENT_TIMEOUT),
        (names.runtime, "lock_timeout", RUNTIME_LOCK_TIMEOUT),
        (names.runtime, "idle_in_transaction_session_timeout", RUNTIME_IDLE_TIMEOUT),
        (names.owner, "lock_timeout", OWNER_LOCK_TIMEOUT),
        (names.owner, "idle_in_transaction_session_timeout", OWNER_IDLE_TIMEOUT),
    )
    return [
        _text(
            "ALTER ROLE {role} SET {setting} = {value_literal}",
            role=role,
            setting=setting,
            value_literal=value,
        )
        for role, setting, value in settings
    ]


def create_database_statement(names: RoleNames) -> str:
    """Not conditional: CREATE DATABASE cannot run in a DO block, so the caller looks first."""
    return _text(
        "CREATE DATABASE {database} OWNER {owner} TEMPLATE template1",
        database=names.database,
        owner=names.owner,
    )


def grant_statements(names: RoleNames) -> list[str]:
    """SQL for inside the database, before the first migration. Can be run again.

    Default privileges cover every table that the owner makes from now on: the product's, the job
    queue's, auth's. Nothing is granted on tables that are there already, so that a migration's
    narrower grant (append-only tables) is never widened by running this again.
    """
    statements = [
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        _text("GRANT USAGE, CREATE ON SCHEMA public TO {owner}", owner=names.owner),
        _text("GRANT USAGE ON SCHEMA public TO {runtime}", runtime=names.runtime),
        # ALTER FUNCTION ... OWNER TO asks that the new owner may create in the schema.
        _text("GRANT USAGE, CREATE ON SCHEMA public TO {search}", search=names.search),
    ]
    for privileges, objects in (
        ("SELECT, INSERT, UPDATE, DELETE", "TABLES"),
        ("USAGE, SELECT", "SEQUENCES"),
        ("EXECUTE", "FUNCTIONS"),
    ):
        statements.append(
            _text(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public "
                f"GRANT {privileges} ON {objects} TO {{runtime}}",
                owner=names.owner,
                runtime=names.runtime,
            )
        )
    return statements


def managed_script(names: RoleNames, *, owner_password: str, runtime_password: str) -> str:
    """A psql script for a server of one's own, run by its administrator."""
    roles = role_statements(
        names, owner_password=owner_password, runtime_password=runtime_password, managed=True
    )
    create = _text("SELECT {create_literal}", create_literal=create_database_statement(names))
    missing = _text(
        "WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {database_literal})",
        database_literal=names.database,
    )
    return "\n".join(
        [
            "-- Roles and database of Remembrancer. Run with psql as the server's administrator;",
            "-- running it again changes nothing but the passwords. PostgreSQL >= 16.",
            *(f"{statement};" for statement in roles),
            f"{create} {missing} \\gexec",
            _text("\\connect {database}", database=names.database),
            "CREATE EXTENSION IF NOT EXISTS vector;",
            *(f"{statement};" for statement in grant_statements(names)),
            "",
        ]
    )


class Connection(Protocol):
    """A psycopg connection or Django's wrapper of one: both lend cursors."""

    def cursor(self) -> Any: ...


def check_runtime_role(connection: Connection) -> None:
    """Refuses a login that row-level security would not hold. Raises RoleError.

    Looks at the login itself (`session_user`: a role set on top of it can be reset) and at
    every role it could become. pg_catalog only; a few milliseconds.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT session_user, r.rolname, r.rolsuper, r.rolbypassrls,
                   EXISTS (SELECT FROM pg_class c
                            WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p')
                              AND c.relnamespace = 'public'::regnamespace),
                   EXISTS (SELECT FROM pg_proc p
                            WHERE p.proowner = r.oid AND p.prosecdef
                              AND p.pronamespace = 'public'::regnamespace)
              FROM pg_roles r
             WHERE pg_has_role(session_user, r.oid, 'MEMBER')
             ORDER BY r.rolname <> session_user, r.rolname
            """
        )
        rows = cursor.fetchall()
    for login, role, superuser, bypass, owns_tables, owns_functions in rows:
        reasons = {
            "is a superuser": superuser,
            "has BYPASSRLS": bypass,
            "owns tables": owns_tables,
            "owns the search function": owns_functions,
        }
        for reason, holds in reasons.items():
            if holds:
                through = "" if role == login else f" can become {role}, which"
                raise RoleError(
                    f"DATABASE_URL: the role {login}{through} {reason}, so row-level security "
                    "would not hold it; log in as the runtime role (`manage.py dbroles` prints "
                    "the SQL)"
                )


# With any of these an acknowledged write may be lost or damaged by a crash.
UNSAFE_SETTINGS = {"fsync": "off", "full_page_writes": "off", "data_sync_retry": "on"}


def check_server_settings(connection: Connection) -> None:
    """Refuses a server that may lose acknowledged writes. Raises RoleError."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(UNSAFE_SETTINGS)]
        )
        for name, setting in cursor.fetchall():
            if setting == UNSAFE_SETTINGS[name]:
                safe = "on" if setting == "off" else "off"
                raise RoleError(
                    f"PostgreSQL runs with {name}={setting}, so a crash can lose or damage what "
                    f"was acknowledged; set {name}={safe} and restart it"
                )
