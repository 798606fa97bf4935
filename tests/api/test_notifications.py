"""Notifications over REST: told once, handed to one session, acknowledged."""

import pytest

from tests.api.caller import Caller, all_items, made, problem, wrong_fields
from tests.api.test_concurrency import at_once
from tests.factories import nowhere


def begin(api, **fields):
    return made(api.post("/sessions", fields))


def notify(api, entity, conversation="a", kind="worker_complete", **fields):
    body = {"conversation_id": conversation, "notification_type": kind, "entity_id": entity}
    return made(api.post("/notifications", {**body, **fields}))


def deliver(api, session, **body):
    return made(api.post(f"/sessions/{session['id']}/notifications/deliver", body))["items"]


def entities(rows):
    return [row["entity_id"] for row in rows]


def test_a_conversation_is_told_of_an_entity_once_in_each_type(api):
    body = {"conversation_id": "a", "notification_type": "t", "entity_id": "e"}
    first = api.post("/notifications", {**body, "payload": {"n": 1}})
    assert first.status_code == 201
    again = api.post("/notifications", {**body, "payload": {"n": 2}})
    assert (again.status_code, again.json()) == (200, first.json())
    notify(api, "e", kind="other")
    notify(api, "e", conversation="b", kind="t")
    assert len(all_items(api, "/notifications")) == 3
    assert made(api.get(f"/notifications/{first.json()['short_id']}")) == first.json()


def test_notifications_are_listed_newest_first_and_narrowed(api):
    session = begin(api, conversation_id="a")
    for entity in ("1", "2", "3"):
        notify(api, entity)
    notify(api, "4", conversation="b", kind="ping")
    first, second = deliver(api, session, limit=2)
    made(api.post(f"/notifications/{first['id']}/acknowledge"))

    def listed(**query):
        return entities(all_items(api, "/notifications", **query))

    assert listed(limit=2) == ["4", "3", "2", "1"]
    assert listed(conversation_id="a") == ["3", "2", "1"]
    assert listed(notification_type="ping") == ["4"]
    assert listed(entity_id="2") == ["2"]
    assert listed(session=session["id"]) == ["2", "1"]
    assert listed(state="unnotified") == ["4", "3"]
    assert listed(state="notified") == [second["entity_id"]]
    assert listed(state="pending") == ["4", "3", "2"]
    assert listed(state="acknowledged") == ["1"]
    assert "state" in wrong_fields(api.get("/notifications", state="lost"))


def test_a_notification_is_handed_to_one_session_and_stays_pending(api):
    before, after = begin(api, conversation_id="a"), begin(api, conversation_id="a")
    notify(api, "1")
    notify(api, "2", conversation="b")
    assert made(api.get("/conversations/a/notifications"))["items"][0]["notified_at"] is None
    (told,) = deliver(api, after)
    assert (told["entity_id"], told["session_id"]) == ("1", after["id"])
    assert told["notified_at"] is not None
    assert deliver(api, after) == deliver(api, before) == []
    path = "/conversations/a/notifications"
    assert entities(all_items(api, path)) == ["1"]
    assert all_items(api, path, state="unnotified") == []
    assert entities(all_items(api, path, state="notified")) == ["1"]
    made(api.post(f"/notifications/{told['id']}/acknowledge"))
    assert all_items(api, path) == []


def test_a_worker_of_one_session_is_heard_of_by_the_next(api):
    first = begin(api, role="chief")
    conversation = first["conversation_id"]
    made(api.post(f"/sessions/{first['id']}/end"))
    notify(api, "worker-1", conversation=conversation)
    second = begin(api, role="chief")
    assert entities(deliver(api, second)) == ["worker-1"]


def test_the_oldest_are_delivered_first(api):
    session = begin(api, conversation_id="a")
    for entity in ("1", "2", "3"):
        notify(api, entity)
    assert entities(deliver(api, session, limit=2)) == ["1", "2"]
    assert entities(deliver(api, session, limit=2)) == ["3"]
    path = f"/sessions/{session['id']}/notifications/deliver"
    assert "limit" in wrong_fields(api.post(path, {"limit": 0}))
    assert "limit" in wrong_fields(api.post(path, {"limit": 201}))


def test_what_was_acknowledged_unseen_is_not_delivered(api):
    session = begin(api, conversation_id="a")
    one = notify(api, "1")
    made(api.post(f"/notifications/{one['id']}/acknowledge"))
    assert deliver(api, session) == []


def test_a_session_that_has_ended_is_told_nothing(api):
    session = begin(api, conversation_id="a")
    notify(api, "1")
    made(api.post(f"/sessions/{session['id']}/end"))
    path = f"/sessions/{session['id']}/notifications/deliver"
    assert problem(api.post(path), 409)["code"] == "session_ended"
    assert len(all_items(api, "/notifications", state="unnotified")) == 1


def test_acknowledging_twice_keeps_the_first_time(api):
    path = f"/notifications/{notify(api, '1')['id']}/acknowledge"
    first = made(api.post(path))
    assert first["acked_at"] is not None
    assert made(api.post(path)) == first


def test_many_are_acknowledged_all_or_none(api):
    one, two = notify(api, "1"), notify(api, "2")
    path = "/notifications/acknowledge"
    problem(api.post(path, {"ids": [one["id"], str(nowhere())]}), 404)
    assert len(all_items(api, "/notifications", state="pending")) == 2
    ids = [one["id"], two["short_id"], one["id"]]
    assert made(api.post(path, {"ids": ids})) == {"acknowledged": 2}
    assert made(api.post(path, {"ids": ids})) == {"acknowledged": 0}


def test_all_that_a_conversation_was_handed_is_acknowledged_and_no_more(api):
    session = begin(api, conversation_id="a")
    notify(api, "1")
    notify(api, "other", conversation="b")
    deliver(api, session)
    notify(api, "2")
    body = {"conversation_id": "a"}
    assert made(api.post("/notifications/acknowledge", body)) == {"acknowledged": 1}
    assert made(api.post("/notifications/acknowledge", body)) == {"acknowledged": 0}
    assert entities(all_items(api, "/notifications", state="pending")) == ["2", "other"]
    for wrong in ({}, {"ids": [], "conversation_id": ""}, {**body, "ids": [session["id"]]}):
        problem(api.post("/notifications/acknowledge", wrong), 422)


@pytest.mark.django_db(transaction=True)
def test_of_many_sessions_that_ask_at_once_each_notification_reaches_one(api):
    count = 30
    for n in range(count):
        notify(api, str(n))
    sessions = [begin(api, conversation_id="a") for _ in range(6)]
    answers = at_once(
        [
            lambda path=f"/sessions/{one['id']}/notifications/deliver": Caller(api.token).post(
                path, {"limit": 10}
            )
            for one in sessions
        ]
    )
    got = [entity for answer in answers for entity in entities(made(answer)["items"])]
    for one in sessions:  # whatever was skipped because another had it locked
        got += entities(deliver(api, one))
    assert sorted(got, key=int) == [str(n) for n in range(count)]


@pytest.mark.django_db(transaction=True)
def test_twenty_who_tell_the_same_leave_one_notification(api):
    body = {"conversation_id": "a", "notification_type": "t", "entity_id": "e"}
    answers = at_once([lambda: Caller(api.token).post("/notifications", body)] * 20)
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.django_db(transaction=True)
def test_beats_at_once_warn_once_for_each_threshold(api):
    session = begin(api, conversation_id="a")
    path = f"/sessions/{session['id']}/heartbeat"
    answers = at_once(
        [
            lambda percent=percent: Caller(api.token).post(path, {"context_used_percent": percent})
            for percent in (55, 60, 75, 80, 55, 60, 75, 80, 55, 60)
        ]
    )
    assert {answer.status_code for answer in answers} == {200}
    warned = all_items(api, "/conversations/a/notifications")
    assert entities(warned) == [f"{session['id']}:{level}" for level in (50, 70)]
    assert made(api.get(f"/sessions/{session['id']}"))["context_warning_level"] == 70
