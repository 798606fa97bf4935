"""API keys over REST."""

from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import RequestFactory

from config.lib.scope import workspace_scope
from contacts.models import ApiKey, IdempotencyKey, Revision
from contacts.scopes import AGENT_SCOPES
from tests.api.caller import Caller, all_items, caller, made, problem, wrong_fields
from tests.factories import make_key


def test_a_key_is_shown_once_and_opens_what_it_should(api):
    answer = api.post("/keys", {"agent": "claude-code", "name": "laptop"})
    key = made(answer)
    assert answer.status_code == 201
    assert key["scopes"] == AGENT_SCOPES
    mine = Caller(key["token"])
    me = made(mine.get("/me"))
    assert (me["key"]["id"], me["agent"]["name"]) == (key["id"], "claude-code")
    assert me["workspace"]["slug"] == "greenhouse"
    assert "token" not in me["key"]
    problem(mine.post("/keys", {"agent": "claude-code"}), 403)
    rows = all_items(api, "/keys")
    assert key["id"] in {row["id"] for row in rows}
    assert not any("token" in row or "digest" in row for row in rows)


def test_a_secret_is_kept_nowhere(api, workspace):
    key = made(api.post("/keys", {"agent": "claude-code"}, idempotency_key="k"))
    secret = key["token"].split("_")[2]
    with workspace_scope(workspace.id):
        for revision in Revision.objects.all():
            assert secret not in str((revision.before, revision.after, revision.reason))
        for stored in IdempotencyKey.objects.all():
            assert secret.encode() not in bytes(stored.body)
    replayed = api.post("/keys", {"agent": "claude-code"}, idempotency_key="k")
    assert made(replayed) == {**key, "token": None}
    assert replayed["Idempotent-Replayed"] == "true"


def test_a_key_cannot_hand_out_what_it_does_not_have(workspace):
    weak = caller(workspace, scopes=["keys:write", "sessions:read"])
    answer = weak.post("/keys", {"agent": "claude-code", "scopes": ["memories:write"]})
    assert problem(answer, 403)["code"] == "scope_ceiling"
    assert made(weak.post("/keys", {"agent": "claude-code"}))["scopes"] == ["sessions:read"]


def test_a_revoked_key_opens_nothing(api):
    key = made(api.post("/keys", {"agent": "claude-code"}))
    path = f"/keys/{key['short_id']}/revoke?reason=lost"
    assert made(api.post(path))["revoked_at"]
    assert problem(Caller(key["token"]).get("/me"), 401)["code"] == "unauthorized"
    assert problem(api.post(path), 409)["code"] == "already_revoked"


def test_wrong_keys_are_refused_by_field(api):
    past = {"agent": "claude-code", "expires_at": "2020-01-01T00:00:00Z"}
    assert "expires_at" in wrong_fields(api.post("/keys", past))
    answer = api.post("/keys", {"agent": "claude-code", "scopes": []})
    assert "scopes" in wrong_fields(answer)
    problem(api.post("/keys", {"agent": "nobody"}), 404)


def test_the_use_of_a_key_is_noted_once_the_answer_is_sent(workspace):
    key, token = make_key(workspace)
    request = RequestFactory().get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
    response = WSGIHandler().get_response(request)
    assert response.status_code == 200
    with workspace_scope(workspace.id):
        assert ApiKey.objects.get(pk=key.pk).last_used_at is None
    # As a web server does when the last byte is out.
    request_finished.disconnect(close_old_connections)
    try:
        response.close()
    finally:
        request_finished.connect(close_old_connections)
    with workspace_scope(workspace.id):
        assert ApiKey.objects.get(pk=key.pk).last_used_at is not None
