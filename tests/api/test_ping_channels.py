"""Channels over REST: set up, changed, tested; where they may not lead is refused."""

import ipaddress

import pytest

from config.lib.scope import workspace_scope
from contacts.models import Revision
from contacts.scopes import SCOPES
from sessions.channels.addresses import allowed, resolve
from sessions.channels.failure import SendFailed
from tests.api.caller import all_items, caller, made, problem, wrong_fields

SECRET = "a secret of many characters"
HOOK = {"name": "hook", "kind": "webhook", "target": "https://hooks.example.org/x",
        "secret": SECRET}  # fmt: skip
MAIL = {"name": "mail", "kind": "email", "target": "alice@example.org"}


def channel(api, **fields):
    return made(api.post("/ping-channels", fields))


def test_a_channel_is_set_up_changed_and_removed(api):
    answer = api.post("/ping-channels", {**HOOK, "min_severity": "normal", "metadata": {"a": 1}})
    row = made(answer)
    path = f"/ping-channels/{row['id']}"
    assert (answer.status_code, answer["Location"]) == (201, f"/api/v1{path}")
    assert (row["kind"], row["min_severity"], row["enabled"]) == ("webhook", "normal", True)
    assert made(api.get(path)) == row
    assert all_items(api, "/ping-channels") == [row]
    problem(api.patch(path, {"enabled": False}), 428)
    off = made(api.patch(path, {"enabled": False, "min_severity": "urgent"}, if_match='"1"'))
    assert (off["enabled"], off["min_severity"], off["has_secret"]) == (False, "urgent", True)
    assert api.delete(path, if_match='"2"').status_code == 204
    problem(api.get(path), 404)


def test_a_secret_is_never_shown_again(api, workspace):
    row = channel(api, **HOOK)
    path = f"/ping-channels/{row['id']}"
    changed = api.patch(path, {"secret": SECRET + "2"}, if_match="*")
    for body in (api.get(path), api.get("/ping-channels"), changed):
        assert SECRET not in body.content.decode()
    assert row["has_secret"]
    with workspace_scope(workspace.id):
        kept = list(Revision.objects.filter(object_id=row["id"]).values("before", "after"))
    assert len(kept) == 2
    assert SECRET not in str(kept)


def test_a_new_target_needs_its_secret_anew(api):
    row = channel(api, **HOOK)
    path = f"/ping-channels/{row['id']}"
    moved = {"target": "https://elsewhere.example.org/"}
    assert "secret" in wrong_fields(api.patch(path, moved, if_match="*"))
    assert made(api.patch(path, {**moved, "secret": SECRET}, if_match="*"))["version"] == 2
    plain = channel(api, **MAIL)
    to_bob = {"target": "bob@example.org"}
    assert made(api.patch(f"/ping-channels/{plain['id']}", to_bob, if_match="*"))["target"]


def test_a_name_is_taken_once(api):
    channel(api, **HOOK)
    other = channel(api, **MAIL)
    assert problem(api.post("/ping-channels", HOOK), 409)["code"] == "name_taken"
    renamed = api.patch(f"/ping-channels/{other['id']}", {"name": "hook"}, if_match="*")
    assert problem(renamed, 409)["code"] == "name_taken"


@pytest.mark.parametrize(
    ("kind", "target", "secret", "wrong"),
    [
        ("email", "nobody", "", "target"),
        ("email", "a@example.org, b@example.org", "", "target"),
        ("email", "a@example.org\nBcc: b@example.org", "", "target"),
        ("email", "a@example.org", SECRET, "secret"),
        ("browser", "https://example.org", "", "target"),
        ("webhook", "", SECRET, "target"),
        ("webhook", "file:///etc/passwd", SECRET, "target"),
        ("webhook", "gopher://example.org/", SECRET, "target"),
        ("webhook", "https://", SECRET, "target"),
        ("webhook", "https://me:pw@example.org/", SECRET, "target"),
        ("webhook", "https://example.org/#part", SECRET, "target"),
        ("webhook", "https://example.org/a b", SECRET, "target"),
        ("webhook", "https://example.org:99999/", SECRET, "target"),
        ("webhook", "https://example.org/", "", "secret"),
        ("webhook", "https://example.org/", "too short", "secret"),
        ("webhook", "https://example.org/", "whsec_not base64 at all", "secret"),
        ("ntfy", "https://ntfy.sh/", "", "target"),
        ("ntfy", "https://ntfy.sh/topic", "two words", "secret"),
        ("slack", "https://hooks.slack.com/services/x", SECRET, "secret"),
        ("pigeon", "roof", "", "kind"),
    ],
)
def test_what_is_no_target_is_refused_by_name(api, kind, target, secret, wrong):
    body = {"name": "n", "kind": kind, "target": target, "secret": secret}
    assert wrong in wrong_fields(api.post("/ping-channels", body))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "[::1]",
     "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
     "224.0.0.1"],
)  # fmt: skip
def test_private_addresses_are_refused_when_written_out(api, host):
    body = {**HOOK, "target": f"http://{host}:8000/admin/"}
    assert "may not reach" in wrong_fields(api.post("/ping-channels", body))["target"]


def test_a_name_that_leads_to_a_private_address_is_refused_when_it_is_used():
    with pytest.raises(SendFailed) as caught:
        resolve("localhost", 80, private=False)
    assert caught.value.final
    assert resolve("127.0.0.1", 80, private=True) == ["127.0.0.1"]


@pytest.mark.parametrize("text", ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1",
                                  "::ffff:169.254.169.254"])  # fmt: skip
def test_some_addresses_are_never_reached(text):
    assert not allowed(ipaddress.ip_address(text), private=True)


def test_public_addresses_are_reached():
    for text in ("1.1.1.1", "2606:4700::1111"):
        assert allowed(ipaddress.ip_address(text), private=False)
    assert allowed(ipaddress.ip_address("10.0.0.1"), private=True)


def test_channels_need_their_own_scope(api, workspace):
    row = channel(api, **HOOK)
    agent = caller(workspace, scopes=[scope for scope in SCOPES if scope != "channels:write"])
    for path in ("/ping-channels", f"/ping-channels/{row['id']}"):
        assert problem(agent.get(path), 403)["code"] == "scope_missing"
    problem(agent.post(f"/ping-channels/{row['id']}/test"), 403)


def test_a_test_goes_to_one_channel_alone_and_into_its_log(api):
    mail, hook = channel(api, **MAIL), channel(api, **HOOK)
    path = f"/ping-channels/{mail['id']}"
    answer = api.post(path + "/test")
    assert answer.status_code == 202
    delivery = answer.json()
    assert (delivery["channel_name"], delivery["status"]) == ("mail", "pending")
    assert all_items(api, path + "/deliveries") == [delivery]
    assert all_items(api, f"/ping-channels/{hook['id']}/deliveries") == []
    ping = made(api.get(f"/pings/{delivery['ping_id']}"))
    assert (ping["severity"], ping["metadata"]) == ("low", {"test": True})
    made(api.patch(path, {"enabled": False}, if_match="*"))
    assert problem(api.post(path + "/test"), 409)["code"] == "channel_off"


def test_another_workspace_sees_no_channel(api, stranger):
    row = channel(api, **HOOK)
    assert all_items(stranger, "/ping-channels") == []
    problem(stranger.post(f"/ping-channels/{row['id']}/test"), 404)
    made(stranger.post("/ping-channels", HOOK))
