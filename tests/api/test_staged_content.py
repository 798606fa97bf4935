"""Staged content over REST: the board, its order, what leaves it and comes back."""

from datetime import timedelta

import pytest

from config.lib import clock
from config.lib.scope import workspace_scope
from sessions.models import StagedContent
from tests.api.caller import Caller, all_items, made, problem, wrong_fields
from tests.api.test_concurrency import at_once, statuses


def staged(api, title, **fields):
    return made(api.post("/staged-content", {"content_type": "draft", "title": title, **fields}))


def board(api, **query):
    return [row["title"] for row in all_items(api, "/staged-content", limit=2, **query)]


def move(api, row, **place):
    return api.post(f"/staged-content/{row['id']}/move", place)


def test_content_is_staged_read_and_changed(api):
    session = made(api.post("/sessions", {}))
    answer = api.post(
        "/staged-content",
        {"content_type": "plan", "title": "Repot", "body": "x" * 600, "payload": {"pots": [1, 2]},
         "session_id": session["id"]},
    )  # fmt: skip
    row = made(answer)
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/staged-content/{row['id']}"
    assert row["conversation_id"] == session["conversation_id"]
    path = f"/staged-content/{row['id']}"
    assert made(api.get(f"/staged-content/{row['short_id']}")) == row
    (listed,) = all_items(api, "/staged-content")
    assert listed["body_start"] == "x" * 500
    assert "payload" not in listed
    problem(api.patch(path, {"title": "Repot all"}), 428)
    changed = made(api.patch(path, {"title": "Repot all", "pinned": True}, if_match='"1"'))
    assert (changed["title"], changed["pinned"], changed["version"]) == ("Repot all", True, 2)
    assert changed["body"] == row["body"]
    problem(api.patch(path, {"title": "x"}, if_match='"1"'), 412)
    assert "position" in wrong_fields(api.patch(path, {"position": 3}, if_match="*"))
    assert api.delete(path, if_match="*").status_code == 204
    problem(api.get(path), 404)


def test_the_same_external_id_is_the_same_row(api):
    first = staged(api, "draft", external_id="d-1")
    again = api.post(
        "/staged-content", {"content_type": "draft", "title": "x", "external_id": "d-1"}
    )
    assert (again.status_code, again.json()) == (200, first)


def test_content_of_nothing_is_refused(api):
    assert "body" in wrong_fields(api.post("/staged-content", {"content_type": "draft"}))
    assert "content_type" in wrong_fields(api.post("/staged-content", {"title": "t"}))


def test_the_board_has_the_pinned_first_then_the_newest(api):
    for title in ("one", "two", "pinned", "three"):
        staged(api, title, pinned=title == "pinned")
    assert board(api) == ["pinned", "three", "two", "one"]


def test_the_board_is_narrowed(api):
    session = made(api.post("/sessions", {}))
    staged(api, "a", content_type="plan")
    staged(api, "b", conversation_id="c-1")
    staged(api, "c", session_id=session["id"])
    assert board(api, content_type="plan") == ["a"]
    assert board(api, conversation_id="c-1") == ["b"]
    assert board(api, session=session["id"]) == ["c"]
    assert board(api, content_type="plan", conversation_id="c-1") == []


def test_dismissed_content_leaves_the_board_and_comes_back_where_it_was(api):
    rows = [staged(api, title) for title in ("one", "two", "three")]
    path = f"/staged-content/{rows[1]['id']}"
    gone = made(api.post(path + "/dismiss"))
    assert gone["dismissed_at"]
    assert made(api.post(path + "/dismiss")) == gone
    assert board(api) == ["three", "one"]
    assert board(api, dismissed="true") == ["three", "two", "one"]
    assert made(api.post(path + "/restore"))["dismissed_at"] is None
    assert board(api) == ["three", "two", "one"]


def test_expired_content_leaves_the_board(api, workspace):
    row = staged(api, "old", expires_at="2099-01-01T00:00:00Z")
    staged(api, "new")
    with workspace_scope(workspace.id):
        past = clock.now() - timedelta(seconds=1)
        StagedContent.objects.filter(pk=row["id"]).update(expires_at=past)
    assert board(api) == ["new"]
    assert board(api, expired="true") == ["new", "old"]
    patched = api.patch(f"/staged-content/{row['id']}", {"expires_at": None}, if_match="*")
    assert made(patched)["expires_at"] is None
    assert board(api) == ["new", "old"]


def test_content_is_moved_above_below_and_to_a_position(api):
    a, b, c, d = (staged(api, title) for title in "abcd")
    assert board(api) == list("dcba")
    made(move(api, a, before=d["id"]))
    assert board(api) == list("adcb")
    made(move(api, a, after=b["short_id"]))
    assert board(api) == list("dcba")
    made(move(api, d, after=c["id"]))
    assert board(api) == list("cdba")
    made(move(api, b, before=d["id"]))
    assert board(api) == list("cbda")
    assert made(move(api, c, position=0))["position"] == 0
    assert board(api) == list("bdac")


def test_there_is_always_room_between_two(api):
    low, high = staged(api, "low"), staged(api, "high")
    rows = [staged(api, str(n)) for n in range(12)]
    for row in rows:
        made(move(api, row, before=low["id"]))
    assert board(api) == ["high", *[str(n) for n in range(12)], "low"]
    for row in rows:
        made(move(api, row, after=low["id"]))
    assert board(api) == ["high", "low", *[str(n) for n in reversed(range(12))]]
    assert made(api.get(f"/staged-content/{high['id']}"))["version"] == 1


def test_a_move_that_means_nothing_is_refused(api):
    row, other = staged(api, "row"), staged(api, "other")
    pinned = staged(api, "pinned", pinned=True)
    for place in ({}, {"before": other["id"], "position": 1}):
        problem(move(api, row, **place), 422)
    assert "before" in wrong_fields(move(api, row, before=row["id"]))
    assert "position" in wrong_fields(move(api, row, position=-1))
    problem(move(api, row, before="01990000-0000-7000-8000-000000000000"), 404)
    assert problem(move(api, row, before=pinned["id"]), 409)["code"] == "other_group"
    made(api.post(f"/staged-content/{other['id']}/dismiss"))
    assert problem(move(api, row, after=other["id"]), 409)["code"] == "dismissed"


def test_another_workspace_sees_and_moves_nothing(api, stranger):
    row, theirs = staged(api, "row"), staged(stranger, "theirs")
    assert board(stranger) == ["theirs"]
    problem(move(stranger, row, position=1), 404)
    problem(move(stranger, theirs, before=row["id"]), 404)


@pytest.mark.django_db(transaction=True)
def test_moves_at_once_all_hold(api):
    anchor = staged(api, "anchor")
    rows = [staged(api, str(n)) for n in range(8)]
    answers = at_once(
        [lambda row=row: move(Caller(api.token), row, after=anchor["id"]) for row in rows]
    )
    assert statuses(answers) == {200: len(rows)}
    found = all_items(api, "/staged-content")
    assert found[0]["title"] == "anchor"
    assert {row["title"] for row in found[1:]} == {str(n) for n in range(8)}
    assert len({row["position"] for row in found}) == len(found)
