"""Handoffs over REST: work left by one session and taken over by another."""

import pytest

from tests.api.caller import Caller, all_items, caller, made, problem, wrong_fields
from tests.api.test_concurrency import at_once, statuses
from tests.factories import nowhere


def begin(api, **fields):
    return made(api.post("/sessions", fields))


def leave(api, session, **fields):
    body = {"from_session_id": session["id"], "content": "Water the **moss** next."}
    return made(api.post("/handoffs", {**body, **fields}))


def step(api, handoff, name, **body):
    return api.post(f"/handoffs/{handoff['id']}/{name}", body or None)


def accept(api, handoff, session):
    return step(api, handoff, "accept", session_id=session["id"])


def test_work_is_left_and_the_conversation_hears_of_it(api):
    session = begin(api, conversation_id="a", role="builder")
    answer = api.post(
        "/handoffs",
        {"from_session_id": session["short_id"], "content": "Go on.", "reason": "context full"},
    )
    handoff = made(answer)
    assert answer["Location"] == f"/api/v1/handoffs/{handoff['id']}"
    assert (handoff["status"], handoff["conversation_id"]) == ("pending", "a")
    assert handoff["role"] == "builder"  # the next of its own role
    got = api.get(f"/handoffs/{handoff['short_id']}")
    assert (made(got), got["ETag"]) == (handoff, '"1"')
    (told,) = all_items(api, "/conversations/a/notifications")
    assert (told["notification_type"], told["entity_id"]) == ("handoff", handoff["id"])
    assert told["payload"]["reason"] == "context full"


def test_the_session_that_accepts_joins_the_conversation(api):
    first = begin(api, conversation_id="a", role="builder")
    second = begin(api, role="builder")
    handoff = leave(api, first)
    taken = made(accept(api, handoff, second))
    assert (taken["status"], taken["to_session_id"]) == ("accepted", second["id"])
    assert taken["settled_at"] is None
    assert made(api.get(f"/sessions/{second['id']}"))["conversation_id"] == "a"
    done = made(step(api, handoff, "complete"))
    assert done["status"] == "completed"
    assert done["settled_at"] is not None
    history = all_items(api, f"/handoffs/{handoff['id']}/history")
    assert [row["action"] for row in history] == ["complete", "accept", "create"]


def test_a_handoff_is_for_whom_it_names(workspace, api):
    codex = caller(workspace, agent="codex")
    theirs, ours = begin(codex, role="chief"), begin(api, role="chief")
    builder = begin(api, role="builder")
    first = begin(api)
    to_codex = leave(api, first, to_agent="codex")
    assert problem(accept(api, to_codex, ours), 409)["code"] == "for_another_agent"
    assert made(accept(api, to_codex, theirs))["status"] == "accepted"
    to_chief = leave(api, first, role="chief")
    assert problem(accept(api, to_chief, builder), 409)["code"] == "for_another_role"
    assert made(accept(api, to_chief, ours))["status"] == "accepted"
    assert "session_id" in wrong_fields(accept(api, leave(api, first), first))


def test_a_session_that_has_ended_takes_nothing_over(api):
    handoff, session = leave(api, begin(api)), begin(api)
    made(api.post(f"/sessions/{session['id']}/end"))
    assert problem(accept(api, handoff, session), 409)["code"] == "session_ended"
    assert made(api.get(f"/handoffs/{handoff['id']}"))["status"] == "pending"


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ([], ["complete"]),
        (["accept"], ["accept", "reject"]),
        (["reject"], ["accept", "reject", "complete", "fail"]),
        (["fail"], ["accept", "reject", "complete", "fail"]),
        (["accept", "complete"], ["accept", "reject", "complete", "fail"]),
        (["accept", "fail"], ["accept", "reject", "complete", "fail"]),
    ],
)
def test_a_step_that_is_not_next_is_refused(api, steps, wrong):
    handoff, session = leave(api, begin(api)), begin(api)
    bodies = {"accept": {"session_id": session["id"]}}
    for name in steps:
        made(step(api, handoff, name, **bodies.get(name, {})))
    before = made(api.get(f"/handoffs/{handoff['id']}"))
    for name in wrong:
        answer = step(api, handoff, name, **bodies.get(name, {}))
        assert problem(answer, 409)["code"] == "wrong_status", name
    assert made(api.get(f"/handoffs/{handoff['id']}")) == before


def test_a_refusal_says_why(api):
    session = begin(api)
    rejected = made(step(api, leave(api, session), "reject", error="Not my greenhouse."))
    assert (rejected["status"], rejected["error"]) == ("rejected", "Not my greenhouse.")
    failed = made(step(api, leave(api, session), "fail", error="No water."))
    assert (failed["status"], failed["error"]) == ("failed", "No water.")


def test_the_same_external_id_is_the_same_handoff(api):
    session = begin(api, conversation_id="a")
    first = leave(api, session, external_id="h-1")
    body = {"from_session_id": session["id"], "content": "Other.", "external_id": "h-1"}
    again = api.post("/handoffs", body)
    assert (again.status_code, again.json()) == (200, first)
    assert len(all_items(api, "/conversations/a/notifications")) == 1


def test_handoffs_are_listed_newest_first_and_narrowed(workspace, api):
    caller(workspace, agent="codex")
    first, second = begin(api, conversation_id="a"), begin(api, conversation_id="b")
    one = leave(api, first)
    two = leave(api, first, to_agent="codex")
    three = leave(api, second, role="chief")
    made(step(api, one, "reject"))

    def listed(**query):
        return [row["id"] for row in all_items(api, "/handoffs", limit=2, **query)]

    assert listed() == [three["id"], two["id"], one["id"]]
    assert listed(status="pending") == [three["id"], two["id"]]
    assert listed(conversation_id="a") == [two["id"], one["id"]]
    assert listed(agent="codex") == [two["id"]]
    assert listed(role="chief") == [three["id"]]
    assert listed(from_session=second["id"]) == [three["id"]]
    taker = begin(api, role="chief")
    made(accept(api, three, taker))
    assert listed(to_session=taker["id"]) == [three["id"]]
    assert "content" not in made(api.get("/handoffs"))["items"][0]


def test_wrong_handoffs_are_refused(api):
    session = begin(api)
    body = {"from_session_id": session["id"], "content": "x"}
    assert "content" in wrong_fields(api.post("/handoffs", {**body, "content": ""}))
    problem(api.post("/handoffs", {**body, "from_session_id": str(nowhere())}), 404)
    problem(api.post("/handoffs", {**body, "to_agent": "nobody"}), 404)
    problem(accept(api, leave(api, session), {"id": str(nowhere())}), 404)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_accept_at_once_one_takes_it(api):
    handoff = leave(api, begin(api, conversation_id="a"))
    takers = [begin(api) for _ in range(8)]
    path = f"/handoffs/{handoff['id']}/accept"
    answers = at_once(
        [
            lambda body={"session_id": one["id"]}: Caller(api.token).post(path, body)
            for one in takers
        ]
    )
    assert statuses(answers) == {200: 1, 409: 7}
    assert made(api.get("/conversations/a"))["session_count"] == 2
