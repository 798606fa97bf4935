"""Pings over REST: asked, listed, seen, acknowledged, answered, resolved, deleted."""

from datetime import timedelta

import pytest

from config.lib import clock
from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import Revision
from sessions.models import Notification, Ping
from sessions.services.pings import create_ping
from tests.api.caller import all_items, caller, made, problem, wrong_fields

ACTIONS = ("acknowledge", "resolve", "answer")


def asked(api, **fields):
    return made(api.post("/pings", {"message": "May I deploy?", **fields}))


def expire(workspace, ping):
    with workspace_scope(workspace.id):
        Ping.objects.filter(pk=ping["id"]).update(expires_at=clock.now() - timedelta(seconds=1))


def do(api, ping, action):
    body = {"answer": "yes"} if action == "answer" else None
    return api.post(f"/pings/{ping['id']}/{action}", body)


def test_a_ping_is_asked_read_and_deleted(api):
    session = made(api.post("/sessions", {"role": "builder"}))
    answer = api.post(
        "/pings",
        {"message": "Deploy?", "severity": "urgent", "options": ["yes", "no"],
         "session_id": session["short_id"], "metadata": {"a": 1}},
    )  # fmt: skip
    ping = made(answer)
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/pings/{ping['id']}"
    assert ping["state"] == "open"
    assert (ping["agent_id"], ping["agent_name"]) == (session["agent_id"], "claude-code")
    # Without a conversation of its own, the session's is told.
    assert ping["conversation_id"] == session["conversation_id"]
    assert ping["options"] == ["yes", "no"]
    read = api.get(f"/pings/{ping['short_id']}")
    assert (made(read), read["ETag"]) == (ping, '"1"')
    problem(api.delete(f"/pings/{ping['id']}"), 428)
    problem(api.delete(f"/pings/{ping['id']}", if_match='"7"'), 412)
    assert api.delete(f"/pings/{ping['id']}", if_match='"1"').status_code == 204
    problem(api.get(f"/pings/{ping['id']}"), 404)


def test_the_same_external_id_is_the_same_ping(api):
    first = asked(api, external_id="deploy-1")
    again = api.post("/pings", {"message": "Changed my mind", "external_id": "deploy-1"})
    assert (again.status_code, again.json()) == (200, first)
    assert asked(api, external_id="deploy-1", source="ci")["id"] != first["id"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"message": ""}, "message"),
        ({"message": "x" * 20_001}, "message"),
        ({"severity": "panic"}, "severity"),
        ({"options": ["yes", " "]}, "options[1]"),
        ({"options": ["yes", "yes"]}, "options[1]"),
        ({"options": ["x" * 501]}, "options[0]"),
        ({"options": [str(n) for n in range(21)]}, "options"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"answer": "yes"}, "answer"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(api, fields, wrong):
    assert wrong in wrong_fields(api.post("/pings", {"message": "Deploy?", **fields}))


def test_seen_acknowledged_and_answered_are_separate_times_set_once(api, workspace):
    ping = asked(api, options=["yes", "no"], conversation_id="chief-2026-11-21")
    path = f"/pings/{ping['id']}"
    seen = made(api.post(path + "/seen"))
    assert seen["seen_at"]
    assert (seen["version"], seen["state"]) == (1, "open")
    assert made(api.post(path + "/seen"))["seen_at"] == seen["seen_at"]
    known = made(api.post(path + "/acknowledge"))
    assert known["acknowledged_at"]
    assert (known["state"], known["seen_at"]) == ("acknowledged", seen["seen_at"])
    assert problem(api.post(path + "/acknowledge"), 409)["code"] == "already_acknowledged"
    done = made(api.post(path + "/answer", {"answer": "Only after lunch."}))
    assert (done["answer"], done["state"]) == ("Only after lunch.", "resolved")
    assert "claude-code" in done["answered_by"]
    assert done["resolved_at"]
    assert done["acknowledged_at"] == known["acknowledged_at"]
    with workspace_scope(workspace.id):
        actions = Revision.objects.filter(object_id=ping["id"]).order_by("id")
        assert [r.action for r in actions] == ["create", "acknowledge", "answer"]
    for action in ACTIONS:
        assert problem(do(api, ping, action), 409)["code"] == "ping_resolved"
    assert made(api.get(path)) == done


def test_the_answer_is_told_to_the_conversation_once(api, workspace):
    ping = asked(api, conversation_id="chief-2026-11-21")
    made(do(api, ping, "answer"))
    quiet = asked(api)
    made(do(api, quiet, "answer"))
    settled = asked(api, conversation_id="chief-2026-11-21")
    made(do(api, settled, "resolve"))
    with workspace_scope(workspace.id):
        (told,) = Notification.objects.all()
    assert (told.conversation_id, told.notification_type) == ("chief-2026-11-21", "ping_answered")
    assert told.entity_id == ping["id"]
    assert (told.payload["answer"], told.payload["message"]) == ("yes", "May I deploy?")


def test_who_decides_has_seen_it(api):
    for action in ACTIONS:
        row = made(do(api, asked(api), action))
        assert row["seen_at"], action
    assert row["acknowledged_at"] is None


def test_nothing_is_done_to_an_expired_ping(api, workspace):
    ping = asked(api, expires_at="2099-01-01T00:00:00Z")
    expire(workspace, ping)
    assert made(api.get(f"/pings/{ping['id']}"))["state"] == "expired"
    for action in ACTIONS:
        assert problem(do(api, ping, action), 409)["code"] == "ping_expired"


def test_an_empty_answer_is_none(api):
    path = f"/pings/{asked(api)['id']}/answer"
    for text in ("", " \n "):
        assert "answer" in wrong_fields(api.post(path, {"answer": text}))


def test_pings_are_listed_newest_first_under_each_filter(api, workspace):
    session = made(api.post("/sessions", {}))
    pings = {
        "open": asked(api, severity="low", session_id=session["id"]),
        "acknowledged": asked(api, conversation_id="c-1"),
        "resolved": asked(api, severity="urgent"),
        "expired": asked(api, expires_at="2099-01-01T00:00:00Z"),
    }
    made(do(api, pings["acknowledged"], "acknowledge"))
    made(do(api, pings["resolved"], "resolve"))
    expire(workspace, pings["expired"])
    other = caller(workspace, agent="codex")
    theirs = asked(other)

    def ids(**query):
        return [row["id"] for row in all_items(api, "/pings", limit=2, **query)]

    newest_first = [theirs["id"], *[row["id"] for row in reversed(pings.values())]]
    assert ids() == newest_first
    assert ids(state="open") == [theirs["id"], pings["open"]["id"]]
    for state in ("acknowledged", "resolved", "expired"):
        assert ids(state=state) == [pings[state]["id"]]
        assert made(api.get("/pings", state=state))["items"][0]["state"] == state
    assert ids(severity="low") == [pings["open"]["id"]]
    assert ids(session=session["short_id"]) == [pings["open"]["id"]]
    assert ids(conversation_id="c-1") == [pings["acknowledged"]["id"]]
    assert ids(agent="codex") == [theirs["id"]]
    assert ids(agent="codex", state="resolved") == []
    assert "state" in wrong_fields(api.get("/pings", state="lost"))
    problem(api.get("/pings", agent="nobody"), 404)


def test_another_workspace_sees_no_ping_and_no_session(api, stranger):
    session = made(api.post("/sessions", {}))
    ping = asked(api, session_id=session["id"])
    problem(stranger.post("/pings", {"message": "m", "session_id": session["id"]}), 404)
    problem(stranger.get(f"/pings/{ping['id']}"), 404)
    problem(do(stranger, ping, "answer"), 404)
    assert all_items(stranger, "/pings") == []


def test_an_import_brings_old_pings_as_they_were(scoped):
    importer = Actor(kind="import", id="1", label="import", channel="import")
    past = clock.now() - timedelta(days=9)
    ping, new = create_ping(actor=importer, message="Long ago", expires_at=past)
    assert new
    assert ping.state == "expired"
