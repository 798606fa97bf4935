"""The SQL of `manage.py dbroles`, as text. tests/faults/test_database_roles.py runs it."""

import re

import pytest

from config.lib.db.roles import (
    RoleError,
    RoleNames,
    grant_statements,
    managed_script,
    role_statements,
)

NAMES = RoleNames()


def test_no_role_can_see_past_row_level_security() -> None:
    made = [
        s
        for s in role_statements(NAMES, owner_password="o", runtime_password="r")
        if "CREATE ROLE" in s
    ]
    assert len(made) == 3
    for statement in made:
        assert "NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB" in statement
    assert 'CREATE ROLE "app_search" NOLOGIN' in made[2]


def test_only_test_servers_let_the_owner_make_databases() -> None:
    made = role_statements(
        NAMES, owner_password="o", runtime_password="r", owner_may_create_databases=True
    )
    assert sum(" CREATEDB" in statement for statement in made) == 1


def test_passwords_are_quoted() -> None:
    made = role_statements(NAMES, owner_password="o'); DROP ROLE x; --", runtime_password="a\\b")
    text = "\n".join(made)
    assert "PASSWORD 'o''); DROP ROLE x; --'" in text
    assert r"E'a\\b'" in text


def test_the_runtime_role_has_timeouts() -> None:
    text = "\n".join(role_statements(NAMES, owner_password="o", runtime_password="r"))
    for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert re.search(rf'ALTER ROLE "app_rw" SET "{setting}" = \'\d+s\'', text)


def test_other_names_go_everywhere() -> None:
    names = RoleNames(owner="rmb-owner", runtime="rmb-web", search="rmb-find", database="rmb-db")
    script = managed_script(names, owner_password="o", runtime_password="r")
    assert "app_" not in script
    assert '"remembrancer"' not in script
    for name in ("rmb-owner", "rmb-web", "rmb-find", "rmb-db"):
        assert f'"{name}"' in script


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "A", "1a", "x" * 64, "do$do"])
def test_names_that_need_care_are_refused(name: str) -> None:
    with pytest.raises(RoleError, match="runtime"):
        RoleNames(runtime=name)


def test_the_runtime_role_cannot_be_the_owner() -> None:
    with pytest.raises(RoleError, match="three different roles"):
        RoleNames(owner="one", runtime="one")


def test_grants_never_touch_tables_that_are_there() -> None:
    # An append-only table's narrower grant must survive running this again.
    assert not any("ALL TABLES" in statement for statement in grant_statements(NAMES))
