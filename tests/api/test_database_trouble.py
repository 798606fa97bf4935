"""What the database refuses in passing: tried again where that helps, else said and undone."""

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.db.utils import DataError
from psycopg_pool import PoolTimeout

from config.lib.db.again import may_succeed_again
from config.lib.db.prepared import PREPARE_AFTER
from config.lib.scope import send, workspace_scope
from sessions.services import sessions as service
from tests.api.caller import Caller, all_items, made, problem
from tests.factories import make_key, make_workspace
from tests.mcp.speaking import LEGACY, Agent
from tests.mcp.test_door import LIST


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


@pytest.fixture
def altered(transactional_db):
    """A workspace's key whose connection keeps the statement that reads it, and what alters one of
    the columns that the statement returns. The table is the connection's own, before the real one:
    other tests need that as it is."""
    workspace = make_workspace("greenhouse")
    _, token = make_key(workspace)

    def alter() -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE pg_temp.contacts_agent ALTER name TYPE varchar(700)")
            cursor.execute(KEPT)
            assert cursor.fetchone()[0] == 1

    with workspace_scope(workspace.id), connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE contacts_agent AS SELECT * FROM contacts_agent")
    yield token, alter
    connection.close()


KEPT = "SELECT count(*) FROM pg_prepared_statements WHERE statement ~ 'contacts_apikey'"


def test_a_kept_statement_whose_columns_were_altered_is_asked_anew_over_rest(altered):
    token, alter = altered
    asked = Caller(token)
    for _ in range(PREPARE_AFTER + 1):
        assert asked.get("/sessions").status_code == 200
    alter()
    assert asked.get("/sessions").status_code == 200
    assert asked.get("/sessions").status_code == 200


def test_a_kept_statement_whose_columns_were_altered_is_asked_anew_over_mcp(altered):
    token, alter = altered
    speaking = Agent(token, era=LEGACY)
    for _ in range(PREPARE_AFTER + 1):
        assert speaking.post(LIST).status_code == 200
    alter()
    assert speaking.post(LIST).status_code == 200
    assert speaking.post(LIST).status_code == 200


def test_other_unsupported_things_are_not_asked_again():
    assert not may_succeed_again(psycopg.errors.FeatureNotSupported())


def test_a_connection_that_is_lost_in_a_transaction_is_said_as_djangos_own(transactional_db):
    with transaction.atomic():
        connection.close()
        # A pool's connection is given back then.
        connection.connection = None
        with pytest.raises(DatabaseError):
            send("SET LOCAL synchronous_commit = off")
        transaction.set_rollback(True)
