"""A change taken back, what was deleted restored, and objects as they were, over REST."""

import pytest

from config.lib import clock
from config.lib.scope import workspace_scope
from memory.models import Evidence, MemoryLink
from tests.api.caller import all_items, caller, made, problem


def changes(api, object_id):
    """Newest first."""
    return all_items(api, f"/objects/{object_id}/history")


def undo(api, change, **body):
    return api.post(f"/revisions/{change['id']}/undo", body)


def edit(api, path, **fields):
    return made(api.patch(path, fields, if_match="*"))


def test_a_change_is_taken_back_by_the_models_own_rules(api):
    memory = made(api.post("/memories", {"text": "We deploy on Fridays", "kind": "decision"}))
    path = f"/memories/{memory['id']}"
    edit(api, path, text="We deploy on Mondays", tags=["deploy"])
    changed, created = changes(api, memory["id"])
    assert (changed["action"], created["action"]) == ("update", "create")
    back = made(undo(api, changed, reason="it was right before"))
    assert back == {
        "model": "memory.memory", "object_id": memory["id"], "version": 3, "restored": False
    }  # fmt: skip
    now = made(api.get(path))
    assert (now["text"], now["tags"]) == ("We deploy on Fridays", [])
    # The text's hash came back with it: the same text is recognised, and what was undone is not.
    assert (
        made(api.post("/memories", {"text": "We deploy on Fridays", "kind": "decision"}))["id"]
        == memory["id"]
    )
    newest = changes(api, memory["id"])[0]
    assert newest["reason"] == "it was right before"
    assert newest["after"]["text"] == "We deploy on Fridays"
    # And the taking back is taken back.
    made(undo(api, newest))
    assert made(api.get(path))["tags"] == ["deploy"]


def test_a_superseding_is_taken_back_with_its_link(api):
    old, new = (
        made(api.post("/memories", {"text": f"Logs are kept for {days} days"})) for days in (14, 90)
    )
    before = made(api.get(f"/memories/{old['id']}"))
    link = {"target_id": old["id"], "relation": "supersedes"}
    made(api.post(f"/memories/{new['id']}/links", link))
    made(undo(api, changes(api, old["id"])[0]))
    now = made(api.get(f"/memories/{old['id']}"))
    same = ("state", "valid_to", "superseded_at", "superseded_by_id")
    assert [now[name] for name in same] == [before[name] for name in same]
    assert all_items(api, f"/memories/{old['id']}/links") == []
    refused = problem(undo(api, changes(api, old["id"])[1]), 409)
    assert refused["detail"] == "It is as it was before already."


def test_what_was_changed_once_more_is_not_overwritten_unasked(api):
    task = made(api.post("/tasks", {"title": "Paint the shed"}))
    edit(api, f"/tasks/{task['id']}", title="Paint the barn", description="red")
    edit(api, f"/tasks/{task['id']}", title="Paint the house")
    second = changes(api, task["id"])[1]
    refused = problem(undo(api, second), 409)
    assert (refused["code"], "title" in refused["detail"]) == ("changed_since", True)
    assert "description" not in refused["detail"]
    made(undo(api, second, over=True))
    now = made(api.get(f"/tasks/{task['id']}"))
    assert (now["title"], now["description"]) == ("Paint the shed", "")


def test_parts_of_a_contact_come_back_with_it(api):
    ada = made(
        api.post(
            "/contacts",
            {
                "name": "Ada",
                "emails": [{"email": "ada@example.com", "label": "work"}],
                "tags": ["maths"],
            },
        )
    )
    path = f"/contacts/{ada['id']}"
    edit(api, path, emails=[{"email": "ada@example.org"}], tags=[])
    made(undo(api, changes(api, ada["id"])[0]))
    now = made(api.get(path))
    assert [(one["email"], one["label"]) for one in now["emails"]] == [("ada@example.com", "work")]
    assert now["tags"] == ["maths"]
    assert api.delete(path, if_match="*").status_code == 204
    problem(api.get(path), 404)
    assert made(undo(api, changes(api, ada["id"])[0]))["restored"] is True
    again = made(api.get(path))
    assert {n: v for n, v in again.items() if n not in ("version", "updated_at")} == {
        n: v for n, v in now.items() if n not in ("version", "updated_at")
    }
    # Whoever read it before it went has read something else.
    assert again["version"] > now["version"]


def test_a_deleted_memory_comes_back_with_what_it_rested_on(api, workspace):
    thread = made(api.post("/sessions", {}))
    first = made(api.post("/memories", {"text": "The pump is loud"}))
    contact = made(api.post("/contacts", {"name": "Ada"}))
    memory = made(
        api.post(
            "/memories",
            {
                "text": "The pump needs oil",
                "causes": [first["id"]],
                "evidence": [{"uri": "urn:manual:pump", "quote": "oil it"}],
                "about": [{"contact": contact["id"]}],
                "session_id": thread["id"],
            },
        )
    )
    before = made(api.get(f"/memories/{memory['id']}"))
    assert api.delete(f"/memories/{memory['id']}", if_match="*").status_code == 204
    with workspace_scope(workspace.id):
        assert not MemoryLink.objects.exists()
    made(undo(api, changes(api, memory["id"])[0]))
    after = made(api.get(f"/memories/{memory['id']}"))
    same = ("text", "kind", "about", "session_id", "recorded_at", "created_at", "trust", "state")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    with workspace_scope(workspace.id):
        link, proof = MemoryLink.objects.get(), Evidence.objects.get()
        assert (str(link.source_id), str(link.target_id), link.relation) == (
            memory["id"], first["id"], "cause"
        )  # fmt: skip
        assert (proof.quote, str(proof.memory_id)) == ("oil it", memory["id"])
    # It is found again.
    hits = made(api.post("/search", {"q": "pump oil", "mode": "lexical"}))["hits"]
    assert memory["id"] in {hit["id"] for hit in hits}
    assert problem(undo(api, changes(api, memory["id"])[1]), 409)["code"] == "cannot_undo"


def test_what_pointed_at_a_project_points_at_it_again(api):
    project = made(api.post("/projects", {"title": "Garden"}))
    session = made(api.post("/sessions", {"project": project["id"]}))
    other = made(api.post("/sessions", {"project": project["id"]}))
    assert api.delete(f"/projects/{project['id']}", if_match="*").status_code in (200, 204)
    field = made(api.get(f"/sessions/{session['id']}"))
    assert project["id"] not in str(field)
    barn = made(api.post("/projects", {"title": "Barn"}))
    edit(api, f"/sessions/{other['id']}", project_id=barn["id"])
    made(undo(api, changes(api, project["id"])[0]))
    assert made(api.get(f"/projects/{project['id']}"))["title"] == "Garden"
    assert project["id"] in str(made(api.get(f"/sessions/{session['id']}")))
    assert barn["id"] in str(made(api.get(f"/sessions/{other['id']}")))


def test_what_has_its_place_taken_is_not_restored(api):
    told = {"prompt": "Water", "schedule_kind": "interval", "schedule": "3600", "slug": "water"}
    first = made(api.post("/scheduled-missions", {"name": "Water", **told}))
    assert api.delete(f"/scheduled-missions/{first['id']}", if_match="*").status_code == 204
    deleted = changes(api, first["id"])[0]
    second = made(api.post("/scheduled-missions", {"name": "Water again", **told}))
    assert problem(undo(api, deleted), 409)["code"] == "place_taken"
    assert api.delete(f"/scheduled-missions/{second['id']}", if_match="*").status_code == 204
    assert made(undo(api, deleted))["restored"] is True


def test_what_follows_from_an_action_is_not_taken_back(api):
    worker = made(api.post("/workers", {"name": "w", "primitive": "research"}))
    made(api.post(f"/workers/{worker['id']}/cancel", {}))
    cancelled = changes(api, worker["id"])[0]
    refused = problem(undo(api, cancelled), 409)
    assert refused["code"] == "cannot_undo"
    key = made(api.post("/keys", {"agent": "claude-code"}))
    assert problem(undo(api, changes(api, key["id"])[0]), 409)["code"] == "cannot_undo"


def test_an_object_as_it_was(api):
    memory = made(api.post("/memories", {"text": "one", "tags": ["a"]}))
    times = [clock.now().isoformat()]
    for text in ("two", "three"):
        edit(api, f"/memories/{memory['id']}", text=text)
        times.append(clock.now().isoformat())
    api.delete(f"/memories/{memory['id']}", if_match="*")
    times.append(clock.now().isoformat())
    path = f"/objects/{memory['id']}/as-of"
    seen = [made(api.get(path, at=at))["values"] for at in times]
    assert [one and (one["text"], one["tags"]) for one in seen] == [
        ("one", ["a"]), ("two", ["a"]), ("three", ["a"]), None
    ]  # fmt: skip
    assert made(api.get(path, at="2020-01-01T00:00:00Z"))["values"] is None
    assert problem(api.get(path, at="yesterday"), 422)


@pytest.mark.parametrize("at", ["2026-01-01T00:00:00Z"])
def test_scopes_and_workspaces(api, stranger, workspace, at):
    memory = made(api.post("/memories", {"text": "mine"}))
    edit(api, f"/memories/{memory['id']}", text="ours")
    change = changes(api, memory["id"])[0]
    for path in (f"/objects/{memory['id']}/history", f"/objects/{memory['id']}/as-of?at={at}"):
        problem(stranger.get(path), 404)
        weak = caller(workspace, agent="reader", scopes=["work:read", "work:write"])
        assert problem(weak.get(path), 403)["code"] == "scope_missing"
    problem(undo(stranger, change), 404)
    reader = caller(workspace, agent="reader2", scopes=["memories:read"])
    assert problem(undo(reader, change), 403)["code"] == "scope_missing"
    assert made(api.get(f"/memories/{memory['id']}"))["text"] == "ours"


def test_an_agent_does_not_take_back_what_a_person_vouched_for(api, workspace):
    from memory.services.memories import update_memory
    from tests.factories import ALICE

    memory = made(api.post("/memories", {"text": "one"}))
    edit(api, f"/memories/{memory['id']}", text="two")
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=memory["id"], changes={"trust": "operator"})
    change = changes(api, memory["id"])[1]
    assert problem(undo(api, change), 403)["code"] == "trusted_by_person"
