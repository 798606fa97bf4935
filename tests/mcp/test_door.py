"""Who comes in: keys, origins, methods, bodies, and the documents beside the servers."""

import orjson
import pytest
from django.test import Client, override_settings
from django.urls import get_resolver

from config.lib.scope import workspace_scope
from contacts.models import ApiKey, Revision
from contacts.services.keys import revoke_key
from tests.factories import ALICE, make_key
from tests.mcp.speaking import ACCEPT, LEGACY, META, MODERN, Agent, agent_of

pytestmark = pytest.mark.django_db
PATHS = ["/mcp/", "/mcp", "/mcp/chatgpt/", "/mcp/chatgpt"]
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


@pytest.mark.parametrize("path", PATHS)
def test_without_a_live_key_nothing_is_served(workspace, path):
    key, token = make_key(workspace)
    other = token[:60] + ("a" if token[60] != "a" else "b") + token[61:]
    for wrong in (None, "", "rmb_nonsense", other, token[:-1], token + "x"):
        answer = Agent(wrong, path=path, era=LEGACY).post(LIST)
        assert answer.status_code == 401
        assert answer.json()["code"] == "unauthorized"
        challenge = answer["WWW-Authenticate"]
        assert challenge.startswith("Bearer ")
        expected = (
            f'resource_metadata="http://testserver/.well-known/oauth-protected-resource{path}"'
        )
        assert expected in challenge
        assert ('error="invalid_token"' in challenge) is (wrong is not None)
    assert Agent(token, path=path, era=LEGACY).post(LIST).status_code == 200
    with workspace_scope(workspace.id):
        revoke_key(actor=ALICE, key_id=key.id)
    assert Agent(token, path=path, era=LEGACY).post(LIST).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_the_metadata_says_what_the_resource_is(workspace, path):
    for place in (f"/.well-known/oauth-protected-resource{path}", None):
        document = Client().get(place or "/.well-known/oauth-protected-resource")
        assert document.status_code == 200
        said = document.json()
        assert said["resource"] == f"http://testserver{path if place else '/mcp/'}"
        assert said["bearer_methods_supported"] == ["header"]
        assert "memories:read" in said["scopes_supported"]
    challenged = Agent(None, path=path).post(LIST)["WWW-Authenticate"]
    named = challenged.partition('resource_metadata="')[2].partition('"')[0]
    assert Client().get(named).json()["resource"] == f"http://testserver{path}"
    assert Client().post(named).status_code == 405
    assert Client().get("/.well-known/oauth-protected-resource/admin/").status_code == 404


def test_pages_of_others_may_not_call(agent):
    for origin in (
        "https://evil.example", "null", "http://testserver.evil.example", "https://testserver",
        "http://testserver:81", "http://[::1", "file://",
    ):  # fmt: skip
        answer = agent.post(LIST, origin=origin)
        assert answer.status_code == 403, origin
        assert answer.json()["code"] == "origin"
    ours = Agent(agent.token, era=LEGACY)
    assert ours.post(LIST, origin="http://testserver").status_code == 200
    with override_settings(CSRF_TRUSTED_ORIGINS=["https://*.example.com", "https://a.example"]):
        assert ours.post(LIST, origin="https://b.example.com").status_code == 200
        assert ours.post(LIST, origin="https://a.example").status_code == 200
        assert ours.post(LIST, origin="http://a.example").status_code == 403
    # Before the key is looked at: a page learns nothing of it.
    assert Agent("rmb_wrong").post(LIST, origin="https://evil.example").status_code == 403


def test_another_host_is_refused(agent):
    answer = agent.post(LIST, host="evil.example")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_only_posts_are_messages(agent):
    named = {"authorization": f"Bearer {agent.token}", "accept": "text/event-stream"}
    for method in ("GET", "DELETE", "PUT", "OPTIONS", "HEAD"):
        answer = Client().generic(method, "/mcp/", headers=named)
        assert answer.status_code == 405, method
        assert answer["Allow"] == "POST"
        assert Client().generic(method, "/mcp/").status_code == 401, method


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_what_is_no_json_is_a_parse_error(agent, era):
    deep = b'{"a":' * 200 + b"1" + b"}" * 200
    for raw in (b"", b"{", b"\xff\xfe", b"[" * 5000, deep, b"nonsense"):
        answer = Agent(agent.token, era=era).post(None, raw=raw)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == -32700
        assert answer.json()["id"] is None


NO_MESSAGES = [
    [], 1, "x", None, {}, [LIST], {"jsonrpc": "1.0", "id": 1, "method": "tools/list"},
    {"jsonrpc": "2.0", "id": 1}, {"jsonrpc": "2.0", "id": {}, "method": "tools/list"},
    {"jsonrpc": "2.0", "id": 1, "method": 5}, {"jsonrpc": "2.0", "id": 1, "result": {}},
    {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": []},
]  # fmt: skip


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_what_is_no_message_is_refused(agent, era):
    for body in NO_MESSAGES:
        answer = Agent(agent.token, era=era).post(body)
        if answer.status_code == 202:
            # A response that nobody waits for: handshake clients may post one.
            assert era == LEGACY
            assert answer.content == b""
            continue
        assert 400 <= answer.status_code < 500, (body, answer.content)
        assert "error" in answer.json(), body


def test_a_body_may_be_only_so_large(agent, settings):
    settings.MAX_BODY_BYTES = 1000
    assert agent.post(None, raw=b" " * 1001).status_code == 413


def test_unknown_versions_methods_tools_and_prompts_are_named_errors(agent):
    answer = agent.post(LIST, mcp_protocol_version="1999-01-01", mcp_method="tools/list")
    assert answer.status_code == 400
    legacy = Agent(agent.token, era=LEGACY)
    for speaker in (agent, legacy):
        assert speaker.ask("nonsense/method")["error"]["code"] == -32601
        unknown = speaker.ask("tools/call", name="nonsense", arguments={})["error"]
        assert unknown["code"] == -32602
        assert "memory_search" in unknown["message"]
        assert speaker.ask("prompts/get", name="nonsense")["error"]["code"] == -32602
        missing = speaker.ask("prompts/get", name="recall", arguments={})["error"]
        assert "topic: is required" in missing["message"]
        for uri in ("remembrancer://nonsense", "file:///etc/passwd", "remembrancer://memories/x"):
            assert speaker.ask("resources/read", uri=uri)["error"]["code"] == -32602
    # Not served: nothing here ever changes while a client is connected.
    assert agent.ask("subscriptions/listen", notifications={})["error"]["code"] == -32601


def test_a_header_that_contradicts_the_body_is_refused(agent):
    params = {
        "name": "memory_get",
        "arguments": {"id": "0" * 12},
        "_meta": {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": {}},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = agent.post(body, mcp_method="tools/call", mcp_name="memory_search")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == -32020


def test_both_eras_say_what_is_served(agent):
    found = agent.result("server/discover")
    assert MODERN in found["supportedVersions"]
    assert "session_context" in found["instructions"]
    assert len(found["instructions"].encode()) < 2048
    legacy = Agent(agent.token, era=LEGACY)
    hello = {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    said = legacy.result("initialize", **hello)
    assert said["protocolVersion"] == LEGACY
    assert said["serverInfo"]["name"] == "remembrancer"
    assert said["instructions"] == found["instructions"]
    done = legacy.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (done.status_code, done.content) == (202, b"")
    assert "Mcp-Session-Id" not in done
    # Clients of the first revision say no version in a header.
    old = Client().post(
        "/mcp/", orjson.dumps(LIST), content_type="application/json",
        headers={"authorization": f"Bearer {agent.token}", "accept": ACCEPT},
    )  # fmt: skip
    assert len(old.json()["result"]["tools"]) == 12
    assert legacy.result("ping") == {}


def test_lists_can_be_kept_and_are_the_same_for_every_key(workspace, agent):
    poor = agent_of(workspace, "poor", scopes=["stats:read"])
    first = agent.result("tools/list")
    assert first["ttlMs"] > 0
    assert first["cacheScope"] == "public"
    assert poor.result("tools/list") == first
    assert agent.result("resources/list")["cacheScope"] == "private"


def test_what_a_key_did_is_told_of_the_mcp_channel(workspace, agent):
    saved = agent.call("memory_save", text="Zinnias need water.")["memory"]
    with workspace_scope(workspace.id):
        revision = Revision.objects.order_by("-id").first()
        assert revision is not None
        assert revision.channel == "mcp"
        assert revision.object_id.hex.endswith(saved["id"])
        assert ApiKey.objects.get().last_used_at is not None


def test_addresses_are_these_four():
    """A new one needs a key, an Origin check and a test of its own."""
    found = [str(one.pattern) for one in get_resolver().url_patterns]
    assert [one for one in found if "mcp" in one] == [
        "^(?:/+)?mcp/?$", "^(?:/+)?mcp/chatgpt/?$",
        r"^\.well-known/oauth-protected-resource/(?P<path>mcp/?|mcp/chatgpt/?)$",
    ]  # fmt: skip
