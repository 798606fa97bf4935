"""The pages of ordered work: tasks as a board, priorities by day and pool."""

import re
from datetime import timedelta

import pytest

from config.lib.scope import workspace_scope
from contacts.models import Revision
from contacts.selectors import today
from sessions.admin import board as board_page
from sessions.models import Priority, Task
from sessions.services.priorities import create_priority
from sessions.services.projects import create_project
from sessions.services.tasks import create_task, move_task
from tests.admin.pages import MAX_QUERIES, queries_of, url
from tests.factories import ALICE

BOARD, MOVE = url(Task, "board"), url(Task, "board_move")
DAYS, DO = url(Priority, "days"), url(Priority, "days_do")


@pytest.fixture
def project(workspace):
    with workspace_scope(workspace.id):
        return create_project(actor=ALICE, title="Greenhouse")


def task(workspace, title, project=None, **fields):
    with workspace_scope(workspace.id):
        given = {"project_id": project.pk} if project else {}
        return create_task(actor=ALICE, title=title, **given, **fields)[0]


def line(workspace, content, **fields):
    with workspace_scope(workspace.id):
        return create_priority(actor=ALICE, content=content, **fields)[0]


def now(workspace, row):
    with workspace_scope(workspace.id):
        return type(row).objects.get(pk=row.pk)


def columns(page):
    """What stands in each column, by its key, in order."""
    found = re.split(r'data-column="([^"]*)"', page)[1:]
    titles = re.compile(r'class="rm-(?:card|line)-title"[^>]*>([^<]*)<')
    return {key: titles.findall(text) for key, text in zip(found[::2], found[1::2], strict=True)}


def shown(client, address, **query):
    return columns(client.get(address, query).content.decode())


def press(client, address, row, way, **more):
    """A button of a page without its script."""
    posted = {"move": f"{row.pk}:{row.version}:{way}", **more}
    return client.post(address, posted, follow=True)


# --- Tasks --------------------------------------------------------------------------------------


def test_a_board_shows_a_project_by_status_in_order(alice, workspace, project):
    first, _, third = (task(workspace, name, project) for name in ("Dig", "Sow", "Water"))
    task(workspace, "Mulch", project, status="doing", assignee="Ada", feature="Beds",
         priority="high")  # fmt: skip
    task(workspace, "Find the spade", project, parent_id=first.pk, status="done")
    task(workspace, "Elsewhere")
    with workspace_scope(workspace.id):
        move_task(actor=ALICE, task_id=third.pk, before=first.pk)
    answer = alice.get(BOARD, {"project": project.pk})
    page = answer.content.decode()
    assert columns(page) == {
        "todo": ["Water", "Dig", "Sow"], "doing": ["Mulch"], "review": [],
        "done": ["Find the spade"],
    }  # fmt: skip
    for text in ("Ada", "Beds", ">high<", "1/1"):
        assert text in page, text
    # Without a choice the first project; and those that have none.
    assert shown(alice, BOARD)["doing"] == ["Mulch"]
    assert shown(alice, BOARD, project="none")["todo"] == ["Elsewhere"]


def test_a_task_is_moved_by_buttons(alice, workspace, project):
    dig, sow = task(workspace, "Dig", project), task(workspace, "Sow", project)
    answer = press(alice, MOVE, sow, "up", project=project.pk)
    assert "“Sow” is in Todo now, place 1." in answer.content.decode()
    assert columns(answer.content.decode())["todo"] == ["Sow", "Dig"]
    press(alice, MOVE, now(workspace, sow), "down", project=project.pk)
    press(alice, MOVE, now(workspace, dig), "right", project=project.pk)
    found = shown(alice, BOARD, project=project.pk)
    assert (found["todo"], found["doing"]) == (["Sow"], ["Dig"])
    press(alice, MOVE, now(workspace, dig), "left", project=project.pk)
    assert shown(alice, BOARD, project=project.pk)["todo"] == ["Dig", "Sow"]
    with workspace_scope(workspace.id):
        rows = Revision.objects.filter(object_id=sow.pk).order_by("id")
        assert [(r.action, r.actor_label) for r in rows][1:] == [("move", "alice")] * 2


def test_a_script_names_the_place_and_gets_the_lists_alone(alice, workspace, project):
    dig, sow = task(workspace, "Dig", project), task(workspace, "Sow", project, status="doing")
    answer = alice.post(MOVE, {
        "project": project.pk, "part": "1", "item": dig.pk, "version": dig.version,
        "column": "doing", "after": sow.pk,
    })  # fmt: skip
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in page
    assert columns(page)["doing"] == ["Sow", "Dig"]
    assert "“Dig” is in Doing now, place 2." in page


def test_what_somebody_else_moved_is_said_and_nothing_is_moved(alice, workspace, project):
    dig, sow = task(workspace, "Dig", project), task(workspace, "Sow", project)
    with workspace_scope(workspace.id):
        move_task(actor=ALICE, task_id=dig.pk, status="review")
    sent = {"project": project.pk, "part": "1", "item": dig.pk, "version": dig.version}
    answer = alice.post(MOVE, {**sent, "column": "doing", "place": "top"})
    assert answer.status_code == 409
    assert "Somebody moved or changed this task meanwhile." in answer.content.decode()
    assert columns(answer.content.decode())["review"] == ["Dig"]
    # The one beside it went to another column.
    beside = {**sent, "item": sow.pk, "version": sow.version, "column": "todo", "after": dig.pk}
    answer = alice.post(MOVE, beside)
    assert answer.status_code == 409
    assert "The task beside it was moved meanwhile." in answer.content.decode()
    # By a button: a message, and the board as it is.
    page = press(alice, MOVE, dig, "right", project=project.pk).content.decode()
    assert "this is the board as it is now" in page
    assert now(workspace, dig).status == "review"


def test_long_columns_end_and_lead_on(alice, workspace, project, monkeypatch):
    monkeypatch.setattr(board_page, "PER_COLUMN", 2)
    monkeypatch.setattr(board_page, "COUNTED", 4)
    for n in range(6):
        task(workspace, f"Row {n}", project)
    page = alice.get(BOARD, {"project": project.pk}).content.decode()
    assert columns(page)["todo"] == ["Row 0", "Row 1"]
    more = re.search(r'href="([^"]*)">and 2\+ more<', page)
    assert "Row 5" in alice.get(more[1].replace("&amp;", "&")).content.decode()


def test_a_board_costs_the_same_for_more_tasks(alice, workspace, project):
    task(workspace, "Dig", project)
    alice.get(BOARD)
    few = len(queries_of(alice, BOARD))
    for n in range(12):
        parent = task(workspace, f"Row {n}", project)
        task(workspace, f"Below {n}", project, parent_id=parent.pk, status="doing")
    assert len(queries_of(alice, BOARD)) == few <= MAX_QUERIES


def test_a_viewer_looks_and_moves_nothing(vera, charlie, workspace, project):
    dig = task(workspace, "Dig", project)
    page = vera.get(BOARD).content.decode()
    assert columns(page)["todo"] == ["Dig"]
    assert "data-moves" not in page
    assert "rm-move" not in page
    assert press(vera, MOVE, dig, "right", project=project.pk).status_code == 403
    assert now(workspace, dig).status == "todo"
    assert charlie.get(BOARD, {"project": project.pk}).status_code == 404


@pytest.mark.parametrize("query", ["project=nonsense", "project=%00"])
def test_a_board_that_is_none_is_not_found(alice, query):
    assert alice.get(f"{BOARD}?{query}").status_code == 404


def test_a_wrong_move_is_said(alice, workspace, project):
    dig = task(workspace, "Dig", project)
    for wrong in (
        {"move": "x:1:up"},
        {"move": f"{dig.pk}:1:over"},
        {"item": dig.pk, "place": "aside"},
        {"item": dig.pk, "column": "garden"},
    ):
        answer = alice.post(MOVE, {"project": project.pk, "part": "1", **wrong})
        assert answer.status_code == 409, wrong
    assert alice.get(MOVE).status_code == 405
    assert now(workspace, dig).version == dig.version


def test_the_list_leads_to_each_status_and_to_the_board(alice, workspace, project):
    task(workspace, "Dig", project)
    task(workspace, "Sow", project, status="doing")
    page = alice.get(url(Task, "changelist")).content.decode()
    assert BOARD in page
    chip = re.search(r'href="(\?status__in=doing[^"]*)"[^>]*>Doing <span[^>]*>1<', page)
    found = alice.get(url(Task, "changelist") + chip[1].replace("&amp;", "&")).content.decode()
    assert "Sow" in found
    assert ">Dig<" not in found


# --- Priorities ---------------------------------------------------------------------------------


def test_days_show_their_pools(alice, workspace):
    with workspace_scope(workspace.id):
        day = today()
    line(workspace, "Water", pool="home")
    line(workspace, "Invoice")
    line(workspace, "Prune", date=day + timedelta(days=3))
    line(workspace, "Rest", date=day - timedelta(days=1))
    line(workspace, "Long ago", date=day - timedelta(days=9))
    page = alice.get(DAYS).content.decode()
    assert list(columns(page).items()) == [
        (f"{day}|main", ["Invoice"]), (f"{day}|home", ["Water"]),
        (f"{day + timedelta(days=1)}|main", []), (f"{day + timedelta(days=3)}|main", ["Prune"]),
        (f"{day - timedelta(days=1)}|main", ["Rest"]),
    ]  # fmt: skip
    assert "2 of earlier days are open still" in page
    assert len(queries_of(alice, DAYS)) <= MAX_QUERIES


def test_priorities_are_added_completed_moved_and_carried_over(alice, workspace):
    with workspace_scope(workspace.id):
        day = today()
    old = line(workspace, "Old", date=day - timedelta(days=5))
    for content in ("Water", "Prune"):
        alice.post(DO, {"list": f"{day}|", "content": content})
    alice.post(DO, {"list": f"{day}|", "pool": "home", "content": "Cook"})
    assert shown(alice, DAYS)[f"{day}|home"] == ["Cook"]
    with workspace_scope(workspace.id):
        water, prune = (Priority.objects.get(content=name) for name in ("Water", "Prune"))
    press(alice, DO, prune, "up")
    assert shown(alice, DAYS)[f"{day}|main"] == ["Prune", "Water"]
    answer = alice.post(DO, {"complete": water.pk}, follow=True).content.decode()
    assert "“Water” is completed." in answer
    assert now(workspace, water).completed_at is not None
    alice.post(DO, {"reopen": water.pk})
    assert now(workspace, water).completed_at is None
    alice.post(DO, {"carry": "1"})
    assert now(workspace, old).date == day
    # To another pool, beside its line.
    with workspace_scope(workspace.id):
        cook = Priority.objects.get(content="Cook")
    answer = alice.post(DO, {
        "part": "1", "item": water.pk, "version": now(workspace, water).version,
        "column": f"{day}|home", "before": cook.pk,
    })  # fmt: skip
    assert columns(answer.content.decode())[f"{day}|home"] == ["Water", "Cook"]


def test_a_priority_that_somebody_changed_is_not_moved(alice, workspace):
    water, prune = line(workspace, "Water"), line(workspace, "Prune")
    with workspace_scope(workspace.id):
        day = today()
    press(alice, DO, prune, "up")
    answer = alice.post(DO, {
        "part": "1", "item": prune.pk, "version": prune.version,
        "column": f"{day + timedelta(days=1)}|", "place": "top",
    })  # fmt: skip
    assert answer.status_code == 409
    assert columns(answer.content.decode())[f"{day}|main"] == ["Prune", "Water"]
    assert now(workspace, water).version == water.version


def test_a_viewer_sees_the_days_and_changes_none(vera, workspace):
    water = line(workspace, "Water")
    assert "Add a priority" not in vera.get(DAYS).content.decode()
    for sent in ({"complete": water.pk}, {"carry": "1"}, {"list": "2026-01-01|", "content": "x"}):
        assert vera.post(DO, sent).status_code == 403
    assert now(workspace, water).completed_at is None
