"""What was run and how it went, remembered: by task, trace, mission and worker, and its causes."""

import uuid
from datetime import timedelta

import pytest

from config.lib import clock
from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.services import funnel
from memory.models import Memory
from memory.services.executions import error_type, execution_key, stack_hash
from sessions.models import Task, Worker
from tests.api.caller import all_items, made, problem, wrong_fields
from tests.api.missions import claim, schedule
from tests.factories import ALICE

TRACEBACK = """Traceback (most recent call last):
  File "/tmp/run-{n}/pump.py", line {n}, in water
    raise PumpError(f"valve {n} is stuck")
greenhouse.pump.PumpError: valve {n} is stuck"""


def spawn(api, **fields):
    return made(api.post("/workers", {"primitive": "research", **fields}))


def run(api, error="", session=None, **how):
    """Claim the next worker and end its attempt."""
    claimed = made(api.post("/workers/claim", {"session_id": session} if session else {}))
    path, lease = f"/workers/{claimed['id']}", {"lease_id": claimed["lease_id"]}
    if error:
        made(api.post(path + "/fail", {**lease, "error": error, **how}))
    else:
        made(api.post(path + "/complete", {**lease, "report": "Watered.", **how}))
    return claimed["id"]


def again(workspace, worker_id):
    """Let a worker that waits for its next attempt be claimed now."""
    with workspace_scope(workspace.id):
        Worker.objects.filter(pk=worker_id).update(run_after=None)


def executions(api, **query):
    return all_items(api, "/executions", limit=1, **query)


def test_a_completed_worker_leaves_one_execution(api):
    worker = spawn(api, name="Water the ferns", instructions="Two litres each.", trace_id="t-1")
    run(api, exit_code=0)
    (execution,) = executions(api)
    assert execution["text"].startswith("Worker Water the ferns, attempt 1 of 3: complete after")
    assert "Asked: Two litres each.\nOutcome: Watered." in execution["text"]
    assert (execution["status"], execution["exit_code"], execution["final"]) == (
        "complete",
        0,
        True,
    )
    assert (execution["worker_id"], execution["trace_id"]) == (worker["id"], "t-1")
    assert execution["started_at"] < execution["ended_at"]
    assert execution["causes"] == []
    memory = made(api.get(f"/memories/{execution['id']}"))
    assert (memory["kind"], memory["method"]) == ("task_execution", "manual_task")
    hits = made(api.post("/search", {"q": "litres ferns"}))
    assert execution["id"] in str(hits)


def test_each_failed_attempt_is_one_and_causes_the_next(api, workspace):
    worker = spawn(api, trace_id="t-1")
    run(api, error="exit code 3\nno water")
    again(workspace, worker["id"])
    run(api, error="exit code 3\nno water", exit_code=3)
    again(workspace, worker["id"])
    run(api)
    last, second, first = executions(api, worker=worker["id"])
    assert [one["attempt"] for one in (first, second, last)] == [1, 2, 3]
    assert [one["status"] for one in (first, second, last)] == ["failed", "failed", "complete"]
    assert [one["final"] for one in (first, second, last)] == [False, False, True]
    assert [one["causes"] for one in (first, second, last)] == [[], [first["id"]], [second["id"]]]
    assert {one["trace_id"] for one in (first, second, last)} == {"t-1"}
    assert len({one["span_id"] for one in (first, second, last)}) == 3
    assert len({one["idempotency_key"] for one in (first, second, last)}) == 3
    assert second["error_type"] == "exit code 3"


def test_what_changes_afterwards_leaves_no_second_execution(api, workspace):
    worker = spawn(api, max_attempts=1)
    path = f"/workers/{worker['id']}"
    run(api, error="no water")
    made(api.post(path + "/retry"))
    made(api.patch(path, {"name": "Again"}, if_match="*"))
    made(api.post(path + "/cancel"))
    assert [one["attempt"] for one in executions(api)] == [1]
    made(api.post(path + "/retry"))
    claimed = claim(api)
    made(api.post(path + "/release", {"lease_id": claimed["lease_id"]}))
    assert [one["attempt"] for one in executions(api)] == [1]


def test_what_never_ran_leaves_none(api):
    worker = spawn(api)
    made(api.post(f"/workers/{worker['id']}/cancel"))
    assert executions(api) == []


def test_a_question_and_its_answer_are_one_attempt(api):
    worker = spawn(api)
    path, claimed = f"/workers/{worker['id']}", claim(api)
    made(api.post(path + "/ask", {"lease_id": claimed["lease_id"], "question": "Which?"}))
    made(api.post(path + "/answer", {"answer": "All"}))
    assert executions(api) == []
    run(api)
    assert [one["attempt"] for one in executions(api)] == [1]


def test_a_run_of_a_mission_is_found_by_it(api):
    mission = schedule(api, overlap_policy="allow")
    path = f"/scheduled-missions/{mission['id']}"
    first, second = (made(api.post(path + "/run")) for _ in range(2))
    run(api)
    run(api, error="no water")
    spawn(api)
    run(api)
    (failed,) = executions(api, mission=second["id"])
    assert failed["text"].startswith("Mission Water the seedlings of 20")
    assert (failed["mission_id"], failed["status"]) == (second["id"], "failed")
    assert failed["scheduled_mission_id"] == mission["id"]
    assert failed["scheduled_at"] == second["scheduled_for"]
    evidence = made(api.get(f"/memories/{failed['id']}"))["evidence"]
    assert [one["mission_id"] for one in evidence] == [second["id"]]
    of_both = executions(api, scheduled_mission=mission["slug"])
    assert [one["mission_id"] for one in of_both] == [second["id"], first["id"]]
    assert len(executions(api)) == 3
    # With the mission its runs go; what is remembered of them stays.
    assert api.delete(path, if_match="*").status_code == 204
    assert made(api.get(f"/memories/{failed['id']}"))["evidence"][0]["mission_id"] is None


def test_a_tasks_executions_are_found_and_known_of_it(api, workspace):
    with workspace_scope(workspace.id):
        task = Task.objects.create(title="Water", project=None)
    spawn(api, task_id=str(task.pk))
    worker = run(api)
    spawn(api)
    run(api)
    (execution,) = executions(api, task=str(task.pk))
    assert (execution["worker_id"], execution["task_id"]) == (worker, str(task.pk))
    with workspace_scope(workspace.id):
        assert str(task.known.get().memory_id) == execution["id"]


def test_what_a_caller_names_as_causes_is_linked(api, stranger):
    reason = made(api.post("/memories", {"text": "The soil is dry."}))["id"]
    theirs = made(stranger.post("/memories", {"text": "Not yours."}))["id"]
    session = made(api.post("/sessions", {}))["id"]
    event = made(api.post(f"/sessions/{session}/events", {"event_type": "alarm"}))["id"]
    spawn(api, params={"causes": [reason, event, theirs, "nonsense", 7, None]})
    run(api)
    (execution,) = executions(api)
    assert execution["causes"] == [reason]
    evidence = made(api.get(f"/memories/{execution['id']}"))["evidence"]
    assert [one["event_id"] for one in evidence] == [event]


def test_what_a_worker_needed_and_who_spawned_it_are_its_causes(api):
    session = made(api.post("/sessions", {}))["id"]
    parent = spawn(api, name="parent", priority=9)
    claimed = made(api.post("/workers/claim", {"session_id": session}))
    needed = spawn(api, name="needed", session_id=session)
    run(api)
    spawn(api, name="child", session_id=session, depends_on=[needed["id"]])
    run(api)
    child, before = executions(api)
    assert child["causes"] == [before["id"]]
    made(api.post(f"/workers/{parent['id']}/complete", {"lease_id": claimed["lease_id"]}))
    by_name = {one["text"].split(",")[0]: one for one in executions(api)}
    root = by_name["Worker parent"]["id"]
    assert by_name["Worker child"]["causes"] == [before["id"], root]
    assert by_name["Worker needed"]["causes"] == [root]
    assert by_name["Worker parent"]["causes"] == []


def test_executions_are_listed_by_trace_status_and_time(api, workspace):
    for trace, error in (("t-1", ""), ("t-1", "no water"), ("t-2", "")):
        spawn(api, trace_id=trace, max_attempts=1)
        run(api, error=error)
    assert [one["status"] for one in executions(api, trace="t-1")] == ["failed", "complete"]
    assert len(executions(api, trace="t-2")) == 1
    assert executions(api, trace="t") == []
    assert [one["trace_id"] for one in executions(api, status="failed")] == ["t-1"]
    assert len(executions(api, status="complete", trace="t-1")) == 1
    later = (clock.now() + timedelta(hours=1)).isoformat()
    assert executions(api, since=later) == []
    assert len(executions(api, until=later)) == 3
    for name in ("worker", "task", "mission", "scheduled_mission"):
        problem(api.get("/executions", **{name: "0199" + "0" * 8}), 404)
    assert "status" in wrong_fields(api.get("/executions", status="odd"))


def test_an_execution_that_somebody_made_up_is_shown_as_far_as_it_goes(api):
    odd = {"attempt": "many", "started_at": "yesterday", "worker": 7, "status": ["failed"]}
    made(api.post("/memories", {"text": "x", "kind": "task_execution", "data": odd}))
    made(api.post("/memories", {"text": "y", "kind": "task_execution",
                                "data": {"status": "failed"}}))  # fmt: skip
    second, first = executions(api)
    assert (first["attempt"], first["started_at"], first["worker_id"]) == (None, None, None)
    assert second["status"] == "failed"
    assert made(api.get("/executions/failed"))["groups"][0]["error_type"] == ""


def test_failures_are_grouped_by_their_error(api, workspace):
    for n in (17, 4711):
        spawn(api, max_attempts=1)
        run(api, error=TRACEBACK.format(n=n))
    worker = spawn(api, max_attempts=2)
    for _ in range(2):
        run(api, error="timed out after 60 s")
        again(workspace, worker["id"])
    spawn(api)
    run(api)
    answer = made(api.get("/executions/failed"))
    assert (answer["considered"], answer["complete"]) == (4, True)
    late, stuck = answer["groups"]
    assert (late["error_type"], late["count"], late["workers"]) == ("timeout", 2, 1)
    assert (stuck["error_type"], stuck["count"], stuck["workers"]) == ("PumpError", 2, 2)
    assert "valve 4711" in stuck["error"]
    assert stuck["first_at"] < stuck["last_at"] < late["last_at"]
    assert made(api.get(f"/memories/{late['last_id']}"))["data"]["attempt"] == 2
    few = made(api.get("/executions/failed", limit=1))
    assert (len(few["groups"]), few["complete"]) == (1, False)
    later = (clock.now() + timedelta(hours=1)).isoformat()
    assert made(api.get("/executions/failed", since=later))["groups"] == []


@pytest.mark.parametrize(("error", "code", "kind"), [
    ("timed out after 60 s\nlast words", None, "timeout"),
    ("Timeout: no answer", 1, "timeout"),
    (TRACEBACK.format(n=1), 1, "PumpError"),
    ("subprocess.CalledProcessError: exit status 2", 2, "CalledProcessError"),
    ("exit code 2\nno such file", 2, "exit code 2"),
    ("no water", None, "error"),
    ("", None, "error"),
    ("", 0, "error"),
])  # fmt: skip
def test_a_failure_has_a_type(error, code, kind):
    assert error_type(error, code) == kind


def test_failures_that_differ_in_kind_differ_in_hash():
    same = [f"worker {uuid.uuid4()} at 0x7f3a9c:  valve {n}" for n in range(3)]
    assert len({stack_hash(text) for text in same}) == 1
    assert stack_hash("no water") != stack_hash("no light")
    assert stack_hash("") == stack_hash("  \n")


def test_an_import_remembers_no_executions(workspace):
    imported = Actor("import", "1", "import", "import")
    with workspace_scope(workspace.id):
        worker = Worker(primitive="x", status="complete", attempts=1)
        funnel.create(worker, actor=imported)
        assert not Memory.objects.exists()
        funnel.update(worker, {"name": "y"}, actor=ALICE)
        assert Memory.objects.get().external_id == execution_key("", worker.pk, 1)
