"""Tables can be made from nothing and taken back to nothing, app by app."""

import os
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management import call_command

from config.embedded.temporary import TemporaryUrls
from tests.factories import ROOT

SCRATCH = "migrations_scratch"
OURS = ("memory", "agent_sessions", "contacts")


def on_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture
def scratch(database_server: TemporaryUrls):
    """A database of its own, made by the owner, and the environment that points at it."""
    with psycopg.connect(database_server.owner, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {SCRATCH}")
        environment = os.environ | {
            "DATABASE_URL": on_database(database_server.runtime, SCRATCH),
            "DATABASE_OWNER_URL": on_database(database_server.owner, SCRATCH),
            "SECRET_KEY": "x" * 50,
            "DJANGO_SETTINGS_MODULE": "config.settings.base",
        }
        yield environment
        connection.execute(f"DROP DATABASE {SCRATCH} WITH (FORCE)")


def manage(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def our_objects(environment: dict[str, str]) -> set[str]:
    """Tables and functions of ours that are there."""
    with psycopg.connect(environment["DATABASE_OWNER_URL"]) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind IN ('r', 'v') "
            "UNION ALL SELECT p.proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace "
            "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
        ).fetchall()
    return {name for (name,) in rows if name.startswith(OURS)}


@pytest.mark.slow
def test_every_app_migrates_to_zero_and_back(scratch):
    manage(scratch, "migrate", "--verbosity", "0")
    everything = our_objects(scratch)
    assert {"contacts_agent", "agent_sessions_message", "memory_passage"} <= everything
    for app in OURS:
        manage(scratch, "migrate", app, "zero", "--verbosity", "0")
        assert not {name for name in our_objects(scratch) if name.startswith(app)}
    assert our_objects(scratch) == set()
    manage(scratch, "migrate", "--verbosity", "0")
    assert our_objects(scratch) == everything


def test_no_model_has_changed_without_a_migration(db, capsys):
    call_command("makemigrations", check=True, dry_run=True, verbosity=1)
    assert "No changes detected" in capsys.readouterr().out


def test_constraint_names_fit_postgresql(db):
    """Longer names are cut without a word, and a later migration would not find them."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        )
        names = [name for (name,) in cursor.fetchall()]
    assert max(len(name) for name in names) < 63
