"""Golden queries: pinned searches, whether they still find their rows, and what changed."""

import io
import json
import uuid
from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from procrastinate.contrib.django.models import ProcrastinateJob

from config.lib import clock
from config.lib.scope import workspace_scope
from memory import tasks
from memory.models import GoldenRun
from memory.models.passage import Lane
from memory.services import golden as service
from memory.services.golden import check_golden
from memory.services.retention import RUN_DAYS, retain
from tests.api.caller import all_items, caller, made, problem, wrong_fields
from tests.search.asking import embed_all
from tests.search.conftest import _nothing_kept, embedder

__all__ = ["_nothing_kept", "embedder"]


@pytest.fixture
def boiler(api, embedder):
    """The row that a search for the boiler must return."""
    return made(api.post("/memories", {"text": "The boiler hums at night."}))


@pytest.fixture
def golden(api, boiler):
    body = {"name": "boiler", "request": {"q": "boiler"}, "expected": [boiler["id"]], "within": 3}
    return made(api.post("/golden-queries", body))


def run(api):
    found = made(api.post("/golden-queries/run"))
    return found, {one["golden_id"]: one for one in found["results"]}


def test_a_search_is_pinned_read_changed_and_unpinned(api, golden, boiler):
    path = f"/golden-queries/{golden['id']}"
    assert golden["request"] == {"q": "boiler"}
    assert golden["last_recall"] is None
    assert made(api.get(path)) == golden
    problem(api.patch(path, {"within": 5}), 428)
    changed = made(api.patch(path, {"within": 5}, if_match='"1"'))
    assert (changed["within"], changed["version"]) == (5, 2)
    problem(api.patch(path, {"within": 6}, if_match='"1"'), 412)
    assert [one["action"] for one in all_items(api, f"{path}/history")] == ["update", "create"]
    assert [one["id"] for one in all_items(api, "/golden-queries", enabled="true")] == [
        golden["id"]
    ]
    assert all_items(api, "/golden-queries", enabled="false") == []
    assert api.delete(path, if_match='"2"').status_code == 204
    problem(api.get(path), 404)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"request": {"q": ""}}, "request"),
        ({"request": {"q": "x", "kinds": ["ghost"]}}, "request"),
        ({"request": {"q": "x", "nonsense": 1}}, "request"),
        ({"expected": []}, "expected"),
        ({"expected": [str(uuid.uuid4())]}, "expected[0]"),
        ({"within": 0}, "within"),
        ({"within": 101}, "within"),
        ({"name": ""}, "name"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_field(api, boiler, wrong, field):
    body = {"name": "n", "request": {"q": "boiler"}, "expected": [boiler["id"]], **wrong}
    assert field in wrong_fields(api.post("/golden-queries", body))


def test_more_rows_than_places_are_refused(api, boiler):
    other = made(api.post("/memories", {"text": "Another one."}))
    body = {"name": "n", "request": {"q": "boiler"}, "within": 1}
    body["expected"] = [boiler["id"], other["id"]]
    assert "within" in wrong_fields(api.post("/golden-queries", body))


def test_pinning_is_an_operators(workspace, golden):
    agent = caller(workspace, scopes=["search"])
    assert len(made(agent.get("/golden-queries"))["items"]) == 1
    problem(agent.post("/golden-queries", {}), 403)
    problem(agent.post("/golden-queries/run"), 403)
    problem(agent.delete(f"/golden-queries/{golden['id']}", if_match="*"), 403)


def test_a_run_says_what_came_back_and_what_changed_since(api, golden, boiler):
    found, results = run(api)
    result = results[golden["id"]]
    assert (found["recall"], found["queries"], found["reason"]) == (1.0, 1, "api")
    assert result["ranks"] == {boiler["id"]: 1}
    assert (result["recall_before"], result["lost"], result["regained"]) == (None, [], [])

    made(api.patch(f"/memories/{boiler['id']}", {"text": "Forgotten."}, if_match="*"))
    found, results = run(api)
    result = results[golden["id"]]
    assert (found["recall"], result["recall_before"]) == (0.0, 1.0)
    assert result["lost"] == result["missing"] == [boiler["id"]]

    made(api.patch(f"/memories/{boiler['id']}", {"text": "A boiler."}, if_match="*"))
    found, results = run(api)
    assert results[golden["id"]]["regained"] == [boiler["id"]]

    pinned = made(api.get(f"/golden-queries/{golden['id']}"))
    assert pinned["last_recall"] == 1.0
    assert pinned["version"] == 1
    assert [one["recall"] for one in all_items(api, f"/golden-queries/{golden['id']}/results")] == [
        1.0, 0.0, 1.0,
    ]  # fmt: skip
    runs = all_items(api, "/golden-runs", limit=2)
    assert [one["recall"] for one in runs] == [1.0, 0.0, 1.0]
    assert made(api.get(f"/golden-runs/{found['id']}")) == found


def test_a_run_keeps_no_receipts(api, golden):
    run(api)
    assert made(api.get("/searches"))["items"] == []


def test_runs_are_kept_for_a_year(api, workspace, golden):
    (old, _), (young, _) = run(api), run(api)
    with workspace_scope(workspace.id):
        rows = GoldenRun.objects.filter(pk=old["id"])
        rows.update(created_at=clock.now() - timedelta(days=RUN_DAYS, minutes=1))
    assert [retain(workspace.id, kinds=["golden_runs"])[0].rows for _ in range(2)] == [1, 0]
    assert [one["id"] for one in all_items(api, "/golden-runs")] == [young["id"]]
    assert len(all_items(api, f"/golden-queries/{golden['id']}/results")) == 1


def test_only_the_first_places_count(api, embedder):
    texts = ["boiler boiler boiler", "boiler", "The boiler in the cellar of the old house."]
    *_, last = [made(api.post("/memories", {"text": text})) for text in texts]
    body = {"name": "n", "request": {"q": "boiler", "mode": "lexical", "limit": 50}, "within": 2}
    made(api.post("/golden-queries", {**body, "expected": [last["id"]]}))
    assert run(api)[0]["recall"] == 0.0


def test_what_cannot_be_asked_any_more_says_why_and_stops_no_other(api, golden, boiler):
    project = made(api.post("/projects", {"title": "Cellar"}))
    body = {"name": "n", "request": {"q": "boiler", "project": project["id"]}}
    other = made(api.post("/golden-queries", {**body, "expected": [boiler["id"]]}))
    api.delete(f"/projects/{project['id']}", if_match="*")
    found, results = run(api)
    assert found["recall"] == 0.5
    assert results[other["id"]]["problem"]
    assert results[golden["id"]]["recall"] == 1.0


def test_a_disabled_one_is_not_asked(api, golden):
    made(api.patch(f"/golden-queries/{golden['id']}", {"enabled": False}, if_match="*"))
    problem(api.post("/golden-queries/run"), 404)


def test_a_search_that_was_made_is_pinned_by_its_useful_hits(api, boiler):
    other = made(api.post("/memories", {"text": "The boiler is old."}))
    kept = made(api.post("/search", {"q": "boiler", "limit": 20}))["receipt_id"]
    both = made(api.post(f"/searches/{kept}/pin", {}))
    assert set(both["expected"]) == {boiler["id"], other["id"]}
    assert (both["name"], both["request"]) == ("boiler", {"q": "boiler"})
    made(api.post(f"/searches/{kept}/feedback", {"id": other["id"], "verdict": "useful"}))
    one = made(api.post(f"/searches/{kept}/pin", {"name": "old", "within": 2}))
    assert (one["name"], one["expected"], one["within"]) == ("old", [other["id"]], 2)
    nothing = made(api.post("/search", {"q": "zeppelin", "mode": "lexical"}))["receipt_id"]
    assert "expected" in wrong_fields(api.post(f"/searches/{nothing}/pin", {}))


def test_yesterday_stays_the_day_it_was(api, boiler):
    for q, speaks_of_a_time in (("boiler since yesterday", True), ("boiler at night", False)):
        answer = made(api.post("/search", {"q": q}))
        kept = made(api.get(f"/searches/{answer['receipt_id']}"))
        pinned = made(api.post(f"/searches/{answer['receipt_id']}/pin", {"name": q}))
        asked_at = pinned["request"].get("asked_at")
        assert (asked_at is not None) == speaks_of_a_time
        if asked_at is not None:
            moments = [datetime.fromisoformat(one) for one in (asked_at, kept["created_at"])]
            assert moments[0] == moments[1]
    assert run(api)[0]["recall"] == 1.0


def test_the_command_prints_recall_and_what_was_lost(api, workspace, golden, boiler):
    out = io.StringIO()
    call_command("benchmark", "golden", "--workspace", workspace.slug, "--json", stdout=out)
    report = json.loads(out.getvalue())[workspace.slug]
    assert (report["recall"], report["results"][0]["ranks"]) == (1.0, {boiler["id"]: 1})
    made(api.patch(f"/memories/{boiler['id']}", {"text": "Forgotten."}, if_match="*"))
    out = io.StringIO()
    call_command("benchmark", "golden", stdout=out)
    assert "recall 0.000 of 1 golden queries" in out.getvalue()
    assert "(was 1.000)" in out.getvalue()
    assert f"lost: {boiler['id']}" in out.getvalue()


def test_the_command_says_where_nothing_is_pinned(workspace):
    out = io.StringIO()
    call_command("benchmark", "golden", stdout=out)
    assert out.getvalue() == f"{workspace.slug}: no golden queries\n"


def test_they_are_asked_once_the_index_was_made_anew(api, workspace, golden, embedder, monkeypatch):
    monkeypatch.setattr("memory.management.commands.reindex.get_embedder", lambda: embedder)
    waiting = ProcrastinateJob.objects.filter(task_name=service.CHECK_TASK, status="todo")
    embed_all(workspace)
    call_command("reindex", "--workspace", workspace.slug, stdout=io.StringIO())
    assert [job.args["workspace_id"] for job in waiting] == [str(workspace.id)]
    tasks.tasks_recall.ask_golden_queries(**waiting[0].args)
    assert [one["reason"] for one in all_items(api, "/golden-runs")] == ["reindex"]


def test_after_a_reindex_they_are_asked(api, workspace, golden, embedder, monkeypatch):
    monkeypatch.setattr("memory.management.commands.reindex.get_embedder", lambda: embedder)
    embed_all(workspace)
    waiting = ProcrastinateJob.objects.filter(task_name=service.CHECK_TASK, status="todo")
    waiting.delete()
    call_command("reindex", "--workspace", workspace.slug, stdout=io.StringIO())
    assert waiting.count() == 1


def test_they_are_asked_once_bulk_work_is_embedded(api, workspace, golden, monkeypatch):
    monkeypatch.setattr(tasks.embedding, "SLICE_SECONDS", {Lane.INTERACTIVE: 60, Lane.BULK: 60})
    waiting = ProcrastinateJob.objects.filter(task_name=service.CHECK_TASK, status="todo")
    tasks.embed_passages(str(workspace.id), Lane.BULK.value)
    assert waiting.count() == 1
    # Nothing was embedded this time.
    waiting.delete()
    tasks.embed_passages(str(workspace.id), Lane.BULK.value)
    assert not waiting.exists()


def test_a_workspace_without_any_has_no_runs(workspace, db):
    assert check_golden(workspace.id) is None
    with workspace_scope(workspace.id):
        assert not GoldenRun.objects.exists()


def test_another_workspaces_are_not_found(stranger, golden):
    path = f"/golden-queries/{golden['id']}"
    problem(stranger.get(path), 404)
    problem(stranger.patch(path, {"within": 5}, if_match="*"), 404)
    theirs = {"name": "n", "request": {"q": "boiler"}, "expected": golden["expected"]}
    assert "expected[0]" in wrong_fields(stranger.post("/golden-queries", theirs))
