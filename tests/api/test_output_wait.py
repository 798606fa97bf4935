"""Who follows a worker waits for what it prints, without a connection, until it has ended."""

import threading

import pytest
from django.db import connection

from config.lib.scope import workspace_scope
from sessions.models import Worker
from sessions.services import waiting
from tests.api.caller import Caller, made, problem, wrong_fields
from tests.api.test_ping_wait import connections, until

# A connection can be given back only where no test holds a transaction on it.
real_commits = pytest.mark.django_db(transaction=True)


class Following:
    """GET workers/{id}/output?wait=25 in a thread of its own."""

    def __init__(self, api, worker, **query) -> None:
        self.answer = None
        arguments = (Caller(api.token), worker["short_id"], query)
        self.thread = threading.Thread(target=self._follow, args=arguments)
        self.thread.start()

    def _follow(self, api, worker_id, query):
        try:
            self.answer = api.get(f"/workers/{worker_id}/output", wait=25, **query)
        finally:
            connection.close()

    def result(self):
        self.thread.join()
        return self.answer


@pytest.fixture
def held(api):
    made(api.post("/workers", {"primitive": "research"}))
    return made(api.post("/workers/claim"))


def say(api, worker, what, **fields):
    path = f"/workers/{worker['id']}/{what}"
    return made(api.post(path, {"lease_id": worker["lease_id"], **fields}))


@real_commits
def test_who_follows_gets_what_is_printed_and_holds_no_connection_meanwhile(api, held):
    before = connections()
    say(api, held, "output", pieces=[{"text": "one"}])
    follower = Following(api, held, after=1)
    until(lambda: waiting.places.taken == 1)
    until(lambda: connections() == before)
    assert waiting.places.taken == 1
    say(api, held, "output", pieces=[{"text": "two"}])
    page = made(follower.result())
    assert [(row["seq"], row["text"]) for row in page["items"]] == [(2, "two")]
    assert (page["id"], page["status"]) == (held["id"], "running")
    assert waiting.places.taken == 0


@real_commits
def test_who_follows_is_told_of_the_end_and_of_a_worker_that_is_gone(api, held):
    follower = Following(api, held)
    until(lambda: waiting.places.taken == 1)
    say(api, held, "complete")
    page = made(follower.result())
    assert (page["items"], page["status"]) == ([], "complete")
    other = made(api.post("/workers", {"primitive": "research"}))
    follower = Following(api, other)
    until(lambda: waiting.places.taken == 1)
    assert api.delete(f"/workers/{other['id']}", if_match="*").status_code == 204
    problem(follower.result(), 404)
    assert waiting.places.taken == 0


def test_what_is_there_or_will_never_be_is_not_waited_for(api, held, workspace, monkeypatch):
    monkeypatch.setattr(waiting, "connection", None)  # closing it would fail
    path = f"/workers/{held['id']}/output"
    say(api, held, "output", pieces=[{"text": "one"}, {"text": "two"}])
    page = made(api.get(path, wait=25, limit=1))
    assert [row["seq"] for row in page["items"]] == [1]
    page = made(api.get(path, wait=25, cursor=page["next_cursor"]))
    assert [row["seq"] for row in page["items"]] == [2]
    for status in ("complete", "failed", "cancelled"):
        with workspace_scope(workspace.id):
            Worker.objects.update(status=status)
        page = made(api.get(path, wait=25, after=2))
        assert (page["items"], page["status"]) == ([], status)


@pytest.mark.parametrize("wait", ["-1", "26", "nan", "long"])
def test_a_wait_out_of_bounds_is_refused(api, held, wait):
    assert "wait" in wrong_fields(api.get(f"/workers/{held['id']}/output", wait=wait))


def test_a_stranger_does_not_wait_for_anything(held, stranger):
    problem(stranger.get(f"/workers/{held['id']}/output", wait=25), 404)
