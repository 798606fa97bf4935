"""An agent waits for its answer: without a connection, for a bounded time, and not all at once."""

import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import connection

from config.lib import clock, stopping
from config.lib.scope import workspace_scope
from sessions.models import Ping
from sessions.selectors_pings import get_ping
from sessions.services import waiting
from tests.api.caller import Caller, made, problem, wrong_fields

# A connection can be given back only where no test holds a transaction on it.
real_commits = pytest.mark.django_db(transaction=True)


class Waiting:
    """GET pings/{id}?wait=25 in a thread of its own."""

    def __init__(self, api, ping_id: str) -> None:
        self.answer = None
        self.thread = threading.Thread(target=self._wait, args=(Caller(api.token), ping_id))
        self.thread.start()

    def _wait(self, api, ping_id):
        try:
            self.answer = api.get(f"/pings/{ping_id}", wait=25)
        finally:
            connection.close()

    def result(self):
        self.thread.join()
        return self.answer


@pytest.fixture
def ping(api):
    return made(api.post("/pings", {"message": "Deploy?"}))


def wait(workspace, ping, seconds, sleep):
    return waiting.wait_until(
        workspace_id=workspace.id,
        look=lambda before: get_ping(ping["id"]),
        settled=lambda found: found.state == "resolved",
        seconds=seconds,
        sleep=sleep,
    )


def no_sleep(seconds):
    pytest.fail("it waited")


def connections() -> int:
    """Of this process to the test's database, beside the one that asks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def until(fact, patience=threading.Event()):  # noqa: B008  (never set: it paces the looks)
    """Looks until `fact()` holds; the test's own time limit is what ends it otherwise."""
    while not fact():
        patience.wait(0.01)


@real_commits
def test_who_waits_gets_the_answer_and_holds_no_connection_meanwhile(api, ping):
    before = connections()
    callers = [Waiting(api, ping["id"]) for _ in range(3)]
    until(lambda: waiting.places.taken == 3)
    until(lambda: connections() == before)
    assert waiting.places.taken == 3
    made(api.post(f"/pings/{ping['id']}/answer", {"answer": "yes"}))
    for one in callers:
        answer = made(one.result())
        assert (answer["state"], answer["answer"]) == ("resolved", "yes")
    assert waiting.places.taken == 0


@real_commits
def test_who_waits_for_a_ping_that_is_deleted_is_told(api, ping):
    caller = Waiting(api, ping["short_id"])
    until(lambda: waiting.places.taken == 1)
    assert api.delete(f"/pings/{ping['id']}", if_match="*").status_code == 204
    problem(caller.result(), 404)
    assert waiting.places.taken == 0


def test_what_is_settled_is_not_waited_for(api, ping, monkeypatch, workspace):
    monkeypatch.setattr(waiting, "connection", None)  # closing it would fail
    made(api.post(f"/pings/{ping['id']}/resolve"))
    assert made(api.get(f"/pings/{ping['id']}", wait=25))["state"] == "resolved"
    other = made(api.post("/pings", {"message": "m", "expires_at": "2099-01-01T00:00:00Z"}))
    with workspace_scope(workspace.id):
        past = clock.now() - timedelta(seconds=1)
        Ping.objects.filter(pk=other["id"]).update(expires_at=past)
    assert made(api.get(f"/pings/{other['id']}", wait=25))["state"] == "expired"


def test_who_finds_no_place_is_answered_at_once(ping, workspace):
    with ExitStack() as taken:
        for _ in range(waiting.places.limit):
            assert taken.enter_context(waiting.places.take())
        found = wait(workspace, ping, 25, no_sleep)
        assert found.state == "open"
    assert waiting.places.taken == 0


def test_half_the_threads_never_wait(settings):
    assert 0 < waiting.places.limit <= settings.WEB_THREADS // 2


def test_a_stopping_server_lets_go(ping, workspace):
    stopping.watch(lambda: True)
    try:
        found = wait(workspace, ping, 25, no_sleep)
    finally:
        stopping.watch(lambda: False)
    assert found.state == "open"


@real_commits
def test_pauses_grow_to_a_second_and_the_time_is_bounded(ping, workspace, monkeypatch):
    pauses = []

    class Clock:
        """Passes only while somebody sleeps."""

        @staticmethod
        def monotonic():
            return sum(pauses)

    monkeypatch.setattr(waiting, "time", Clock)
    found = wait(workspace, ping, 10, pauses.append)
    assert found.state == "open"
    assert pauses[:-1] == sorted(pauses[:-1])
    assert (pauses[0], max(pauses)) == (0.25, 1.0)
    assert sum(pauses) == pytest.approx(10)


@pytest.mark.parametrize("wait", ["-1", "26", "nan", "long", "inf"])
def test_a_wait_out_of_bounds_is_refused(api, ping, wait):
    assert "wait" in wrong_fields(api.get(f"/pings/{ping['id']}", wait=wait))
