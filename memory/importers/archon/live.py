"""A running Archon, read through its PostgreSQL address: in one transaction that can only read.

Rows come by a cursor on the server, as text, and the transaction ends before anything is written
here. Nothing of the other database is changed or locked against its writers.
"""

import uuid
from collections.abc import Mapping
from urllib.parse import urlsplit

import psycopg
from psycopg import errors, sql

from memory.importers.archon.stage import Stage
from memory.importers.archon.tables import TABLES, TELLING, VECTORS, ZERO
from memory.importers.problems import SourceError

SCHEMES = ("postgresql", "postgres")
CONNECT_SECONDS = 10
FETCH_ROWS = 500
_EXAMPLE = "postgresql://user:password@host:5432/database"
_SETTINGS = (
    # Times in one zone, and in the form that dumps have.
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    # Refused rather than given a part of the rows.
    "SET LOCAL row_security = off",
)
_COLUMNS = """
    SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    GROUP BY 1, 2 ORDER BY 1, 2
"""


def is_address(where: str) -> bool:
    return where.partition("://")[0].lower() in SCHEMES


def stage_live(url: str, stage: Stage) -> None:
    """Fill a stage from a database. Raises SourceError, one line that says what to do."""
    name = _place(url)
    try:
        with psycopg.connect(
            url,
            connect_timeout=CONNECT_SECONDS,
            application_name="remembrancer import",
            # Poolers that hand out a connection for each transaction keep no statements.
            prepare_threshold=None,
            client_encoding="utf-8",
        ) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            with connection.transaction():
                _read(connection, stage, name)
    except psycopg.Error as error:
        raise SourceError(_said(error, name)) from None
    except UnicodeError:
        raise SourceError(f"{name}: the address should look like {_EXAMPLE}") from None


def _read(connection: psycopg.Connection, stage: Stage, name: str) -> None:
    for setting in _SETTINGS:
        connection.execute(setting.encode())
    found = {
        (schema, table): tuple(columns)
        for schema, table, columns in connection.execute(_COLUMNS).fetchall()
    }
    schema = _schema(found, name)
    for (space, table), columns in found.items():
        if space != schema:
            continue
        stage.table(table, columns)
        if table in TABLES:
            _rows(connection, stage, schema, table, columns)
        else:
            _count(connection, stage, schema, table)


def _schema(found: Mapping[tuple[str, str], object], name: str) -> str:
    """Where Archon's tables are: usually public."""
    spaces = sorted({space for space, table in found if table in TELLING})
    if not spaces:
        listed = ", ".join(sorted({table for _, table in found})[:5])
        raise SourceError(
            f"{name} is no Archon database: it has the tables {listed}"
            if listed
            else f"{name} is no Archon database: it has no tables that this user may see"
        )
    return "public" if "public" in spaces else spaces[0]


def _rows(
    connection: psycopg.Connection,
    stage: Stage,
    schema: str,
    table: str,
    columns: tuple[str, ...],
) -> None:
    kept = tuple(column for column in TABLES[table] if column in columns)
    if not kept:
        return
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(_as_text(column) for column in kept), sql.Identifier(schema, table)
    )
    with connection.cursor(name=f"import_{uuid.uuid4().hex}") as cursor:
        cursor.itersize = FETCH_ROWS
        cursor.execute(query)
        for row in cursor:
            stage.add(table, kept, row)


def _as_text(column: str) -> sql.Composable:
    name = sql.Identifier(column)
    if column not in VECTORS:
        return sql.SQL("{}::text").format(name)
    # Not what a vector says, only whether it says anything.
    return sql.SQL(
        "CASE WHEN {0} IS NULL THEN NULL WHEN {0}::text ~ '[1-9]' THEN '1' ELSE {1} END"
    ).format(name, sql.Literal(ZERO))


def _count(connection: psycopg.Connection, stage: Stage, schema: str, table: str) -> None:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
    try:
        with connection.transaction():
            row = connection.execute(query).fetchone()
    except (errors.InsufficientPrivilege, errors.FeatureNotSupported):
        return
    if row is not None:
        stage.counts[table] += int(row[0])


def _place(url: str) -> str:
    """Which database, without who and with what password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or 5432
    except ValueError:
        raise SourceError(f"the address cannot be read; it should look like {_EXAMPLE}") from None
    return f"{host}:{port}{parts.path}"


def _said(error: psycopg.Error, name: str) -> str:
    """What is wrong and what to do, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[-1] if isinstance(error, psycopg.OperationalError) and lines else ""
    said = (said or (lines[0] if lines else type(error).__name__))[:300]
    if isinstance(error, errors.InsufficientPrivilege) or "row-level security" in said:
        todo = "name a user who may read all rows of Archon's tables, such as their owner"
    elif isinstance(error, psycopg.ProgrammingError):
        todo = f"the address should look like {_EXAMPLE}"
    elif "password" in said or "authentication" in said or "role" in said:
        todo = "check user and password in the address"
    elif "does not exist" in said:
        todo = "check the name of the database at the end of the address"
    else:
        todo = f"check that it runs and can be reached from here, and the address ({_EXAMPLE})"
    return f"{name}: {said}; {todo}"
