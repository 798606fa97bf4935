"""Projects over REST."""

from tests.api.caller import all_items, made, problem, wrong_fields


def test_a_project_is_created_read_and_changed(api):
    answer = api.post(
        "/projects", {"title": "Greenhouse", "docs": [{"title": "plan"}], "metadata": {"a": 1}}
    )
    project = made(answer)
    assert answer.status_code == 201
    path = f"/projects/{project['id']}"
    assert answer["Location"] == f"/api/v1{path}"
    assert made(api.get(f"/projects/{project['short_id']}")) == project
    problem(api.patch(path, {"pinned": True}), 428)
    changed = made(api.patch(path, {"pinned": True, "description": "Herbs"}, if_match='"1"'))
    assert (changed["pinned"], changed["description"], changed["version"]) == (True, "Herbs", 2)
    problem(api.patch(path, {"pinned": False}, if_match='"1"'), 412)
    assert "title" in wrong_fields(api.patch(path, {"title": ""}, if_match="*"))


def test_the_same_external_id_is_the_same_project(api):
    first = made(api.post("/projects", {"title": "Greenhouse", "external_id": "p-1"}))
    again = api.post("/projects", {"title": "Renamed", "external_id": "p-1"})
    assert (again.status_code, again.json()) == (200, first)


def test_projects_are_listed_pinned_first_and_archived_apart(api):
    titles = ["old", "new", "pinned", "archived"]
    ids = {title: made(api.post("/projects", {"title": title}))["id"] for title in titles}
    made(api.patch(f"/projects/{ids['pinned']}", {"pinned": True}, if_match="*"))
    archived = made(api.post(f"/projects/{ids['archived']}/archive"))
    assert made(api.post(f"/projects/{ids['archived']}/archive")) == archived
    rows = all_items(api, "/projects", limit=1)
    assert [row["title"] for row in rows] == ["pinned", "new", "old"]
    assert [row["title"] for row in all_items(api, "/projects", archived="true")] == ["archived"]
    back = made(api.post(f"/projects/{ids['archived']}/unarchive"))
    assert back["archived_at"] is None
    assert all_items(api, "/projects", archived="true") == []


def test_a_project_goes_with_its_tasks_and_what_was_done_for_it_stays(api):
    session = made(api.post("/sessions", {"project": "Greenhouse"}))
    project_id = session["project_id"]
    path = f"/projects/{project_id}"
    fields = {"text": "The herbs like it dry.", "project_id": project_id}
    memory = made(api.post("/memories", fields))
    task = made(api.post("/tasks", {"title": "Dig", "project_id": project_id}))
    made(api.post("/tasks", {"title": "Find the spade", "parent_id": task["id"]}))
    other = made(api.post("/tasks", {"title": "Elsewhere"}))
    problem(api.delete(path), 428)
    problem(api.delete(path, if_match='"7"'), 412)
    assert len(all_items(api, "/tasks")) == 3
    assert api.delete(path, if_match='"1"').status_code == 204
    problem(api.get(path), 404)
    problem(api.get(f"/tasks/{task['id']}"), 404)
    assert [row["id"] for row in all_items(api, "/tasks")] == [other["id"]]
    assert made(api.get(f"/sessions/{session['id']}"))["project_id"] is None
    assert made(api.get(f"/memories/{memory['id']}"))["project_id"] is None
    gone = all_items(api, f"/projects/{project_id}/history")[0]
    assert (gone["action"], gone["before"]["task_count"]) == ("delete", 2)
    assert all_items(api, f"/tasks/{task['id']}/history")[0]["action"] == "delete"
    found = made(api.post("/search", {"q": "herbs dry", "mode": "lexical"}))["hits"]
    assert [(hit["id"], hit["project_id"]) for hit in found] == [(memory["id"], None)]


def test_documents_of_a_project_keep_their_versions(api):
    project = made(api.post("/projects", {"title": "Greenhouse", "docs": [{"title": "plan"}]}))
    path = f"/projects/{project['id']}"
    made(api.patch(path, {"docs": [{"title": "better plan"}]}, if_match='"1"'))
    assert made(api.get(path))["docs"] == [{"title": "better plan"}]
    change = all_items(api, path + "/history")[0]
    assert change["before"] == {"docs": [{"title": "plan"}]}
