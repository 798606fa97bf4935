"""The queue over REST: spawned, claimed under a lease, asked about, snoozed, cancelled, retried."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from contacts.services.agents import ensure_agent
from sessions.models import Notification, Worker
from sessions.services import worker_runs
from sessions.services.workers import cancel, spawn_worker
from sessions.tasks import tend_workers
from tests.api.caller import Caller, all_items, caller, made, problem, wrong_fields
from tests.factories import ALICE, nowhere

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = timedelta(hours=5)


def spawn(api: Caller, primitive: str = "research", **fields):
    return made(api.post("/workers", {"primitive": primitive, **fields}))


def claim(api: Caller, **fields):
    """The next worker, or None."""
    answer = api.post("/workers/claim", fields)
    return None if answer.status_code == 204 else made(answer)


def path_of(worker) -> str:
    return f"/workers/{worker['id']}"


def say(api: Caller, worker, what: str, **fields):
    """What the holder of the lease says."""
    return api.post(f"{path_of(worker)}/{what}", {"lease_id": worker["lease_id"], **fields})


def told(workspace: Workspace) -> list[tuple[str, str, str]]:
    """(conversation, type, worker) of every notification, oldest first."""
    with workspace_scope(workspace.id):
        return [
            (row.conversation_id, row.notification_type, row.payload["worker_id"])
            for row in Notification.objects.order_by("id")
        ]


def session_of(api: Caller, conversation: str = "chief-2026-03-01") -> str:
    return made(api.post("/sessions", {"conversation_id": conversation}))["id"]


# --- Giving work --------------------------------------------------------------------------------


def test_a_worker_is_spawned_with_all_it_needs_and_read(api):
    session = session_of(api)
    first = spawn(api)
    answer = api.post(
        "/workers",
        {
            "primitive": "build", "name": "Pump", "instructions": "Fix the pump.",
            "params": {"depth": 2}, "session_id": session, "priority": 7,
            "depends_on": [first["short_id"]], "run_after": "2026-03-01T12:00:00Z",
            "workspace_path": "/srv/pump", "timeout_seconds": 60, "max_attempts": 5,
            "metadata": {"branch": "pump"},
        },
    )  # fmt: skip
    worker = made(answer)
    assert answer["Location"] == f"/api/v1{path_of(worker)}"
    assert worker["status"] == "pending"
    assert worker["conversation_id"] == "chief-2026-03-01"
    assert worker["depends_on"] == [{"id": first["id"], "status": "pending"}]
    assert len(worker["trace_id"]) == 32
    assert (worker["params"], worker["metadata"]) == ({"depth": 2}, {"branch": "pump"})
    assert made(api.get(f"/workers/{worker['short_id']}")) == worker
    assert "lease_id" not in worker


def test_what_cannot_be_spawned_is_said_by_field(api):
    for fields, field in [
        ({"primitive": ""}, "primitive"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"run_after": "tomorrow"}, "run_after"),
        ({"depends_on": [str(nowhere())]}, "depends_on"),
        ({"depends_on": ["0123456789ab"]}, "depends_on"),
        ({"depends_on": ["x"]}, "depends_on[0]"),
        ({"wings": 2}, "wings"),
    ]:
        answer = api.post("/workers", {"primitive": "research", **fields})
        assert field in wrong_fields(answer), fields
    problem(api.post("/workers", {"primitive": "x", "session_id": str(nowhere())}), 404)
    problem(api.post("/workers", {"primitive": "x", "task_id": str(nowhere())}), 404)
    assert all_items(api, "/workers") == []


def test_the_same_dedupe_key_or_external_id_is_the_same_worker(api):
    first = spawn(api, dedupe_key="daily:2026-03-01", external_id="w-1")
    for again in (
        {"primitive": "other", "dedupe_key": "daily:2026-03-01"},
        {"primitive": "other", "external_id": "w-1"},
    ):
        answer = api.post("/workers", again)
        assert (answer.status_code, answer.json()) == (200, first)
    assert spawn(api, dedupe_key="daily:2026-03-02")["id"] != first["id"]
    kept = api.post("/workers", {"primitive": "x", "dedupe_key": "mission:2026-03-01"})
    assert wrong_fields(kept) == {"dedupe_key": "must not begin with mission:"}


def test_a_worker_is_changed_while_it_waits_and_not_afterwards(api):
    worker = spawn(api, instructions="Look.")
    path = path_of(worker)
    problem(api.patch(path, {"priority": 3}), 428)
    changed = made(api.patch(path, {"priority": 3, "instructions": "Look up."}, if_match='"1"'))
    assert (changed["priority"], changed["instructions"]) == (3, "Look up.")
    problem(api.patch(path, {"priority": 4}, if_match='"1"'), 412)
    claim(api)
    refused = problem(api.patch(path, {"instructions": "Look down."}, if_match="*"), 409)
    assert refused["code"] == "not_waiting"
    assert made(api.patch(path, {"name": "Looking"}, if_match="*"))["name"] == "Looking"


def test_dependencies_cannot_close_a_cycle(api):
    first = spawn(api)
    second = spawn(api, depends_on=[first["id"]])
    third = spawn(api, depends_on=[second["id"]])
    for needed in (first, third):
        answer = api.patch(path_of(first), {"depends_on": [needed["id"]]}, if_match="*")
        assert wrong_fields(answer)["depends_on"] == "would make this worker wait for itself"
    freed = made(api.patch(path_of(third), {"depends_on": [first["id"]]}, if_match="*"))
    assert freed["depends_on"] == [{"id": first["id"], "status": "pending"}]
    made(api.patch(path_of(second), {"depends_on": [third["id"]]}, if_match="*"))


def test_a_worker_that_others_wait_for_or_that_runs_is_not_deleted(api):
    needed = spawn(api, priority=1)
    waiting = spawn(api, depends_on=[needed["id"]])
    assert problem(api.delete(path_of(needed), if_match="*"), 409)["code"] == "needed"
    assert api.delete(path_of(waiting), if_match="*").status_code == 204
    held = claim(api)
    assert problem(api.delete(path_of(needed), if_match="*"), 409)["code"] == "running"
    made(say(api, held, "output", pieces=[{"text": "x"}]))
    made(say(api, held, "complete"))
    assert api.delete(path_of(needed), if_match="*").status_code == 204
    problem(api.get(path_of(needed)), 404)
    actions = [row["action"] for row in all_items(api, path_of(needed) + "/history")]
    assert actions == ["delete", "complete", "claim", "create"]


def test_the_list_is_narrowed_by_each_filter(api):
    session = session_of(api)
    task = session_of(api, "other")  # a session's id is no task's
    mine = spawn(api, "research", session_id=session, trace_id="t-1")
    other = spawn(api, "build", priority=9)
    assert claim(api)["id"] == other["id"]
    for query in (
        {"status": "pending"}, {"primitive": "research"}, {"session": session},
        {"conversation_id": "chief-2026-03-01"}, {"trace_id": "t-1"},
    ):  # fmt: skip
        assert [row["id"] for row in all_items(api, "/workers", **query)] == [mine["id"]], query
    claimed = all_items(api, "/workers", claimed_by="claude-code")
    assert [row["id"] for row in claimed] == [other["id"]]
    assert [row["id"] for row in all_items(api, "/workers")] == [other["id"], mine["id"]]
    assert all_items(api, "/workers", dead="true") == []
    problem(api.get("/workers", task=task), 404)
    problem(api.get("/workers", claimed_by="nobody"), 404)
    assert "dead" in wrong_fields(api.get("/workers", dead="true", status="pending"))
    assert "colour" in wrong_fields(api.get("/workers", colour="red"))


def test_a_stranger_sees_and_claims_nothing(api, stranger):
    worker = spawn(api)
    assert claim(stranger) is None
    held = claim(api)
    problem(stranger.get(path_of(worker)), 404)
    problem(say(stranger, held, "beat"), 404)
    problem(say(stranger, held, "complete"), 404)
    problem(stranger.post(path_of(worker) + "/cancel"), 404)
    foreign = {"primitive": "x", "depends_on": [worker["id"]]}
    assert "depends_on" in wrong_fields(stranger.post("/workers", foreign))


def test_reading_does_not_open_writing(workspace):
    reader = caller(workspace, scopes=["work:read"])
    assert all_items(reader, "/workers") == []
    problem(reader.post("/workers", {"primitive": "x"}), 403)
    problem(reader.post("/workers/claim"), 403)


# --- Claiming -----------------------------------------------------------------------------------


def test_the_highest_priority_is_claimed_first_then_the_oldest(api):
    low, old, new = spawn(api), spawn(api, priority=5), spawn(api, priority=5)
    assert [claim(api)["id"] for _ in range(3)] == [old["id"], new["id"], low["id"]]
    assert claim(api) is None


def test_a_claim_gives_a_lease_and_says_who_has_it(api):
    spawn(api)
    session = session_of(api)
    held = claim(api, session_id=session, lease_seconds=120)
    assert (held["status"], held["attempts"]) == ("running", 1)
    assert held["run_session_id"] == session
    given = datetime.fromisoformat(held["lease_until"]) - datetime.fromisoformat(held["started_at"])
    assert given == timedelta(seconds=120)
    assert "lease_id" not in made(api.get(path_of(held)))
    assert "lease_seconds" in wrong_fields(api.post("/workers/claim", {"lease_seconds": 1}))


def test_only_the_kinds_that_are_asked_for(api):
    spawn(api, "research", priority=9)
    build, review = spawn(api, "build"), spawn(api, "review")
    wanted = ["build", "review"]
    assert [claim(api, primitives=wanted)["id"] for _ in range(2)] == [build["id"], review["id"]]
    assert claim(api, primitives=wanted) is None


def test_what_needs_others_waits_until_all_of_them_are_complete(api):
    first, second = spawn(api), spawn(api)
    last = spawn(api, priority=9, depends_on=[first["id"], second["id"]])
    one, two = claim(api), claim(api)
    assert claim(api) is None
    assert problem(api.post(path_of(last) + "/claim"), 409)["code"] == "blocked"
    made(say(api, one, "complete"))
    made(say(api, two, "fail", error="broken", final=True))
    assert claim(api) is None  # a failed one is not complete
    made(api.post(path_of(two) + "/retry"))
    made(say(api, claim(api), "complete"))
    assert claim(api)["id"] == last["id"]


def test_what_is_for_later_is_not_claimed_now(api):
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    worker = spawn(api, run_after=tomorrow)
    assert claim(api) is None
    assert problem(api.post(path_of(worker) + "/claim"), 409)["code"] == "not_due"
    made(api.patch(path_of(worker), {"run_after": None}, if_match="*"))
    assert claim(api)["id"] == worker["id"]


def test_one_that_is_claimed_or_has_ended_cannot_be_claimed(api):
    worker = spawn(api)
    held = made(api.post(path_of(worker) + "/claim", {"lease_seconds": 30}))
    assert problem(api.post(path_of(worker) + "/claim"), 409)["code"] == "already_claimed"
    made(say(api, held, "complete"))
    assert problem(api.post(path_of(worker) + "/claim"), 409)["code"] == "not_claimable"


# --- Running ------------------------------------------------------------------------------------


def test_a_beat_prolongs_the_lease_and_raises_no_version(api):
    spawn(api)
    held = claim(api, lease_seconds=5)
    beat = made(say(api, held, "beat", lease_seconds=600, percent=40, text="half of it"))
    assert beat["lease_until"] > held["lease_until"]
    assert beat["cancel_requested"] is False
    shorter = made(say(api, held, "beat", lease_seconds=5))
    assert shorter["lease_until"] == beat["lease_until"]
    same = made(say(api, held, "progress", percent=60.5))
    assert same["lease_until"] == beat["lease_until"]
    now = made(api.get(path_of(held)))
    assert (now["progress_percent"], now["progress_text"]) == (60.5, "half of it")
    assert now["version"] == held["version"]
    assert "percent" in wrong_fields(say(api, held, "progress", percent=101))


@pytest.mark.parametrize("what", ["beat", "progress", "output", "ask", "complete", "fail",
                                  "release"])  # fmt: skip
def test_only_who_holds_the_lease_may_speak(api, what):
    said = {
        "output": {"pieces": [{"text": "x"}]}, "ask": {"question": "?"}, "fail": {"error": "e"},
    }.get(what, {})  # fmt: skip
    worker = spawn(api)
    somebody = {**worker, "lease_id": str(uuid.uuid4())}
    assert problem(say(api, somebody, what, **said), 409)["code"] == "not_running"
    held = claim(api)
    assert problem(say(api, somebody, what, **said), 409)["code"] == "lease_lost"
    made(say(api, held, "complete"))
    assert problem(say(api, held, what, **said), 409)["code"] == "not_running"
    assert "lease_id" in wrong_fields(api.post(f"{path_of(worker)}/{what}", said))


def test_output_is_kept_in_order_over_all_attempts(api):
    spawn(api)
    held = claim(api)
    pieces = [{"text": "one\n"}, {"text": "oh\n", "stream": "stderr"}]
    assert made(say(api, held, "output", pieces=pieces)) == {"last_seq": 2}
    assert "pieces[0].text" in wrong_fields(say(api, held, "output", pieces=[{"text": "\0"}]))
    made(say(api, held, "release"))
    held = claim(api)
    assert made(say(api, held, "output", pieces=[{"text": "two\n"}])) == {"last_seq": 3}
    path = path_of(held) + "/output"
    rows = all_items(api, path, limit=2)
    assert [(row["seq"], row["stream"], row["text"]) for row in rows] == [
        (1, "stdout", "one\n"), (2, "stderr", "oh\n"), (3, "stdout", "two\n"),
    ]  # fmt: skip
    assert [row["seq"] for row in all_items(api, path, after=2)] == [3]


def test_a_complete_worker_tells_its_conversation_once(api, workspace):
    worker = spawn(api, session_id=session_of(api))
    held = claim(api)
    done = made(say(api, held, "complete", report="# Done\n" + "x" * 1000, exit_code=0))
    assert (done["status"], done["exit_code"]) == ("complete", 0)
    assert done["report_summary"].startswith("# Done")
    assert len(done["report_summary"]) == 500
    assert done["lease_until"] is None
    assert done["ended_at"] is not None
    assert problem(say(api, held, "complete"), 409)["code"] == "not_running"
    assert told(workspace) == [("chief-2026-03-01", "worker_complete", worker["id"])]


def test_a_worker_of_no_conversation_tells_nobody(api, workspace):
    spawn(api)
    made(say(api, claim(api), "complete", report="ok"))
    assert told(workspace) == []


# --- Questions, rest ----------------------------------------------------------------------------


def test_a_question_is_asked_answered_and_read_by_the_next_claim(api, workspace):
    worker = spawn(api, session_id=session_of(api))
    held = claim(api)
    asked = made(say(api, held, "ask", question="Which pump?", options=["left", "right"]))
    assert (asked["status"], asked["lease_until"]) == ("awaiting_clarification", None)
    assert asked["clarification_options"] == ["left", "right"]
    assert claim(api) is None
    assert problem(say(api, held, "beat"), 409)["code"] == "not_running"
    answered = made(api.post(path_of(worker) + "/answer", {"answer": "left"}))
    assert (answered["status"], answered["clarification_answer"]) == ("pending", "left")
    again = problem(api.post(path_of(worker) + "/answer", {"answer": "right"}), 409)
    assert again["code"] == "not_awaiting_clarification"
    held = claim(api)
    assert (held["clarification_question"], held["clarification_answer"]) == (
        "Which pump?", "left",
    )  # fmt: skip
    assert held["attempts"] == 1  # the attempt that asked goes on
    made(say(api, held, "ask", question="And then?"))
    assert [kind for _, kind, _ in told(workspace)] == ["worker_clarification"] * 2


def test_a_worker_rests_until_its_time(api, workspace):
    worker = spawn(api)
    path = path_of(worker)
    for nothing in ({}, {"duration": "1h", "until": "2026-03-01T12:00:00Z"}):
        assert "until" in wrong_fields(api.post(path + "/snooze", nothing))
    for wrong in ("soon", "1w", -5, True, "367d", "1.5h"):
        assert "duration" in wrong_fields(api.post(path + "/snooze", {"duration": wrong}))
    before = datetime.now(UTC)
    rests = made(api.post(path + "/snooze", {"duration": "1h"}))
    assert rests["status"] == "snoozed"
    length = datetime.fromisoformat(rests["run_after"]) - before
    assert timedelta(minutes=59) < length < timedelta(minutes=61)
    assert claim(api) is None
    made(api.post(path + "/snooze", {"until": "2026-03-01T12:00:00Z"}))
    assert claim(api)["id"] == worker["id"]


def test_who_runs_a_worker_may_let_it_rest(api):
    spawn(api)
    held = claim(api)
    assert problem(api.post(path_of(held) + "/snooze", {"duration": 5}), 409)["code"] == (
        "not_pending"
    )
    rests = made(say(api, held, "snooze", duration=7200))
    assert (rests["status"], rests["attempts"], rests["claimed_by_id"]) == ("snoozed", 0, None)
    woken = made(api.patch(path_of(held), {"run_after": None}, if_match="*"))
    assert woken["status"] == "pending"


# --- Cancelling ---------------------------------------------------------------------------------


def test_a_waiting_worker_is_cancelled_at_once(api, workspace):
    worker = spawn(api, session_id=session_of(api))
    gone = made(api.post(path_of(worker) + "/cancel", {"reason": "not needed"}))
    assert gone["status"] == "cancelled"
    assert gone["ended_at"] is not None
    assert made(api.post(path_of(worker) + "/cancel")) == gone
    assert claim(api) is None
    assert [kind for _, kind, _ in told(workspace)] == ["worker_cancelled"]
    newest = all_items(api, path_of(worker) + "/history")[0]
    assert (newest["action"], newest["reason"]) == ("cancel", "not needed")


def test_a_running_worker_is_cancelled_by_who_runs_it(api, workspace):
    spawn(api, session_id=session_of(api))
    held = claim(api)
    asked = made(api.post(path_of(held) + "/cancel"))
    assert asked["status"] == "running"
    assert asked["cancel_requested_at"] is not None
    assert made(api.post(path_of(held) + "/cancel")) == asked
    assert made(say(api, held, "beat"))["cancel_requested"] is True
    ended = made(say(api, held, "fail", error="stopped as asked"))
    assert ended["status"] == "cancelled"
    assert [kind for _, kind, _ in told(workspace)] == ["worker_cancelled"]


def test_what_has_ended_is_not_cancelled(api):
    spawn(api)
    done = made(say(api, claim(api), "complete"))
    assert problem(api.post(path_of(done) + "/cancel"), 409)["code"] == "already_ended"


# --- Failing ------------------------------------------------------------------------------------


def test_a_failed_attempt_is_tried_again_later_and_later_and_then_it_is_dead(api, workspace):
    worker = spawn(api, session_id=session_of(api), max_attempts=3)
    waits = []
    for _ in range(2):
        held = claim(api)
        failed = made(say(api, held, "fail", error="no network", exit_code=7))
        assert (failed["status"], failed["error"]) == ("pending", "no network")
        due = datetime.fromisoformat(failed["run_after"])
        waits.append(round((due - datetime.fromisoformat(held["started_at"])).total_seconds(), -1))
        assert claim(api) is None
        made(api.patch(path_of(worker), {"run_after": None}, if_match="*"))
    assert waits == [60, 120]
    assert told(workspace) == []
    dead = made(say(api, claim(api), "fail", error="still none"))
    assert (dead["status"], dead["attempts"]) == ("failed", 3)
    assert [row["id"] for row in all_items(api, "/workers", dead="true")] == [worker["id"]]
    assert [kind for _, kind, _ in told(workspace)] == ["worker_failed"]
    again = made(api.post(path_of(worker) + "/retry"))
    assert (again["status"], again["max_attempts"]) == ("pending", 4)
    assert problem(api.post(path_of(worker) + "/retry"), 409)["code"] == "not_failed"
    made(say(api, claim(api), "fail", error="never"))
    made(api.post(path_of(worker) + "/retry"))
    done = made(say(api, claim(api), "complete", report="at last"))
    assert (done["attempts"], done["error"]) == (5, "")
    assert [kind for _, kind, _ in told(workspace)] == [
        "worker_failed", "worker_failed", "worker_complete",
    ]  # fmt: skip


def test_pauses_double_and_stop_at_an_hour():
    minutes = [worker_runs.backoff(n) // timedelta(minutes=1) for n in (1, 2, 3, 6, 7, 8, 99)]
    assert minutes == [1, 2, 4, 32, 60, 60, 60]


def test_trying_again_can_be_pointless(api):
    spawn(api)
    dead = made(say(api, claim(api), "fail", error="no such folder", final=True))
    assert (dead["status"], dead["attempts"], dead["max_attempts"]) == ("failed", 1, 3)


# --- Lost leases: the clock is given ------------------------------------------------------------


@pytest.fixture
def agent(scoped):
    return ensure_agent(actor=ALICE, name="runner")


def take(agent, at) -> Worker | None:
    return worker_runs.claim(actor=ALICE, agent=agent, lease_seconds=60, at=at)


def put(**fields) -> Worker:
    return spawn_worker(actor=ALICE, primitive="research", **fields)[0]


def test_a_lost_lease_puts_the_worker_back_and_counts(agent):
    put(max_attempts=2)
    first = take(agent, NOON)
    assert take(agent, NOON + timedelta(seconds=60)) is None  # to the last moment it is held
    second = take(agent, NOON + timedelta(seconds=61))
    assert (second.id, second.attempts) == (first.id, 2)
    assert second.lease_id != first.lease_id
    assert "attempt 1 of 2" in second.error
    assert take(agent, NOON + LATER) is None
    dead = Worker.objects.get(pk=first.pk)
    assert (dead.status, dead.lease_id) == ("failed", None)


def test_a_lost_lease_of_a_worker_to_be_cancelled_cancels_it(agent):
    put()
    cancel(actor=ALICE, worker_id=take(agent, NOON).pk)
    job = Actor("job", "j", "j", "job")
    assert worker_runs.release_lost_leases(actor=job, at=NOON + LATER) == 1
    assert Worker.objects.get().status == "cancelled"


def test_one_whose_lease_ran_out_is_claimed_by_its_id(agent):
    lost = put()
    take(agent, NOON)
    at = NOON + LATER
    again = worker_runs.claim_worker(actor=ALICE, agent=agent, worker_id=lost.pk, at=at)
    assert (again.status, again.attempts) == ("running", 2)


def test_the_job_puts_back_and_wakes_in_every_workspace(api, stranger):
    spawn(api)
    held = claim(api)
    rests = spawn(stranger)
    made(stranger.post(path_of(rests) + "/snooze", {"until": "2026-03-01T12:00:00Z"}))
    tend_workers(0)
    assert made(api.get(path_of(held)))["status"] == "running"
    assert made(stranger.get(path_of(rests)))["status"] == "pending"


def test_the_queue_is_counted(api):
    needed = spawn(api, priority=2)
    spawn(api, depends_on=[needed["id"]])
    spawn(api, priority=1)
    claim(api)
    found = made(api.get("/workers/queue"))
    assert found["counts"]["pending"] == 2
    assert found["counts"]["running"] == 1
    assert (found["claimable"], found["counted_to"]) == (1, 1000)
