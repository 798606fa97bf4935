"""A board's order: moves beside others, to the ends, between columns, and by many at once."""

import pytest

from config.lib.scope import workspace_scope
from sessions.models import Task
from sessions.services.ordering import STEP
from tests.api.caller import Caller, all_items, made, problem, wrong_fields
from tests.api.test_concurrency import at_once, statuses


class Board:
    """A project's columns, tasks by their titles."""

    def __init__(self, api: Caller, *names: str, **fields: object) -> None:
        self.api = api
        self.project = made(api.post("/projects", {"title": "Greenhouse"}))["id"]
        self.ids: dict[str, str] = {}
        for name in names:
            self.add(name, **fields)

    def add(self, name: str, **fields: object) -> None:
        body = {"title": name, "project_id": self.project, **fields}
        self.ids[name] = made(self.api.post("/tasks", body))["id"]

    def move(self, name: str, **where: str) -> dict:
        for side in ("before", "after"):
            if side in where:
                where[side] = self.ids.get(where[side], where[side])
        return made(self.api.post(f"/tasks/{self.ids[name]}/move", where))

    def column(self, status: str = "todo") -> str:
        query = {"project": self.project, "status": status, "sort": "board", "limit": 2}
        return "".join(row["title"] for row in all_items(self.api, "/tasks", **query))


@pytest.fixture
def board(api):
    return Board(api, *"abcd")


def test_new_tasks_go_to_the_end(board):
    assert board.column() == "abcd"
    board.add("e", order=0)
    assert board.column() == "eabcd"


def test_a_task_moves_beside_another_and_to_the_ends(board):
    for name, where, expected in [
        ("d", {"before": "b"}, "adbc"),
        ("a", {"after": "b"}, "dbac"),
        ("c", {"place": "top"}, "cdba"),
        ("d", {"place": "bottom"}, "cbad"),
        ("a", {"after": "d"}, "cbda"),
        ("a", {"before": "c"}, "acbd"),
        ("a", {"before": "c"}, "acbd"),
        ("c", {"after": "a"}, "acbd"),
    ]:
        board.move(name, **where)
        assert board.column() == expected, (name, where)


def test_beside_a_task_of_another_column_it_takes_that_status(board):
    session = made(board.api.post("/sessions", {}))["id"]
    moved = board.move("a", status="done", session_id=session)
    assert (moved["status"], moved["completed_at"] is None) == ("done", False)
    board.move("b", before="a", session_id=session)
    board.move("c", after="a", session_id=session)
    assert (board.column(), board.column("done")) == ("d", "bac")
    back = board.move("b", status="doing", place="top", session_id=session)
    assert (back["completed_at"], board.column("doing")) == (None, "b")
    events = all_items(board.api, f"/sessions/{session}/events")
    assert [(e["event_type"], e["data"]["to"]) for e in events] == [
        *[("task_completed", "done")] * 3,
        ("task_updated", "doing"),
    ]


def test_a_new_status_goes_to_the_end_of_its_column(board):
    for name in "cab":
        path = f"/tasks/{board.ids[name]}"
        made(board.api.patch(path, {"status": "review"}, if_match="*"))
    assert (board.column("review"), board.column()) == ("cab", "d")


def test_tasks_that_came_with_one_and_the_same_order_can_be_moved(api):
    board = Board(api, *"abcd", order=0)
    assert board.column() == "abcd"
    board.move("d", after="a")
    assert board.column() == "adbc"
    board.move("c", before="d")
    assert board.column() == "acdb"
    board.move("b", place="top")
    assert board.column() == "bacd"


def test_many_moves_to_one_place_never_run_out_of_room(board, workspace):
    board.move("d", after="a")
    for n in range(40):
        board.move("cd"[n % 2], after="a")
        assert board.column() == f"a{'cd'[n % 2]}{'dc'[n % 2]}b"
    for n in range(40):
        board.move("cd"[n % 2], place="top")
    assert board.column() == "dcab"
    with workspace_scope(workspace.id):
        # A move is the moved task's change, whatever makes room for it.
        assert Task.objects.get(pk=board.ids["b"]).version == 1
        assert Task.objects.get(pk=board.ids["a"]).order < 40 * STEP


def test_places_that_are_none_are_refused(board):
    other = made(board.api.post("/tasks", {"title": "elsewhere"}))["id"]
    board.add("e", status="done")
    path = f"/tasks/{board.ids['a']}/move"
    for body, field, says in [
        ({}, "place", "say where"),
        ({"before": board.ids["a"]}, "before", "itself"),
        ({"after": other}, "after", "another project"),
        ({"before": board.ids["b"], "place": "top"}, "before", "one of"),
        ({"before": board.ids["e"], "status": "todo"}, "before", "column done"),
    ]:
        assert says in wrong_fields(board.api.post(path, body))[field], body
    problem(board.api.post(path, {"before": "01990000-0000-7000-8000-000000000000"}), 404)
    assert board.column() == "abcd"


def test_tasks_without_a_project_have_an_order_too(api):
    a, b = (made(api.post("/tasks", {"title": name}))["id"] for name in "ab")
    made(api.post(f"/tasks/{b}/move", {"before": a}))
    orders = {row["title"]: row["order"] for row in all_items(api, "/tasks")}
    assert orders["b"] < orders["a"]


@pytest.mark.django_db(transaction=True)
def test_twenty_moves_at_once_leave_one_order(api):
    board = Board(api, *"abcdefghijkl", order=0)
    calls = []
    for n, name in enumerate("bcdefghijkl" * 2):
        one, path = Caller(api.token), f"/tasks/{board.ids[name]}/move"
        body = {"after" if n % 2 else "before": board.ids["a"]}
        calls.append(lambda one=one, path=path, body=body: one.post(path, body))
    answers = at_once(calls)
    assert statuses(answers) == {200: 22}
    assert sorted(board.column()) == list("abcdefghijkl")
    rows = all_items(api, "/tasks", project=board.project)
    assert len({row["order"] for row in rows if row["title"] != "a"}) == 11


@pytest.mark.django_db(transaction=True)
def test_of_two_who_would_make_a_circle_one_is_refused(api):
    board = Board(api, "a", "b")
    paths = {name: f"/tasks/{row_id}" for name, row_id in board.ids.items()}
    answers = at_once(
        [
            lambda: Caller(api.token).patch(
                paths["a"], {"parent_id": board.ids["b"]}, if_match="*"
            ),
            lambda: Caller(api.token).patch(
                paths["b"], {"parent_id": board.ids["a"]}, if_match="*"
            ),
        ]
    )
    assert statuses(answers) == {200: 1, 422: 1}


@pytest.mark.django_db(transaction=True)
def test_a_project_can_be_deleted_while_tasks_are_made_in_it(api):
    board = Board(api, "a")
    body = {"title": "x", "parent_id": board.ids["a"]}
    calls = [lambda: Caller(api.token).post("/tasks", body) for _ in range(6)]
    calls.append(lambda: Caller(api.token).delete(f"/projects/{board.project}", if_match="*"))
    answers = at_once(calls)
    assert set(statuses(answers)) <= {201, 204, 404}
    problem(api.get(f"/projects/{board.project}"), 404)
    assert all_items(api, "/tasks") == []
