"""What the database refuses in passing: tried again where that helps, else said and undone."""

import psycopg
import pytest
from django.db import IntegrityError, OperationalError
from django.db.utils import DataError
from psycopg_pool import PoolTimeout

from sessions.services import sessions as service
from tests.api.caller import all_items, made, problem


def failing(monkeypatch, *causes, wrapper=OperationalError):
    """create_session does its work, then fails with each cause in turn, then succeeds."""
    left = list(causes)
    genuine = service.create_session

    def create(**fields):
        made = genuine(**fields)
        if left:
            raise wrapper("the statement and its values") from left.pop(0)
        return made

    monkeypatch.setattr(service, "create_session", create)


@pytest.mark.parametrize(
    ("cause", "wrapper"),
    [
        (psycopg.errors.DeadlockDetected(), OperationalError),
        (psycopg.errors.SerializationFailure(), OperationalError),
        (psycopg.errors.UniqueViolation(), IntegrityError),
    ],
)
def test_a_race_is_run_again_and_happens_once(api, monkeypatch, cause, wrapper):
    failing(monkeypatch, cause, cause, wrapper=wrapper)
    answer = api.post("/sessions", {"name": "n"}, idempotency_key="k")
    assert answer.status_code == 201
    assert [row["id"] for row in all_items(api, "/sessions")] == [made(answer)["id"]]


@pytest.mark.parametrize(
    ("cause", "wrapper", "status", "code"),
    [
        (psycopg.errors.DeadlockDetected(), OperationalError, 503, "busy"),
        (psycopg.errors.LockNotAvailable(), OperationalError, 409, "in_progress"),
        (psycopg.errors.QueryCanceled(), OperationalError, 503, "timeout"),
        (PoolTimeout(), OperationalError, 503, "overloaded"),
        (psycopg.OperationalError(), OperationalError, 503, "database_unavailable"),
        (psycopg.errors.UniqueViolation(), IntegrityError, 409, "integrity"),
        (psycopg.errors.NumericValueOutOfRange(), DataError, 500, "unexpected"),
    ],
)
def test_what_does_not_pass_is_said_and_undone(api, monkeypatch, cause, wrapper, status, code):
    failing(monkeypatch, *[cause] * 10, wrapper=wrapper)
    answer = api.post("/sessions", {"name": "n"})
    body = problem(answer, status)
    assert body["code"] == code
    assert ("Retry-After" in answer) == (code in {
        "busy", "in_progress", "timeout", "overloaded", "database_unavailable"
    })  # fmt: skip
    assert "statement" not in str(body)
    assert all_items(api, "/sessions") == []
