"""Agents over REST."""

from tests.api.caller import all_items, made, problem, wrong_fields


def test_an_agent_is_created_read_by_name_or_id_and_changed(api):
    answer = api.post("/agents", {"name": "codex", "kind": "codex", "capabilities": ["review"]})
    agent = made(answer)
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/agents/{agent['id']}"
    for name in ("codex", agent["id"], agent["short_id"]):
        assert made(api.get(f"/agents/{name}")) == agent
    path = f"/agents/{agent['id']}"
    problem(api.patch(path, {"kind": "amp"}), 428)
    changed = made(api.patch(path, {"kind": "amp", "metadata": {"a": 1}}, if_match='"1"'))
    assert (changed["kind"], changed["version"]) == ("amp", 2)
    problem(api.patch(path, {"kind": "codex"}, if_match='"1"'), 412)
    named = made(api.patch("/agents/codex", {"capabilities": ["build"]}, if_match="*"))
    assert (named["id"], named["capabilities"]) == (agent["id"], ["build"])


def test_a_name_is_one_agents(api):
    made(api.post("/agents", {"name": "codex"}))
    assert problem(api.post("/agents", {"name": "codex"}), 409)["code"] == "name_taken"
    other = made(api.post("/agents", {"name": "amp"}))
    answer = api.patch(f"/agents/{other['id']}", {"name": "codex"}, if_match="*")
    assert problem(answer, 409)["code"] == "name_taken"


def test_agents_are_listed_by_name(api):
    for name in ("zed", "amp", "codex"):
        made(api.post("/agents", {"name": name}))
    rows = all_items(api, "/agents", limit=1)
    assert [row["name"] for row in rows] == ["amp", "claude-code", "codex", "zed"]


def test_an_unknown_kind_is_refused(api):
    assert "kind" in wrong_fields(api.post("/agents", {"name": "x", "kind": "robot"}))
    assert "name" in wrong_fields(api.post("/agents", {"name": ""}))
    problem(api.get("/agents/nobody"), 404)
