"""/livez and /readyz."""

import pytest
from django.db import OperationalError
from django.db.migrations.loader import MigrationLoader
from django.test import Client

from config import health


@pytest.fixture(autouse=True)
def unasked(monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)


def test_a_process_is_live_without_a_database():
    # No database fixture: a query would be refused.
    assert Client().get("/livez").json() == {"status": "ok"}
    assert Client().post("/livez").status_code == 405


def test_it_is_ready_when_the_tables_are_there(db, django_assert_num_queries):
    assert Client().get("/readyz").json() == {"status": "ok"}
    with django_assert_num_queries(1):
        assert Client().head("/readyz").status_code == 200


def test_it_is_not_ready_before_the_migrations(db, monkeypatch):
    loaded = MigrationLoader.build_graph

    def lacking(self):
        loaded(self)
        self.applied_migrations.pop(("memory", "0001_initial"))

    monkeypatch.setattr(MigrationLoader, "build_graph", lacking)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    assert "memory.0001_initial" in answer.json()["detail"]
    assert answer["Retry-After"]


def test_it_is_not_ready_without_a_database(db, monkeypatch):
    def refuse(*_):
        raise OperationalError("connection refused at 10.0.0.5")

    with monkeypatch.context() as patched:
        patched.setattr("django.db.backends.utils.CursorWrapper.execute", refuse)
        answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert "10.0.0.5" not in answer.content.decode()
