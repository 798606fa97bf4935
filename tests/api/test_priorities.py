"""Priorities over REST: a day's lists, their order, and what is carried over to the next day."""

from datetime import UTC, date, datetime, timedelta

import pytest

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from contacts.selectors import today
from contacts.services.workspaces import update_workspace
from sessions import tasks
from sessions.models import Priority
from sessions.services import priorities
from sessions.services.priorities import create_priority
from tests.api.caller import Caller, all_items, made, problem, wrong_fields
from tests.api.test_concurrency import at_once, statuses
from tests.factories import ALICE, nowhere

ABSENT = str(nowhere())
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def at(monkeypatch):
    """Sets the clock; it begins at noon of 10 March 2026, UTC."""

    def set_clock(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    set_clock(NOON)
    return set_clock


def add(api, content="Water the ferns", **fields):
    return made(api.post("/priorities", {"content": content, **fields}))


def contents(rows):
    return "".join(row["content"] for row in rows)


def todays(api, **query):
    return made(api.get("/priorities/today", **query))


# --- One line -----------------------------------------------------------------------------------


def test_a_priority_is_created_read_changed_and_deleted(api, at):
    answer = api.post(
        "/priorities", {"content": "Water the ferns", "level": "critical", "metadata": {"a": 1}}
    )
    row = made(answer)
    path = f"/priorities/{row['id']}"
    assert (answer.status_code, answer["Location"]) == (201, f"/api/v1{path}")
    assert (row["level"], row["pool"], row["date"]) == ("critical", "main", "2026-03-10")
    assert (row["carried_from"], row["completed_at"], row["metadata"]) == (None, None, {"a": 1})
    assert made(api.get(f"/priorities/{row['short_id']}")) == row
    problem(api.patch(path, {"level": "low"}), 428)
    changed = made(api.patch(path, {"level": "low", "reason": "it rains"}, if_match='"1"'))
    assert (changed["level"], changed["version"]) == ("low", 2)
    problem(api.patch(path, {"level": "high"}, if_match='"1"'), 412)
    problem(api.delete(path), 428)
    assert api.delete(path, if_match='"2"').status_code == 204
    problem(api.get(path), 404)
    actions = [one["action"] for one in all_items(api, path + "/history")]
    assert actions == ["delete", "update", "create"]


def test_the_same_external_id_is_the_same_priority(api):
    first = add(api, external_id="p-1")
    again = api.post("/priorities", {"content": "Other", "external_id": "p-1"})
    assert (again.status_code, again.json()) == (200, first)


@pytest.mark.parametrize(
    ("field", "value"),
    [("content", ""), ("content", "x" * 2001), ("level", "urgent"), ("pool", ""),
     ("date", "tomorrow"), ("date", 20260310), ("date", "2026-03-10T00:00:00Z"),
     ("date", "2026-02-30"), ("date", None), ("position", 1)],
)  # fmt: skip
def test_what_cannot_be_stored_is_named(api, field, value):
    assert field in wrong_fields(api.post("/priorities", {"content": "x", field: value}))


def test_it_is_completed_once_and_opened_again(api, at):
    path = f"/priorities/{add(api)['id']}"
    done = made(api.post(path + "/complete"))
    assert done["completed_at"] == "2026-03-10T12:00:00Z"
    at(NOON + timedelta(hours=1))
    assert made(api.post(path + "/complete")) == done
    assert contents(todays(api, completed="false")["items"]) == ""
    assert len(todays(api, completed="true")["items"]) == 1
    reopened = made(api.post(path + "/reopen"))
    assert (reopened["completed_at"], reopened["version"]) == (None, 3)
    assert made(api.post(path + "/reopen")) == reopened
    problem(api.post(f"/priorities/{ABSENT}/complete"), 404)


# --- Lists --------------------------------------------------------------------------------------


def test_today_is_that_of_the_workspaces_time_zone(api, workspace, at):
    at(datetime(2026, 3, 10, 23, 30, tzinfo=UTC))
    assert add(api, "u")["date"] == "2026-03-10"
    with workspace_scope(workspace.id):
        update_workspace(actor=ALICE, settings={"timezone": "Asia/Kathmandu"})
    assert add(api, "k")["date"] == "2026-03-11"
    answer = todays(api)
    assert (answer["date"], contents(answer["items"])) == ("2026-03-11", "k")
    with workspace_scope(workspace.id):
        update_workspace(actor=ALICE, settings={"timezone": "America/Los_Angeles"})
        assert today() == date(2026, 3, 10)


def test_a_days_list_is_read_in_its_order_by_pool_and_page(api, at):
    for n, pool in enumerate(["main", "home", "main", "home", "main"]):
        add(api, str(n), pool=pool, level="high" if n == 4 else "low")
    add(api, "t", date="2026-03-11")
    assert contents(todays(api, pool="main")["items"]) == "024"
    assert contents(todays(api, pool="home")["items"]) == "13"
    assert contents(todays(api, level="high")["items"]) == "4"
    assert sorted(contents(todays(api)["items"])) == list("01234")
    first = todays(api, pool="main", limit=2)
    rest = todays(api, pool="main", limit=2, cursor=first["next_cursor"])
    assert (contents(first["items"]), contents(rest["items"])) == ("02", "4")
    assert rest["next_cursor"] is None
    assert contents(all_items(api, "/priorities", date="2026-03-11")) == "t"


def test_all_days_are_read_newest_first(api, at):
    for day in (9, 11, 10, 11):
        add(api, str(day % 10), date=f"2026-03-{day:02}")
    assert contents(all_items(api, "/priorities", limit=1)) == "1109"
    assert contents(all_items(api, "/priorities", since="2026-03-10", until="2026-03-10")) == "0"
    assert "date" in wrong_fields(api.get("/priorities", date="yesterday"))
    first = made(api.get("/priorities", limit=1))
    assert "cursor" in wrong_fields(
        api.get("/priorities", date="2026-03-11", cursor=first["next_cursor"] + "x")
    )


def test_lines_move_on_their_list(api, at):
    ids = {name: add(api, name)["id"] for name in "abcd"}

    def move(name, **where):
        body = {k: ids.get(v, v) for k, v in where.items()}
        return api.post(f"/priorities/{ids[name]}/move", body)

    for name, where, expected in [
        ("d", {"before": "b"}, "adbc"),
        ("a", {"after": "c"}, "dbca"),
        ("c", {"place": "top"}, "cdba"),
        ("d", {"place": "bottom"}, "cbad"),
    ]:
        made(move(name, **where))
        assert contents(todays(api)["items"]) == expected
    for n in range(30):
        made(move("cb"[n % 2], place="top"))
    assert contents(todays(api)["items"]) == "bcad"
    home = add(api, "h", pool="home")["id"]
    for where, field in [
        ({}, "place"),
        ({"before": "a"}, "before"),
        ({"after": home}, "after"),
        ({"after": "b", "place": "top"}, "place"),
    ]:
        assert field in wrong_fields(move("a", **where)), where
    problem(move("a", before=ABSENT), 404)


def test_another_day_or_pool_means_the_end_of_that_list(api, at):
    row = add(api, "a")
    add(api, "b", pool="home")
    made(api.patch(f"/priorities/{row['id']}", {"pool": "home"}, if_match="*"))
    assert contents(todays(api, pool="home")["items"]) == "ba"
    made(api.patch(f"/priorities/{row['id']}", {"date": "2026-03-12"}, if_match="*"))
    assert contents(all_items(api, "/priorities", date="2026-03-12")) == "a"


# --- Carried over -------------------------------------------------------------------------------


def test_what_stayed_open_is_carried_over_in_order_with_its_first_day(api, at):
    for content, fields in [
        ("a", {"date": "2026-03-08"}),
        ("b", {"date": "2026-03-09"}),
        ("c", {"date": "2026-03-09"}),
        ("d", {"date": "2026-03-09", "pool": "home"}),
        ("t", {}),
        ("f", {"date": "2026-03-11"}),
    ]:
        add(api, content, **fields)
    rows = {row["content"]: row["id"] for row in all_items(api, "/priorities")}
    made(api.post(f"/priorities/{rows['b']}/complete"))
    made(api.post(f"/priorities/{rows['c']}/move", {"place": "top"}))
    answer = made(api.post("/priorities/carry-over"))
    assert (answer["date"], contents(answer["items"]), answer["more"]) == (
        "2026-03-10", "acd", False
    )  # fmt: skip
    assert contents(todays(api, pool="main")["items"]) == "tac"
    assert contents(todays(api, pool="home")["items"]) == "d"
    again = made(api.post("/priorities/carry-over"))
    assert again["items"] == []
    at(NOON + timedelta(days=1))
    made(api.post("/priorities/carry-over"))
    now = {row["content"]: row for row in all_items(api, "/priorities")}
    assert (now["a"]["date"], now["a"]["carried_from"]) == ("2026-03-11", "2026-03-08")
    assert (now["t"]["carried_from"], now["f"]["carried_from"]) == ("2026-03-10", None)
    assert (now["b"]["date"], now["b"]["carried_from"]) == ("2026-03-09", None)
    history = all_items(api, f"/priorities/{rows['a']}/history")
    assert [one["action"] for one in history] == ["carry_over", "carry_over", "create"]
    made(api.patch(f"/priorities/{rows['a']}", {"date": "2026-03-20"}, if_match="*"))
    assert made(api.get(f"/priorities/{rows['a']}"))["carried_from"] is None


def test_one_call_carries_a_batch_and_says_that_there_is_more(api, at, monkeypatch):
    monkeypatch.setattr(priorities, "MAX_CARRIED", 2)
    for name in "abc":
        add(api, name, date="2026-03-09")
    first = made(api.post("/priorities/carry-over"))
    assert (contents(first["items"]), first["more"]) == ("ab", True)
    second = made(api.post("/priorities/carry-over"))
    assert (contents(second["items"]), second["more"]) == ("c", False)


def test_the_job_carries_over_after_each_workspaces_own_midnight(
    workspace, other_workspace, at, monkeypatch
):
    monkeypatch.setattr(priorities, "MAX_CARRIED", 2)
    with workspace_scope(other_workspace.id):
        update_workspace(actor=ALICE, settings={"timezone": "America/New_York"})
    for one in (workspace, other_workspace):
        with workspace_scope(one.id):
            for name in "abcde":
                create_priority(actor=ALICE, content=name)
    at(datetime(2026, 3, 11, 0, 15, tzinfo=UTC))
    tasks.carry_over(0)

    def days(one: Workspace) -> set[date]:
        with workspace_scope(one.id):
            return set(Priority.objects.values_list("date", flat=True))

    assert days(workspace) == {date(2026, 3, 11)}
    assert days(other_workspace) == {date(2026, 3, 10)}
    at(datetime(2026, 3, 11, 4, 0, tzinfo=UTC))
    tasks.carry_over(0)
    assert days(other_workspace) == {date(2026, 3, 11)}
    with workspace_scope(workspace.id):
        versions = set(Priority.objects.values_list("version", flat=True))
    assert versions == {2}


@pytest.mark.django_db(transaction=True)
def test_carried_over_by_ten_at_once_each_is_carried_once(api, workspace):
    yesterday = str(datetime.now(UTC).date() - timedelta(days=1))
    for n in range(5):
        add(api, str(n), date=yesterday)
    callers = [Caller(api.token) for _ in range(10)]
    answers = at_once([lambda one=one: one.post("/priorities/carry-over") for one in callers])
    assert statuses(answers) == {200: 10}
    carried = [row["id"] for answer in answers for row in answer.json()["items"]]
    assert len(carried) == len(set(carried)) == 5
    rows = all_items(api, "/priorities")
    assert {row["version"] for row in rows} == {2}
    assert len({row["position"] for row in rows}) == 5
