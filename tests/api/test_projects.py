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
    archive = {"archived_at": "2026-01-01T00:00:00Z"}
    made(api.patch(f"/projects/{ids['archived']}", archive, if_match="*"))
    rows = all_items(api, "/projects", limit=1)
    assert [row["title"] for row in rows] == ["pinned", "new", "old"]
    assert [row["title"] for row in all_items(api, "/projects", archived="true")] == ["archived"]
    made(api.patch(f"/projects/{ids['archived']}", {"archived_at": None}, if_match="*"))
    assert all_items(api, "/projects", archived="true") == []
