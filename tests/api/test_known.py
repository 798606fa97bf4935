"""What memories are about: contacts, projects and tasks, and what is known of a contact."""

import pytest
from django.db import connection

from config.lib.scope import workspace_scope
from sessions.models import Task
from tests.api.caller import Caller, all_items, made, problem, wrong_fields
from tests.factories import nowhere


def contact(api: Caller, name="Ada"):
    return made(api.post("/contacts", {"name": name}))


def memory(api: Caller, text, *about, **fields):
    return made(api.post("/memories", {"text": text, "about": list(about), **fields}))


def target(**given):
    return {"contact": None, "project": None, "task": None, **given}


@pytest.fixture
def task(api, workspace):
    project = made(api.post("/projects", {"title": "Greenhouse"}))
    with workspace_scope(workspace.id):
        row = Task(project_id=project["id"], title="Water")
        row.save(force_insert=True)
    return str(row.id)


def test_a_memory_says_whom_and_what_it_is_about(api, task):
    ada = contact(api)
    project = made(api.post("/projects", {"title": "Herbs"}))
    about = [{"contact": ada["short_id"]}, {"project": project["id"]}, {"task": task}]
    saved = memory(api, "Ada waters the herbs.", *about, {"contact": ada["id"]})
    expected = [target(contact=ada["id"]), target(project=project["id"]), target(task=task)]
    assert sorted(saved["about"], key=str) == sorted(expected, key=str)
    path = f"/memories/{saved['id']}"
    assert made(api.get(path)) == saved
    same = made(api.patch(path, {"about": saved["about"]}, if_match='"1"'))
    assert same["version"] == 1, "what was read can be sent back"
    fewer = made(api.patch(path, {"about": [{"task": task}]}, if_match='"1"'))
    assert (fewer["version"], fewer["about"]) == (2, [target(task=task)])
    problem(api.patch(path, {"about": []}, if_match='"1"'), 412)
    kept = made(api.patch(path, {"text": "Somebody does."}, if_match="*"))
    assert kept["about"] == [target(task=task)]
    history = made(api.get(f"{path}/history"))["items"]
    assert history[1]["after"] == {"about": [f"task {task}"]}
    assert f"contact {ada['id']}" in history[2]["after"]["about"]


def test_what_a_memory_cannot_be_about(api):
    ada, project = contact(api), made(api.post("/projects", {"title": "Herbs"}))
    for about in ({}, {"contact": ada["id"], "project": project["id"]}):
        answer = api.post("/memories", {"text": "t", "about": [{"contact": ada["id"]}, about]})
        assert "about[1]" in wrong_fields(answer)
    many = [{"contact": ada["id"]}] * 51
    assert "about" in wrong_fields(api.post("/memories", {"text": "t", "about": many}))
    batch = {"memories": [{"text": "t"}, {"text": "u", "about": [{}]}]}
    assert "memories[1].about[0]" in wrong_fields(api.post("/memories/batch", batch))
    problem(api.post("/memories", {"text": "t", "about": [{"contact": str(nowhere())}]}), 404)
    assert made(api.get("/memories"))["items"] == []


def test_memories_are_filtered_by_what_they_are_about(api, task):
    ada, bob = contact(api), contact(api, "Bob")
    project = made(api.post("/projects", {"title": "Herbs"}))
    memory(api, "one", {"contact": ada["id"]}, {"project": project["id"]})
    memory(api, "two", {"contact": ada["id"]}, {"contact": bob["id"]}, {"task": task})
    memory(api, "three")

    def found(**query):
        return [row["text"] for row in all_items(api, "/memories", limit=1, **query)]

    assert found(about_contact=ada["id"]) == ["two", "one"]
    assert found(about_contact=bob["short_id"]) == ["two"]
    assert found(about_project=project["id"]) == ["one"]
    assert found(about_task=task) == ["two"]
    assert found(about_contact=ada["id"], about_project=project["id"]) == ["one"]
    assert found(about_contact=bob["id"], about_project=project["id"]) == []
    problem(api.get("/memories", about_contact=str(nowhere())), 404)


def test_what_is_known_of_a_contact_comes_newest_first(api):
    ada = contact(api)
    session = made(api.post("/sessions", {"name": "Tea"}))
    first = memory(api, "She likes tea.", {"contact": ada["id"]}, session_id=session["id"])
    memory(api, "Not of her.")
    second = memory(api, "She counts.", {"contact": ada["id"]}, recorded_at="2026-01-01T00:00:00Z")
    hidden = memory(api, "Hearsay.", {"contact": ada["id"]}, state="quarantined")
    known = all_items(api, f"/contacts/{ada['id']}/known", limit=1)
    assert [row["id"] for row in known] == [second["id"], first["id"]]
    assert known[0]["spoken_of_at"] == "2026-01-01T00:00:00Z"
    assert (known[1]["session_id"], known[1]["text"]) == (session["id"], "She likes tea.")
    assert hidden["id"] not in [row["id"] for row in known]
    assert made(api.get(f"/contacts/{ada['id']}"))["last_contact_at"] is None, "said by people"


def test_a_contact_goes_and_what_was_known_of_it_stays(api):
    ada = contact(api)
    saved = memory(api, "She likes tea.", {"contact": ada["id"]})
    assert api.delete(f"/contacts/{ada['id']}", if_match="*").status_code == 204
    assert made(api.get(f"/memories/{saved['id']}"))["about"] == []
    assert api.delete(f"/memories/{saved['id']}", if_match="*").status_code == 204


def test_the_cascade_of_an_erased_memory_finds_what_it_is_about_by_an_index(api, workspace):
    ada = contact(api)
    about = memory(api, "Ada.", {"contact": ada["id"]})
    fill = """
        INSERT INTO memory_memoryabout (id, workspace_id, created_at, memory_id, contact_id)
        SELECT gen_random_uuid(), workspace_id, now(), id, %s FROM more
    """
    more = """
        WITH more AS (
            INSERT INTO memory_memory SELECT (m).* FROM (
                SELECT jsonb_populate_record(memory_memory, jsonb_build_object(
                    'id', gen_random_uuid())) m
                FROM memory_memory, generate_series(1, 3000)) rows
            RETURNING id, workspace_id)
    """
    # As foreign keys delete: the workspace and the memory, and no word of what it is about.
    cascade = "DELETE FROM ONLY memory_memoryabout WHERE workspace_id = %s AND memory_id = %s"
    with workspace_scope(workspace.id), connection.cursor() as cursor:
        cursor.execute(more + fill, [ada["id"]])
        cursor.execute(f"EXPLAIN {cascade}", [workspace.id, about["id"]])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "memoryabout_memory" in plan, plan
    assert "Seq Scan" not in plan
