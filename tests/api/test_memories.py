"""Memories over REST."""

import pytest

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.services.memories import delete_memory, update_memory
from memory.services.review import reject_memory
from tests.api.caller import all_items, caller, made, problem, wrong_fields
from tests.factories import ALICE


def save(api, text="The seedlings need water at noon.", **fields):
    return made(api.post("/memories", {"text": text, **fields}))


def test_a_memory_is_saved_and_read_back(api):
    answer = api.post("/memories", {"text": "Basil wilts below 10 °C."})
    memory = made(answer)
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/memories/{memory['id']}"
    assert answer["ETag"] == '"1"'
    assert (memory["kind"], memory["trust"], memory["state"]) == ("observation", "agent", "active")
    assert memory["actor"] == "agent"
    got = api.get(f"/memories/{memory['short_id']}")
    assert (made(got), got["ETag"]) == (memory, '"1"')


def test_everything_that_can_be_set_comes_back(api):
    session = made(api.post("/sessions", {"project": "greenhouse"}))
    sent = {
        "text": "t", "kind": "fact", "data": {"a": [1, None]}, "tags": ["herbs", "winter"],
        "session_id": session["id"], "project_id": session["project_id"], "confidence": 0.9,
        "confidence_method": "counted", "affect": {"valence": -0.5, "labels": ["calm"]},
        "ownership": "team", "salience": 0.1, "pinned": True, "trust": "external",
        "state": "archived", "valid_from": "1066-10-14T00:00:00Z",
        "valid_to": "2027-01-01T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z",
        "metadata": {"m": 1}, "method": "reading", "signature": "sig",
        "consolidated": True, "recorded_at": "2026-01-01T00:00:00Z", "source": "mine",
        "external_id": "x-1",
    }  # fmt: skip
    got = save(api, **sent)
    assert {name: got[name] for name in sent} == sent


def test_a_memory_brings_what_it_hangs_together_with(api):
    session = made(api.post("/sessions", {}))
    event = made(api.post(f"/sessions/{session['id']}/events", {"event_type": "note"}))
    parent, cause = save(api, "parent"), save(api, "cause")
    memory = save(
        api,
        "child",
        parents=[parent["short_id"]],
        causes=[cause["id"]],
        evidence=[{"event_id": event["id"], "quote": "as seen"}, {"uri": "https://example.org"}],
    )
    assert (memory["parents"], memory["causes"]) == ([parent["id"]], [cause["id"]])
    assert [one["event_id"] for one in memory["evidence"]] == [event["id"], None]
    assert memory["evidence"][0]["quote_hash"]
    assert made(api.get(f"/memories/{memory['id']}")) == memory
    incoming = made(api.get(f"/memories/{parent['id']}"))
    assert [link["source_id"] for link in incoming["links"]] == [memory["id"]]
    assert incoming["parents"] == []


def test_the_same_external_id_is_the_same_memory(api):
    first = save(api, external_id="m-1")
    answer = api.post("/memories", {"text": "something else", "external_id": "m-1"})
    assert answer.status_code == 200
    assert answer.json() == first


def test_a_batch_is_saved_whole_or_not_at_all(api):
    wrong = api.post("/memories/batch", {"memories": [{"text": "a"}, {"text": "b", "trust": "?"}]})
    assert list(wrong_fields(wrong)) == ["memories[1].trust"]
    assert all_items(api, "/memories") == []
    wrong = {"memories": [{"text": "a"}, {"text": "b", "evidence": [{"quote": "of nothing"}]}]}
    assert list(wrong_fields(api.post("/memories/batch", wrong))) == ["memories[1].evidence[0]"]
    save(api, external_id="m")
    batch = [{"text": "a"}, {"text": "b", "external_id": "m"}]
    got = made(api.post("/memories/batch", {"memories": batch}))
    assert [item["created"] for item in got["items"]] == [True, False]
    assert got["created"] == 1
    too_many = {"memories": [{"text": "a"}] * 501}
    assert "memories" in wrong_fields(api.post("/memories/batch", too_many))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"a", "b"}),
        ({"kind": "fact"}, {"a"}),
        ({"kind": ["fact", "decision"]}, {"a", "b"}),
        ({"state": "archived"}, {"c"}),
        ({"state": ["archived", "active"]}, {"a", "b", "c"}),
        ({"state": "all"}, {"a", "b", "c"}),
        ({"trust": "external"}, {"b"}),
        ({"agent": "claude-code"}, {"a"}),
        ({"agent": "codex"}, {"b"}),
        ({"project": "greenhouse"}, {"a"}),
        ({"tag": "café"}, {"a"}),
        ({"tag": "cafe\u0301"}, {"a"}),
        ({"tag": ["café", "bar"]}, set()),
        ({"pinned": "true"}, {"b"}),
        ({"pinned": "false"}, {"a"}),
        ({"since": "2026-01-02T00:00:00Z"}, {"b"}),
        ({"until": "2026-01-02T00:00:00Z"}, {"a"}),
    ],
)
def test_lists_are_narrowed(workspace, api, query, expected):
    session = made(api.post("/sessions", {"project": "greenhouse"}))
    codex = caller(workspace, agent="codex")
    save(api, "a", kind="fact", tags=["café"], session_id=session["id"],
         project_id=session["project_id"], recorded_at="2026-01-01T00:00:00Z")  # fmt: skip
    other = save(codex, "b", kind="decision", pinned=True, recorded_at="2026-01-03T00:00:00Z")
    made(codex.patch(f"/memories/{other['id']}", {"trust": "external"}, if_match="*"))
    save(codex, "c", state="archived")
    assert {row["text"] for row in all_items(api, "/memories", **query)} == expected
    rows = all_items(api, "/memories", session=session["id"])
    assert {row["text"] for row in rows} == {"a"}


def test_lists_are_read_page_by_page_newest_first(api):
    ids = [save(api, f"m{n}")["id"] for n in range(5)]
    assert [row["id"] for row in all_items(api, "/memories", limit=2)] == ids[::-1]


def test_a_change_needs_the_version_it_is_a_change_of(api):
    memory = save(api)
    path = f"/memories/{memory['id']}"
    problem(api.patch(path, {"text": "x"}), 428)
    changed = api.patch(path, {"text": "new", "valid_to": None}, if_match='"1"')
    assert (changed["ETag"], made(changed)["text"]) == ('"2"', "new")
    assert made(changed)["content_hash"] != memory["content_hash"]
    problem(api.patch(path, {"text": "x"}, if_match='"1"'), 412)
    problem(api.delete(path, if_match='"1"'), 412)
    assert api.delete(path, if_match='"2"').status_code == 204
    problem(api.get(path), 404)
    deleted, *_ = all_items(api, path + "/history")
    assert (deleted["action"], deleted["before"]["text"]) == ("delete", "new")


def test_what_cannot_be_is_refused_by_name(api):
    late = {"valid_from": "2026-01-02T00:00:00Z", "valid_to": "2026-01-01T00:00:00Z"}
    for fields, name in (
        ({"confidence": 1.5}, "confidence"),
        ({"affect": {"valence": 2}}, "affect.valence"),
        ({"affect": {"mood": 1}}, "affect.mood"),
        ({"kind": "hunch"}, "kind"),
        ({"state": "erased"}, "state"),
        ({"tags": ["x" * 101]}, "tags[0]"),
        (late, "valid_to"),
        ({"text": ""}, "text"),
    ):
        assert list(wrong_fields(api.post("/memories", {"text": "t", **fields}))) == [name]
    for fields in ({"session_id": "deadbeef"}, {"parents": ["deadbeef"]}):
        problem(api.post("/memories", {"text": "t", **fields}), 404)


def test_a_key_cannot_raise_trust_nor_lift_a_quarantine(api, workspace: Workspace):
    answer = api.post("/memories", {"text": "t", "trust": "operator"})
    assert problem(answer, 403)["code"] == "trust_ceiling"
    memory = save(api)
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=memory["id"], changes={"state": "quarantined"})
    answer = api.patch(f"/memories/{memory['id']}", {"state": "active"}, if_match="*")
    assert problem(answer, 403)["code"] == "quarantined"


def test_links_are_made_listed_and_removed(api):
    one, two = save(api, "one"), save(api, "two")
    path = f"/memories/{one['id']}/links"
    answer = api.post(path, {"target_id": two["short_id"], "relation": "supports"})
    link = made(answer)
    assert answer.status_code == 201
    assert (link["source_id"], link["target_id"]) == (one["id"], two["id"])
    again = api.post(path, {"target_id": two["id"], "relation": "supports"})
    assert (again.status_code, again.json()) == (200, link)
    assert "target_id" in wrong_fields(
        api.post(path, {"target_id": one["id"], "relation": "supports"})
    )
    assert all_items(api, path) == all_items(api, f"/memories/{two['id']}/links") == [link]
    three = save(api, "three")
    problem(api.delete(f"/memories/{three['id']}/links/{link['id']}"), 404)
    assert api.delete(f"/memories/{two['id']}/links/{link['id']}").status_code == 204
    assert all_items(api, path) == []


def test_what_a_person_vouches_for_no_agent_rewrites_or_removes(workspace, api):
    memory = made(api.post("/memories", {"text": "Never skip the tests."}))
    path = f"/memories/{memory['id']}"
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=memory["id"], changes={"trust": "operator"})
    for changes in ({"text": "Skip the tests."}, {"state": "archived"}, {"trust": "agent"}):
        body = problem(api.patch(path, changes, if_match="*"), 403)
        assert body["code"] == "trusted_by_person"
    problem(api.delete(path, if_match="*"), 403)
    assert made(api.get(path))["text"] == "Never skip the tests."
    other = made(api.post("/memories", {"text": "Not so."}))
    link = {"target_id": memory["id"], "relation": "contradicts"}
    assert api.post(f"/memories/{other['id']}/links", link).status_code == 201


def test_what_a_person_put_away_or_deleted_no_agent_brings_back(workspace, api):
    def changed(row_id, **changes):
        return api.patch(f"/memories/{row_id}", changes, if_match="*")

    rejected = save(api, "The moon base pays well.", kind="web_observation")["id"]
    archived = save(api, "The pump is loud.")["id"]
    deleted = save(api, "Deploy on Fridays.")["id"]
    with workspace_scope(workspace.id):
        reject_memory(actor=ALICE, memory_id=rejected)
        update_memory(actor=ALICE, memory_id=archived, changes={"state": "archived"})
        update_memory(actor=ALICE, memory_id=deleted, changes={"trust": "operator"})
        delete_memory(actor=ALICE, memory_id=deleted)
    for row_id in (rejected, archived):
        for state in ("active", "quarantined"):
            assert problem(changed(row_id, state=state), 403)["code"] == "put_away"
    latest = made(api.get(f"/objects/{deleted}/history"))["items"][0]["id"]
    refused = problem(api.post(f"/revisions/{latest}/undo", {}), 403)
    assert refused["code"] == "deleted_by_person"
    # Its own it may; what is external waits then, and waits as any other kind.
    own = save(api, "A page says so.", kind="web_observation", state="archived")["id"]
    assert made(changed(own, state="active"))["state"] == "quarantined"
    ran = save(api, "Ran.", kind="task_execution", trust="external")
    assert ran["state"] == "active"
    assert made(changed(ran["id"], kind="fact"))["state"] == "quarantined"
    mine = save(api, "Mine.", state="archived")["id"]
    assert made(changed(mine, state="active"))["state"] == "active"


def test_who_said_it_follows_from_the_key(api):
    assert "actor" in wrong_fields(api.post("/memories", {"text": "x", "actor": "user"}))


def test_the_history_keeps_links_and_evidence_that_came_and_went_with_a_memory(api):
    parent = made(api.post("/memories", {"text": "rain"}))
    evidence = [{"uri": "https://example.org/rain", "quote": "It rained."}]
    fields = {"text": "wet", "parents": [parent["id"]], "evidence": evidence}
    memory = made(api.post("/memories", fields))
    path = f"/memories/{memory['id']}"
    created = made(api.get(path + "/history"))["items"][0]["after"]
    links = [{"source": memory["id"], "relation": "parent", "target": parent["id"]}]
    assert (created["links"], created["evidence"]) == (links, evidence)
    assert api.delete(path, if_match="*").status_code == 204
    gone = made(api.get(path + "/history"))["items"][0]["before"]
    assert gone["links"] == links
    assert gone["evidence"][0]["quote"] == "It rained."


def test_a_blank_memory_says_nothing(api):
    assert "text" in wrong_fields(api.post("/memories", {"text": " \n "}))


def test_a_memory_is_signed_and_marked_as_consolidated_later(api):
    memory = made(api.post("/memories", {"text": "Signed later."}))
    path = f"/memories/{memory['id']}"
    body = {"signature": "ed25519:abc", "consolidated": True, "ownership": "shared"}
    after = made(api.patch(path, body, if_match='"1"'))
    assert {name: after[name] for name in body} == body
    (change, _) = made(api.get(f"{path}/history"))["items"]
    assert change["after"] == body
