"""Cursors whose statements the server keeps."""

import pytest
from django.db import connection
from psycopg.pq import Format

from config.lib.db.prepared import PREPARE_AFTER, may_prepare, prepared_cursor

KEPT = "SELECT statement FROM pg_prepared_statements"
ASKED = "SELECT %s::int + 41"


def kept() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(KEPT)
        return [text for (text,) in cursor.fetchall() if text == ASKED.replace("%s", "$1")]


@pytest.mark.django_db
@pytest.mark.parametrize("binary", [False, True])
def test_a_statement_is_kept_from_its_third_time_on(binary):
    assert may_prepare(connection.connection)
    before = len(kept())
    for _ in range(PREPARE_AFTER + 2):
        with prepared_cursor(binary=binary) as cursor:
            cursor.execute(ASKED, [1])
            assert cursor.fetchone() == (42,)
            assert cursor.cursor.pgresult.fformat(0) == (Format.BINARY if binary else Format.TEXT)
    assert len(kept()) == max(before, 1)


@pytest.mark.django_db
def test_statements_of_other_cursors_are_neither_kept_nor_counted():
    for _ in range(PREPARE_AFTER + 2):
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", ["x" * 10_000])
    assert connection.connection.prepare_threshold is None
    assert not any(len(query) > 1000 for query, _ in connection.connection._prepared._counts)


@pytest.mark.django_db
def test_what_is_wrong_is_said_as_djangos_own_and_the_statement_with_its_values(
    django_assert_num_queries,
):
    from django.db import DataError

    with django_assert_num_queries(2) as asked, prepared_cursor() as cursor:
        cursor.execute(ASKED, [1])
        with pytest.raises(DataError):
            cursor.execute("SELECT 1 / %s::int", [0])
    assert asked.captured_queries[0]["sql"] == "SELECT 1::int + 41"


@pytest.mark.django_db
def test_what_cannot_be_sent_is_said_as_djangos_own_while_statements_are_noted():
    from django.db import DataError
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection), prepared_cursor() as cursor:
        with pytest.raises(DataError, match="NUL"):
            cursor.execute("SELECT %s", ["a\x00b"])
