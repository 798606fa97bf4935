"""Scratch databases on the tests' temporary server, and pg_dump of them."""

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config.embedded.server import programs
from config.embedded.temporary import TemporaryUrls


@contextlib.contextmanager
def scratch_database(server: TemporaryUrls) -> Iterator[str]:
    """The address, as the superuser, of an empty database that goes afterwards."""
    name = f"scratch_{uuid.uuid4().hex}"
    with psycopg.connect(server.superuser, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        )
        try:
            yield with_database(server.superuser, name)
        finally:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


def with_database(url: str, name: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


def dumped(url: str, *options: str) -> bytes:
    """What pg_dump writes of a database."""
    done = subprocess.run(
        [programs() / "pg_dump", "--dbname", url, *options], capture_output=True, check=True
    )
    return done.stdout


def restored(url: str, *dumps: Path | bytes) -> None:
    """Run dumps in plain SQL by psql."""
    quiet = ("-q", "-X", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null")
    for dump in dumps:
        text = dump.read_bytes() if isinstance(dump, Path) else dump
        command = [programs() / "psql", "--dbname", url, *quiet]
        subprocess.run(command, input=text, check=True, capture_output=True)
