"""`manage.py verify` finds what is broken on purpose, and mends what can be."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.conftest import log_in


@pytest.fixture
def as_owner(database_server, django_db_setup, django_db_blocker):
    """Before `db`: the whole test is one transaction of the owner's login, tables and all."""
    with django_db_blocker.unblock():
        log_in(database_server.owner)
    yield
    with django_db_blocker.unblock():
        log_in(database_server.runtime)


@pytest.fixture
def verify(capsys):
    """Runs the command: (exit code, check by name)."""

    def verify(**options):
        code = 0
        try:
            call_command("verify", json=True, **options)
        except CommandError as error:
            code = error.returncode
        found = json.loads(capsys.readouterr().out)
        return code, {check["name"]: check for check in found["checks"]}

    return verify


def run(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def sound(as_owner, db):
    """The tables as migrations leave them: tests alone grant TRUNCATE."""
    run("REVOKE TRUNCATE, MAINTAIN ON ALL TABLES IN SCHEMA public FROM app_rw")


def test_a_migrated_database_is_as_it_should_be(sound, verify):
    code, checks = verify(structure=True)
    assert {name: c["problems"] for name, c in checks.items() if c["findings"]} == {}
    assert code == 0
