"""What a key wrote is looked at, taken back and brought back over REST, by an owner's key alone."""

import pytest

from contacts.scopes import AGENT_SCOPES
from tests.api.caller import caller, made, problem

pytestmark = pytest.mark.django_db


def test_a_keys_memories_are_taken_back_and_brought_back(api, workspace):
    agent = caller(workspace, agent="codex", scopes=AGENT_SCOPES)
    memory = made(agent.post("/memories", {"text": "The pump eats seedlings."}))
    key = made(agent.get("/me"))["key"]["id"]
    body = {"kind": "key", "target_id": key, "reason": "hijacked"}
    assert problem(agent.post("/unlearnings", body), 403)["code"] == "scope_missing"
    unit = made(api.post("/unlearnings", body))
    assert (unit["state"], unit["preview"]["archived"]) == ("proposed", {"memory": 1})
    path = f"/unlearnings/{unit['id']}"
    assert problem(api.post(f"{path}/run"), 428)

    def act(what):
        return api.call("POST", f"{path}/{what}", if_match="*")

    assert problem(act("undo"), 409)["code"] == "wrong_state"
    assert made(act("run"))["report"] == unit["preview"]
    assert made(api.get(f"/memories/{memory['id']}"))["state"] == "archived"
    assert made(act("undo"))["undone"]["reverted"] == {"memory": 1}
    assert made(api.get(f"/memories/{memory['id']}"))["state"] == "active"
    (listed,) = made(api.get("/unlearnings"))["items"]
    assert listed == made(api.get(path))


def test_only_what_it_wrote_since_a_moment(api, workspace):
    agent = caller(workspace, agent="codex", scopes=AGENT_SCOPES)
    made(agent.post("/memories", {"text": "One."}))
    second = made(agent.post("/memories", {"text": "Two."}))
    key = made(agent.get("/me"))["key"]["id"]
    body = {"kind": "key", "target_id": key, "since": second["created_at"]}
    assert made(api.post("/unlearnings", body))["preview"]["archived"] == {"memory": 1}
