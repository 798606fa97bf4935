"""Many callers at once: numbers without gaps, and of two who change one row exactly one wins."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from tests.api.caller import Caller, all_items, made

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS = 20


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What the calls answer, each made in a thread of its own after all are ready."""
    answers: list[Any] = []
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        try:
            barrier.wait()
            answers.append(call())
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(calls)
    return answers


def alike(api: Caller) -> list[Caller]:
    """The same key, from as many programs as there are writers."""
    return [Caller(api.token) for _ in range(WRITERS)]


def thread_of(api: Caller) -> str:
    session = made(api.post("/sessions", {}))
    thread = made(api.post(f"/sessions/{session['id']}/threads", {}))
    return f"/threads/{thread['id']}/messages"


def statuses(answers: list[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_events_of_twenty_writers_count_without_a_gap(api):
    path = f"/sessions/{made(api.post('/sessions', {}))['id']}"
    batch = {"events": [{"event_type": "note"}] * 3}
    answers = at_once(
        [
            (lambda one=one: one.post(path + "/events/batch", batch))
            if n % 2
            else (lambda one=one: one.post(path + "/events", {"event_type": "note"}))
            for n, one in enumerate(alike(api))
        ]
    )
    assert statuses(answers) == {201: WRITERS}
    count = WRITERS // 2 * 4
    assert [row["seq"] for row in all_items(api, path + "/events")] == list(range(1, count + 1))
    assert made(api.get(path))["event_count"] == count


def test_messages_of_twenty_writers_count_without_a_gap(api):
    path = thread_of(api)
    answers = at_once(
        [lambda one=one: one.post(path, {"role": "user", "content": "x"}) for one in alike(api)]
    )
    assert statuses(answers) == {201: WRITERS}
    assert [row["idx"] for row in all_items(api, path)] == list(range(WRITERS))


def test_of_twenty_who_claim_one_idx_one_gets_it(api):
    path = thread_of(api)
    answers = at_once(
        [lambda one=one: one.post(path, {"role": "user", "idx": 0}) for one in alike(api)]
    )
    assert statuses(answers) == {201: 1, 422: WRITERS - 1}
    assert len(all_items(api, path)) == 1


def test_of_two_who_change_a_row_exactly_one_wins(api):
    for path in (
        f"/sessions/{made(api.post('/sessions', {}))['id']}",
        f"/memories/{made(api.post('/memories', {'text': 't'}))['id']}",
    ):
        field = "name" if "sessions" in path else "text"
        answers = at_once(
            [
                lambda one=one, n=n, path=path, field=field: one.patch(
                    path, {field: f"writer {n}"}, if_match='"1"'
                )
                for n, one in enumerate(alike(api)[:2])
            ]
        )
        assert statuses(answers) == {200: 1, 412: 1}
        (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
        now = made(api.get(path))
        assert (now["version"], now[field]) == (2, winner[field])


def test_one_request_sent_twenty_times_at_once_is_done_once(api):
    answers = at_once(
        [
            lambda one=one: one.post("/sessions", {"name": "n"}, idempotency_key="k")
            for one in alike(api)
        ]
    )
    assert statuses(answers) == {201: WRITERS}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer for answer in answers) == WRITERS - 1
    assert len(all_items(api, "/sessions")) == 1


MISSION = {
    "name": "m", "prompt": "p", "schedule_kind": "cron", "schedule": "@yearly", "slug": "m",
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sessions", {}),
        ("/sessions/{session}/threads", {}),
        ("/workers", {"primitive": "p"}),
        ("/scheduled-missions", MISSION),
        ("/handoffs", {"from_session_id": "{session}", "content": "c"}),
        ("/pings", {"message": "m"}),
        ("/projects", {"title": "t"}),
    ],
)
def test_of_twenty_who_bring_one_external_id_all_get_the_same_row(api, path, body):
    session = made(api.post("/sessions", {"external_id": "other"}))["id"]
    path, body = path.format(session=session), {**body, "external_id": "run"}
    body = {k: v.format(session=session) if isinstance(v, str) else v for k, v in body.items()}
    for n in range(3):
        # Each time anew: whether one comes between another's look and its write is chance.
        sent = {**body, "external_id": f"run {n}"} | ({"slug": f"m-{n}"} if "slug" in body else {})
        answers = at_once([lambda one=one, sent=sent: one.post(path, sent) for one in alike(api)])
        assert statuses(answers) == {201: 1, 200: WRITERS - 1}
        assert len({answer.json()["id"] for answer in answers}) == 1


def test_a_session_can_be_deleted_while_others_write_into_it(api):
    session = made(api.post("/sessions", {}))
    path = f"/sessions/{session['id']}"
    messages = f"/threads/{made(api.post(path + '/threads', {}))['id']}/messages"
    one, *others = alike(api)
    answers = at_once(
        [lambda: one.delete(path, if_match="*")]
        + [lambda each=each: each.post(messages, {"role": "user"}) for each in others[::2]]
        + [
            lambda each=each: each.post(path + "/events", {"event_type": "note"})
            for each in others[1::2]
        ]
    )
    assert set(statuses(answers)) <= {201, 204, 404}
    assert api.get(path).status_code == 404


def test_a_project_that_twenty_sessions_name_at_once_is_one(api):
    answers = at_once(
        [lambda one=one: one.post("/sessions", {"project": "greenhouse"}) for one in alike(api)]
    )
    assert statuses(answers) == {201: WRITERS}
    assert len({answer.json()["project_id"] for answer in answers}) == 1
    assert len(all_items(api, "/projects")) == 1
