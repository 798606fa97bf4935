"""Tasks over REST: their life, their subtasks, what the acting session is told, many at once."""

import pytest

from config.lib.scope import workspace_scope
from memory.models import Evidence
from memory.search import corpus, vectors
from sessions.models import Task, Worker
from sessions.services import tasks
from tests.api.caller import all_items, made, problem, wrong_fields
from tests.factories import ALICE, make_memory, nowhere
from tests.search.asking import ask_fully, embed_all
from tests.search.conftest import HashEmbedder

ABSENT = str(nowhere())


@pytest.fixture
def project(api):
    return made(api.post("/projects", {"title": "Greenhouse"}))["id"]


def task(api, title="Dig", **fields):
    return made(api.post("/tasks", {"title": title, **fields}))


def titles(rows):
    return [row["title"] for row in rows]


def events(api, session_id):
    return [
        (e["event_type"], e["data"]["from"], e["data"]["to"], e["data"]["title"])
        for e in all_items(api, f"/sessions/{session_id}/events")
    ]


# --- One task -----------------------------------------------------------------------------------


def test_a_task_is_created_read_changed_and_deleted(api, project):
    fields = {
        "title": "Dig",
        "description": "Two spades deep",
        "project_id": project,
        "priority": "high",
        "feature": "beds",
        "sources": [{"url": "https://example.org"}],
        "code_examples": [{"file": "pump.py"}],
        "metadata": {"a": 1},
    }
    answer = api.post("/tasks", fields)
    row = made(answer)
    path = f"/tasks/{row['id']}"
    assert answer["Location"] == f"/api/v1{path}"
    assert {name: row[name] for name in fields} == fields
    assert (row["status"], row["assignee"], row["completed_at"]) == ("todo", "User", None)
    assert made(api.get(f"/tasks/{row['short_id']}"))["project_title"] == "Greenhouse"
    problem(api.patch(path, {"assignee": "codex"}), 428)
    changed = made(api.patch(path, {"assignee": "codex", "reason": "knows how"}, if_match='"1"'))
    assert (changed["assignee"], changed["version"]) == ("codex", 2)
    problem(api.patch(path, {"assignee": "amp"}, if_match='"1"'), 412)
    problem(api.delete(path), 428)
    assert api.delete(path, if_match='"2"').status_code == 204
    problem(api.get(path), 404)
    history = all_items(api, path + "/history")
    assert [one["action"] for one in history] == ["delete", "update", "create"]
    assert history[1]["reason"] == "knows how"


def test_the_same_external_id_is_the_same_task(api):
    first = task(api, external_id="t-1")
    again = api.post("/tasks", {"title": "Renamed", "external_id": "t-1"})
    assert (again.status_code, again.json()["title"]) == (200, "Dig")
    assert again.json()["id"] == first["id"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("title", ""), ("status", "later"), ("priority", "urgent"), ("order", 10**10),
     ("title", "x" * 501), ("sources", ["text"]), ("assignee", "\u0000"), ("nonsense", 1)],
)  # fmt: skip
def test_what_cannot_be_stored_is_named(api, field, value):
    (named,) = wrong_fields(api.post("/tasks", {"title": "Dig", field: value}))
    assert named.startswith(field)


def test_references_that_are_not_there_are_not_found(api):
    for field in ("project_id", "parent_id", "session_id"):
        problem(api.post("/tasks", {"title": "Dig", field: ABSENT}), 404)
    row = task(api)
    for field in ("project_id", "parent_id", "session_id"):
        problem(api.patch(f"/tasks/{row['id']}", {field: ABSENT}, if_match="*"), 404)
    assert made(api.get(f"/tasks/{row['id']}"))["version"] == 1


def test_completed_at_follows_the_status(api):
    row = task(api, status="done")
    assert row["completed_at"] is not None
    path = f"/tasks/{row['id']}"
    open_again = made(api.patch(path, {"status": "review"}, if_match="*"))
    assert open_again["completed_at"] is None
    done = made(api.patch(path, {"status": "done"}, if_match="*"))
    assert (
        made(api.patch(path, {"status": "done", "feature": "x"}, if_match="*"))["completed_at"]
        == done["completed_at"]
    )


# --- What the session is told -------------------------------------------------------------------


def test_the_session_that_changes_a_task_gets_an_event_of_it(api):
    session = made(api.post("/sessions", {}))["id"]
    row = task(api, session_id=session)
    path = f"/tasks/{row['id']}"
    for change in ({"status": "doing"}, {"feature": "beds"}, {"feature": "beds"},
                   {"status": "done", "title": "Dug"}):  # fmt: skip
        made(api.patch(path, {**change, "session_id": session}, if_match="*"))
    made(api.patch(path, {"status": "review"}, if_match="*"))
    assert events(api, session) == [
        ("task_created", None, "todo", "Dig"),
        ("task_updated", "todo", "doing", "Dig"),
        ("task_updated", "doing", "doing", "Dig"),
        ("task_completed", "doing", "done", "Dug"),
    ]
    event = all_items(api, f"/sessions/{session}/events")[-1]
    assert event["data"]["task_id"] == row["id"]
    assert event["text"] == "Task completed: Dug"
    assert made(api.get(f"/sessions/{session}"))["event_count"] == 4


def test_a_refused_change_leaves_no_event(api):
    session = made(api.post("/sessions", {}))["id"]
    row = task(api)
    body = {"status": "done", "session_id": session}
    problem(api.patch(f"/tasks/{row['id']}", body, if_match='"9"'), 412)
    assert events(api, session) == []


def test_many_tasks_get_a_status_at_once_or_none_does(api, project):
    session = made(api.post("/sessions", {}))["id"]
    rows = [task(api, f"t{n}", project_id=project) for n in range(3)]
    rows.append(task(api, "elsewhere", status="done"))
    ids = [row["id"] for row in rows]
    body = {"task_ids": [*ids, ABSENT], "status": "done", "session_id": session}
    problem(api.post("/tasks/bulk-status", body), 404)
    assert made(api.get(f"/tasks/{ids[0]}"))["status"] == "todo"
    short = [ids[0], rows[1]["short_id"], *ids[2:]]
    places = made(api.post("/tasks/bulk-status", {**body, "task_ids": short}))["items"]
    assert [(place["id"], place["status"], place["version"]) for place in places] == [
        (ids[0], "done", 2), (ids[1], "done", 2), (ids[2], "done", 2), (ids[3], "done", 1)
    ]  # fmt: skip
    assert events(api, session) == [("task_completed", "todo", "done", f"t{n}") for n in range(3)]
    board = all_items(api, "/tasks", project=project, status="done", sort="board")
    assert titles(board) == ["t0", "t1", "t2"]


def test_a_batch_has_a_limit(api):
    body = {"task_ids": [ABSENT] * 501, "status": "done"}
    assert "task_ids" in wrong_fields(api.post("/tasks/bulk-status", body))
    assert "task_ids" in wrong_fields(api.post("/tasks/bulk-archive", {"task_ids": []}))


# --- Subtasks -----------------------------------------------------------------------------------


def test_subtasks_belong_to_their_parents_project(api, project):
    parent = task(api, "Dig", project_id=project)
    child = task(api, "Find the spade", parent_id=parent["id"])
    assert (child["project_id"], child["parent_id"]) == (project, parent["id"])
    other = made(api.post("/projects", {"title": "House"}))["id"]
    fields = {"title": "x", "parent_id": parent["id"], "project_id": other}
    assert "another project" in wrong_fields(api.post("/tasks", fields))["parent_id"]
    moved = api.patch(f"/tasks/{child['id']}", {"project_id": other}, if_match="*")
    assert "another project" in wrong_fields(moved)["parent_id"]
    rows = all_items(api, "/tasks", parent=parent["id"], sort="board")
    assert titles(rows) == ["Find the spade"]


def test_subtasks_move_to_another_project_with_their_parent(api, project):
    parent = task(api, "Dig", project_id=project)
    child = task(api, "Find the spade", parent_id=parent["id"])
    grandchild = task(api, "Open the shed", parent_id=child["id"])
    other = made(api.post("/projects", {"title": "House"}))["id"]
    made(api.patch(f"/tasks/{parent['id']}", {"project_id": other}, if_match="*"))
    for row in (parent, child, grandchild):
        assert made(api.get(f"/tasks/{row['id']}"))["project_id"] == other
    alone = {"project_id": project, "parent_id": None}
    made(api.patch(f"/tasks/{child['id']}", alone, if_match="*"))
    assert made(api.get(f"/tasks/{grandchild['id']}"))["project_id"] == project


def test_a_task_is_never_below_itself(api):
    top = task(api, "top")
    middle = task(api, "middle", parent_id=top["id"])
    bottom = task(api, "bottom", parent_id=middle["id"])
    for below in (top, middle, bottom):
        answer = api.patch(f"/tasks/{top['id']}", {"parent_id": below["id"]}, if_match="*")
        assert "own subtasks" in wrong_fields(answer)["parent_id"]
    made(api.patch(f"/tasks/{bottom['id']}", {"parent_id": top["id"]}, if_match="*"))
    assert len(all_items(api, "/tasks", parent=top["id"])) == 2


def test_subtasks_have_a_depth(scoped, monkeypatch):
    monkeypatch.setattr(tasks, "MAX_DEPTH", 3)
    chain = []
    for n in range(3):
        parent = {"parent_id": chain[-1].id} if chain else {}
        chain.append(tasks.create_task(actor=ALICE, title=f"t{n}", **parent)[0])
    with pytest.raises(tasks.Invalid) as raised:
        tasks.create_task(actor=ALICE, title="t3", parent_id=chain[-1].id)
    assert "3 levels" in raised.value.errors["parent_id"]
    other, _ = tasks.create_task(actor=ALICE, title="other")
    with pytest.raises(tasks.Invalid):
        tasks.update_task(actor=ALICE, task_id=chain[0].id, changes={"parent_id": other.id})


def test_a_task_goes_with_its_subtasks_and_what_points_at_them_stays(api, workspace):
    top = task(api, "top")
    middle = task(api, "middle", parent_id=top["id"])
    bottom = task(api, "bottom", parent_id=middle["id"])
    with workspace_scope(workspace.id):
        workers = [Worker(primitive="p", task_id=row["id"]) for row in (top, middle, bottom)]
        Worker.objects.bulk_create(workers)
        memory = make_memory()
        quoted = [Evidence(memory=memory, task_id=row["id"], quote="q") for row in (top, bottom)]
        Evidence.objects.bulk_create(quoted)
    assert api.delete(f"/tasks/{top['id']}", if_match="*").status_code == 204
    with workspace_scope(workspace.id):
        assert Task.objects.count() == 0
        assert [worker.task_id for worker in Worker.objects.all()] == [None] * 3
        assert [row.task_id for row in Evidence.objects.all()] == [None] * 2
    note = all_items(api, f"/tasks/{top['id']}/history")[0]["before"]
    assert note["subtask_count"] == 2
    assert all_items(api, f"/tasks/{bottom['id']}/history")[0]["action"] == "delete"


# --- The archive --------------------------------------------------------------------------------


def test_a_task_is_archived_with_its_subtasks_and_comes_back_with_them(api):
    top = task(api, "top")
    before = task(api, "archived before", parent_id=top["id"])
    task(api, "middle", parent_id=top["id"])
    made(api.post(f"/tasks/{before['id']}/archive", {"archived_by": "Ann"}))
    archived = made(api.post(f"/tasks/{top['id']}/archive"))
    assert archived["archived_by"].startswith("claude-code")
    assert made(api.post(f"/tasks/{top['id']}/archive")) == archived
    assert all_items(api, "/tasks") == []
    away = all_items(api, "/tasks", archived="true", limit=1)
    assert {row["title"] for row in away} == {"top", "middle", "archived before"}
    assert away[-1]["archived_by"] == "Ann"
    back = made(api.post(f"/tasks/{top['id']}/unarchive"))
    assert (back["archived_at"], back["archived_by"]) == (None, "")
    assert titles(all_items(api, "/tasks")) == ["middle", "top"]


def test_many_tasks_are_archived_at_once(api):
    ids = [task(api, f"t{n}")["id"] for n in range(3)]
    places = made(api.post("/tasks/bulk-archive", {"task_ids": ids[:2], "archived_by": "Ann"}))
    assert all(place["archived_at"] for place in places["items"])
    assert titles(all_items(api, "/tasks")) == ["t2"]
    made(api.post("/tasks/bulk-archive", {"task_ids": ids, "archived": False}))
    assert titles(all_items(api, "/tasks")) == ["t2", "t1", "t0"]


# --- Lists, counts and search -------------------------------------------------------------------


def test_tasks_are_narrowed_and_read_page_by_page(api, project):
    task(api, "a", project_id=project, status="doing", assignee="codex")
    task(api, "b", project_id=project, priority="critical", feature="beds")
    task(api, "c", assignee="codex")
    for query, expected in [
        ({}, "cba"),
        ({"project": "Greenhouse"}, "ba"),
        ({"project": project, "status": "doing"}, "a"),
        ({"status": "todo"}, "cb"),
        ({"assignee": "codex"}, "ca"),
        ({"priority": "critical"}, "b"),
        ({"feature": "beds"}, "b"),
    ]:
        assert titles(all_items(api, "/tasks", limit=1, **query)) == list(expected), query
    assert "description" not in made(api.get("/tasks"))["items"][0]
    problem(api.get("/tasks", project="Nowhere"), 404)
    problem(api.get("/tasks", parent=ABSENT), 404)
    assert "sort" in wrong_fields(api.get("/tasks", sort="board"))
    assert "cursor" in wrong_fields(api.get("/tasks", cursor="x"))


def test_tasks_are_counted_by_project_and_status(api, project, monkeypatch):
    other = made(api.post("/projects", {"title": "House"}))["id"]
    for status in ("todo", "todo", "doing", "done"):
        task(api, status, project_id=project, status=status)
    made(api.post(f"/tasks/{task(api, 'x', project_id=project)['id']}/archive"))
    task(api, "nowhere")
    house, greenhouse = all_items(api, "/projects/task-counts", limit=1)
    empty = {"todo": 0, "doing": 0, "review": 0, "done": 0, "total": 0, "at_least": False}
    assert house == {"project_id": other, "title": "House", **empty}
    assert greenhouse == {"project_id": project, "title": "Greenhouse", "todo": 2, "doing": 1,
                          "review": 0, "done": 1, "total": 4, "at_least": False}  # fmt: skip
    monkeypatch.setattr("sessions.selectors_tasks.COUNTED", 2)
    house, greenhouse = all_items(api, "/projects/task-counts")
    assert (greenhouse["doing"], greenhouse["done"], greenhouse["at_least"]) == (1, 1, True)
    assert house["at_least"] is False


@pytest.fixture
def embedder(monkeypatch):
    made_here = HashEmbedder()
    monkeypatch.setattr("memory.search.vectors.get_embedder", lambda: made_here)
    monkeypatch.setattr("memory.services.embedding.get_embedder", lambda: made_here)
    yield made_here
    vectors.forget()
    corpus.forget()


def test_tasks_and_projects_are_found_by_search(api, workspace, embedder):
    project = made(api.post("/projects", {"title": "Irrigation of the greenhouse"}))
    row = task(api, "Repair the pump", description="It drips since noon", assignee="Marisol")
    for q, kinds, expected in [
        ("pump drips", ["task"], [row["id"]]),
        ("Marisol", ["task"], [row["id"]]),
        ("irrigation", ["project"], [project["id"]]),
        ("irrigation", ["task"], []),
    ]:
        found = made(api.post("/search", {"q": q, "kinds": kinds, "mode": "lexical"}))["hits"]
        assert [hit["id"] for hit in found] == expected, q
    embed_all(workspace)
    answer = ask_fully(workspace, "drips noon", kinds=["task", "project"], mode="semantic")
    assert (str(answer.hits[0].id), answer.legs) == (row["id"], ["semantic"])
    made(api.patch(f"/tasks/{row['id']}", {"description": "It whistles"}, if_match="*"))
    found = made(api.post("/search", {"q": "drips", "kinds": ["task"], "mode": "lexical"}))
    assert found["hits"] == []
    assert api.delete(f"/tasks/{row['id']}", if_match="*").status_code == 204
    found = made(api.post("/search", {"q": "whistles", "mode": "lexical"}))
    assert found["hits"] == []


def test_a_search_of_tasks_is_narrowed_as_their_list_is(api, project, workspace, embedder):
    pump = task(api, "Repair the pump", project_id=project, status="doing")
    spare = task(api, "Order a spare pump", assignee="codex", description="for the greenhouse")
    away = task(api, "Sell the old pump")
    made(api.post(f"/tasks/{away['id']}/archive"))
    embed_all(workspace)

    def found(**query):
        items = made(api.get("/tasks/search", **{"q": "pump", **query}))["items"]
        return [item["task"]["id"] for item in items]

    assert set(found()) == {pump["id"], spare["id"]}
    assert found(project="Greenhouse") == [pump["id"]]
    assert found(status="doing") == [pump["id"]]
    assert found(assignee="codex") == [spare["id"]]
    assert found(archived="true") == [away["id"]]
    assert found(q="order spare greenhouse", limit=1) == [spare["id"]]
    hit = made(api.get("/tasks/search", q="pump", project=project))["items"][0]
    assert hit["snippet"] == "Repair the **pump**"
    assert hit["task"]["project_title"] == "Greenhouse"
    for wrong in ("", "x" * 2001):
        assert "q" in wrong_fields(api.get("/tasks/search", q=wrong))
    problem(api.get("/tasks/search", q="pump", project="Nowhere"), 404)
