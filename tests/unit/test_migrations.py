"""Tables can be made from nothing and taken back to nothing, app by app."""

import json
import os
import subprocess
import sys
import tempfile
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader

from config.embedded.temporary import TemporaryUrls
from config.lib.db.migration import NarrowMigration
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


# One process for all: its start costs more than most of what is asked of it.
MIGRATE = """
import json, sys
import django
django.setup()
from django.core.management import call_command
for line in sys.stdin:
    call_command("migrate", *json.loads(line), verbosity=0)
    print("done", flush=True)
"""


@pytest.fixture
def migrate(scratch: dict[str, str]):
    """`manage.py migrate`, with these arguments, on the scratch database."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE],
            cwd=ROOT,
            env=scratch | {"REMEMBRANCER_DATABASE_LOGIN": "owner"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):

        def migrate(*arguments: str) -> None:
            process.stdin.write(json.dumps(arguments) + "\n")
            process.stdin.flush()
            if process.stdout.readline() != "done\n":
                process.wait()
                errors.seek(0)
                pytest.fail(errors.read())

        yield migrate


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
@pytest.mark.timeout(600)
def test_every_app_migrates_to_zero_and_back(scratch, migrate):
    migrate()
    everything = our_objects(scratch)
    assert {"contacts_agent", "agent_sessions_message", "memory_passage"} <= everything
    for app in OURS:
        migrate(app, "zero")
        assert not {name for name in our_objects(scratch) if name.startswith(app)}
    assert our_objects(scratch) == set()
    migrate()
    assert our_objects(scratch) == everything


def test_all_of_ours_apply_the_quick_way():
    known = MigrationLoader(None).disk_migrations
    ours = {key: migration for key, migration in known.items() if key[0] in OURS}
    assert len(ours) > 20
    assert [key for key, one in ours.items() if not isinstance(one, NarrowMigration)] == []


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
    # Django counts its own hash into the longest that fits; axes has one of those.
    ours = [name for name in names if not name.startswith("axes_")]
    assert max(len(name) for name in ours) < 63
