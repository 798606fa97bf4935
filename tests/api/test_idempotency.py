"""Requests that may be sent twice."""

import pytest

from config.lib.scope import workspace_scope
from contacts.models import IdempotencyKey
from contacts.services import idempotency
from sessions.models import Session
from tests.api.caller import all_items, caller, made, problem, wrong_fields


def test_the_same_request_is_answered_again_and_done_once(api):
    first = api.post("/sessions", {"name": "n"}, idempotency_key="k")
    again = api.post("/sessions", {"name": "n"}, idempotency_key="k")
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    for header in ("ETag", "Location", "Content-Type"):
        assert again[header] == first[header]
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert len(all_items(api, "/sessions")) == 1


def test_the_same_key_with_another_request_is_refused(api):
    made(api.post("/sessions", {"name": "n"}, idempotency_key="k"))
    for path, body in (("/sessions", {"name": "m"}), ("/memories", {"text": "n"})):
        wrong = wrong_fields(api.post(path, body, idempotency_key="k"))
        assert "another request" in wrong["Idempotency-Key"]
    assert len(all_items(api, "/sessions")) == 1
    assert all_items(api, "/memories") == []


def test_keys_of_two_callers_have_nothing_to_do_with_each_other(api, workspace, stranger):
    other = caller(workspace)
    for each in (api, other, stranger):
        answer = each.post("/sessions", {"name": "n"}, idempotency_key="k")
        assert answer.status_code == 201
        assert "Idempotent-Replayed" not in answer


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "schlüssel"])
def test_a_key_that_cannot_be_kept_is_refused(api, key):
    assert "Idempotency-Key" in wrong_fields(api.post("/sessions", {}, idempotency_key=key))


def test_a_failed_request_is_not_kept(api, workspace):
    assert wrong_fields(api.post("/sessions", {"mode": "?"}, idempotency_key="k"))
    problem(api.post("/sessions", raw=b"{", idempotency_key="k"), 400)
    missing = {"parent_id": "deadbeef"}
    problem(api.post("/sessions", missing, idempotency_key="k"), 404)
    with workspace_scope(workspace.id):
        assert not IdempotencyKey.objects.exists()
    assert api.post("/sessions", {"name": "n"}, idempotency_key="k").status_code == 201


def test_a_crash_before_the_commit_leaves_nothing(api, workspace, monkeypatch):
    def crash(**_):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "finish", crash)
        problem(api.post("/sessions", {"name": "n"}, idempotency_key="k"), 500)
    with workspace_scope(workspace.id):
        assert not Session.objects.exists()
        assert not IdempotencyKey.objects.exists()
    assert api.post("/sessions", {"name": "n"}, idempotency_key="k").status_code == 201


def test_reading_and_changing_need_no_key_and_take_none(api):
    session = made(api.post("/sessions", {}))
    path = f"/sessions/{session['id']}"
    for status in (200, 412):
        answer = api.patch(path, {"name": "n"}, if_match='"1"', idempotency_key="k")
        assert answer.status_code == status
