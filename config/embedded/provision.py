"""Roles, extension and database inside a running embedded server. Can be run again.

Not for tables (migrations) nor for managed servers (`manage.py dbroles` prints the same SQL).
"""

import psycopg

from config.embedded.layout import DATABASE, OWNER, RUNTIME, SEARCH, Secrets
from config.lib.db.roles import (
    RoleNames,
    create_database_statement,
    grant_statements,
    role_statements,
)

NAMES = RoleNames(owner=OWNER, runtime=RUNTIME, search=SEARCH, database=DATABASE)


def provision(
    superuser_url: str, secrets: Secrets, *, owner_may_create_databases: bool = False
) -> None:
    """Brings roles, grants, extension and database to what this release expects.

    Extension and grants go into template1 as well: the owner is no superuser, cannot install
    `vector` itself, and test databases are copies of template1.
    """
    roles = role_statements(
        NAMES,
        owner_password=secrets.owner_password,
        runtime_password=secrets.runtime_password,
        owner_may_create_databases=owner_may_create_databases,
    )
    with psycopg.connect(superuser_url, autocommit=True) as server:
        # One transaction: a start that is killed here leaves all of it or nothing.
        with server.transaction():
            for statement in roles:
                server.execute(statement)
        with psycopg.connect(superuser_url, dbname="template1") as template:
            _fill(template)
        # CREATE DATABASE copies template1 only while nobody is connected to it.
        found = server.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if found is None:
            server.execute(create_database_statement(NAMES))
    if found is not None:
        with psycopg.connect(superuser_url, dbname=DATABASE) as database:
            _fill(database)


def _fill(connection: psycopg.Connection) -> None:
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    connection.execute("ALTER EXTENSION vector UPDATE")
    for statement in grant_statements(NAMES):
        connection.execute(statement)
