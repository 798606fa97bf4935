"""Scheduled missions and their runs over REST."""

import pytest

from config.lib import clock
from tests.api.caller import all_items, made, problem, wrong_fields
from tests.api.missions import Clock, claim, schedule


@pytest.fixture(autouse=True)
def time(monkeypatch) -> Clock:
    """Noon of Monday, 1 March 2027, UTC."""
    frozen = Clock()
    monkeypatch.setattr(clock, "now", frozen)
    return frozen


def test_a_mission_is_scheduled_read_changed_and_deleted(api):
    answer = api.post("/scheduled-missions", {
        "name": "Water the seedlings!", "prompt": "Water them.", "schedule_kind": "cron",
        "schedule": "30 9 * * MON-FRI", "timezone": "Europe/Berlin", "params": {"litres": 2},
    })  # fmt: skip
    mission = made(answer)
    path = f"/scheduled-missions/{mission['id']}"
    assert (answer.status_code, answer["Location"]) == (201, f"/api/v1{path}")
    assert (mission["slug"], mission["conversation_id"]) == (
        "water-the-seedlings", "mission-water-the-seedlings",
    )  # fmt: skip
    assert mission["enabled"] is True
    assert mission["last_status"] is None
    assert mission["next_run_at"] == "2027-03-02T08:30:00Z"
    assert [run["scheduled_for"] for run in mission["next_runs"]] == [
        "2027-03-02T08:30:00Z", "2027-03-03T08:30:00Z", "2027-03-04T08:30:00Z",
        "2027-03-05T08:30:00Z", "2027-03-08T08:30:00Z",
    ]  # fmt: skip
    for name in (mission["slug"], mission["id"], mission["short_id"]):
        assert made(api.get(f"/scheduled-missions/{name}")) == mission
    problem(api.patch(path, {"priority": 3}), 428)
    changes = {"schedule": "@daily", "timezone": "UTC", "priority": 3}
    changed = made(api.patch(path, changes, if_match='"1"'))
    assert (changed["priority"], changed["version"]) == (3, 2)
    assert changed["next_run_at"] == "2027-03-02T00:00:00Z"
    problem(api.patch(path, {"priority": 4}, if_match='"1"'), 412)
    actions = [one["action"] for one in all_items(api, path + "/history")]
    assert actions == ["update", "create"]
    assert len(all_items(api, f"/scheduled-missions/{mission['slug']}/history")) == 2
    assert api.delete(path, if_match='"2"').status_code == 204
    problem(api.get(path), 404)


@pytest.mark.parametrize(("fields", "named"), [
    ({"schedule": "61 * * * *"}, "schedule"),
    ({"schedule": "0 0 30 2 *"}, "schedule"),
    ({"schedule": "* * * * * *"}, "schedule"),
    ({"schedule_kind": "interval", "schedule": "5"}, "schedule"),
    ({"schedule_kind": "once", "schedule": "2027-03-01T11:59:59Z"}, "schedule"),
    ({"schedule_kind": "once", "schedule": "2027-03-28T02:30", "timezone": "Europe/Berlin"},
     "schedule"),
    ({"schedule_kind": "rrule"}, "schedule_kind"),
    ({"timezone": "Mars/Olympus"}, "timezone"),
    ({"slug": "Two words"}, "slug"),
    ({"timeout_minutes": 0}, "timeout_minutes"),
    ({"max_runs_per_day": 0}, "max_runs_per_day"),
    ({"overlap_policy": "maybe"}, "overlap_policy"),
    ({"prompt": ""}, "prompt"),
])  # fmt: skip
def test_what_cannot_be_scheduled_is_refused_by_name(api, fields, named):
    body = {"name": "x", "prompt": "x", "schedule_kind": "cron", "schedule": "@daily", **fields}
    assert named in wrong_fields(api.post("/scheduled-missions", body))
    assert all_items(api, "/scheduled-missions") == []


def test_a_wrong_schedule_is_refused_of_a_paused_mission_too(api):
    mission = schedule(api, enabled=False)
    path = f"/scheduled-missions/{mission['id']}"
    refused = api.patch(path, {"timezone": "Nowhere"}, if_match="*")
    assert list(wrong_fields(refused)) == ["timezone"]
    assert made(api.get(path))["timezone"] == "UTC"


def test_slugs_are_made_free_and_taken_ones_refused(api):
    slugs = [schedule(api)["slug"] for _ in range(3)]
    assert slugs == ["water-the-seedlings", "water-the-seedlings-2", "water-the-seedlings-3"]
    assert schedule(api, name="水をやる")["slug"] == "mission"
    body = {"name": "x", "prompt": "x", "schedule_kind": "cron", "schedule": "@daily"}
    taken = api.post("/scheduled-missions", {**body, "slug": slugs[0]})
    assert problem(taken, 409)["code"] == "slug_taken"
    other = api.patch(f"/scheduled-missions/{slugs[1]}", {"slug": slugs[0]}, if_match="*")
    assert problem(other, 409)["code"] == "slug_taken"


def test_the_same_external_id_is_the_same_mission(api):
    body = {"name": "x", "prompt": "x", "schedule_kind": "cron", "schedule": "@daily",
            "external_id": "m-1"}  # fmt: skip
    first = made(api.post("/scheduled-missions", body))
    again = api.post("/scheduled-missions", {**body, "name": "y"})
    assert (again.status_code, again.json()) == (200, first)


def test_the_time_zone_is_the_workspaces_unless_given(api):
    made(api.patch("/workspace", {"settings": {"timezone": "Asia/Kathmandu"}}))
    body = {"name": "x", "prompt": "x", "schedule_kind": "cron", "schedule": "0 9 * * *"}
    mission = made(api.post("/scheduled-missions", body))
    assert mission["timezone"] == "Asia/Kathmandu"
    assert mission["next_runs"][0]["scheduled_for"].endswith("T03:15:00Z")
    assert made(api.post("/scheduled-missions", {**body, "timezone": "UTC"}))["timezone"] == "UTC"
    empty = api.post("/scheduled-missions", {**body, "timezone": ""})
    assert list(wrong_fields(empty)) == ["timezone"]


def test_the_next_runs_show_their_jitter(api):
    runs = schedule(api, jitter_seconds=600)["next_runs"]
    times = [run["runs_at"][14:19] for run in runs]
    assert all(run["runs_at"][:15] in (run["scheduled_for"][:14] + "0", run["scheduled_for"][:14]
                                       + "1") for run in runs)  # fmt: skip
    assert len(set(times)) > 1


def test_a_pause_has_a_reason_and_enabling_looks_ahead(api, time):
    path = f"/scheduled-missions/{schedule(api)['id']}"
    paused = made(api.post(path + "/pause", {"reason": "Holidays"}))
    assert (paused["enabled"], paused["pause_reason"]) == (False, "Holidays")
    assert (paused["next_run_at"], paused["next_runs"]) == (None, [])
    time.forward(days=10)
    enabled = made(api.post(path + "/enable"))
    assert (enabled["enabled"], enabled["pause_reason"]) == (True, "")
    assert enabled["next_run_at"] == "2027-03-12T09:00:00Z"
    assert made(api.post(path + "/enable")) == enabled
    history = all_items(api, path + "/history")
    assert [one["action"] for one in history] == ["enable", "pause", "create"]
    assert history[1]["reason"] == "Holidays"


def test_lists_are_filtered_and_paged(api):
    project = made(api.post("/projects", {"title": "Greenhouse"}))["id"]
    first = schedule(api, project_id=project)
    second = schedule(api, enabled=False)
    third = schedule(api)

    def ids(**query):
        return [one["id"] for one in all_items(api, "/scheduled-missions", limit=1, **query)]

    assert ids() == [third["id"], second["id"], first["id"]]
    assert ids(enabled="true") == [third["id"], first["id"]]
    assert ids(enabled="false") == [second["id"]]
    assert ids(project="Greenhouse") == [first["id"]]
    problem(api.get("/scheduled-missions", project="Nowhere"), 404)


# --- Runs -----------------------------------------------------------------------------------------


def test_run_now_becomes_a_worker_and_follows_it(api):
    mission = schedule(api, params={"litres": 2}, workspace_path="/srv", priority=7,
                       timeout_minutes=5, conversation_id="chief-2027-03-01")  # fmt: skip
    path = f"/scheduled-missions/{mission['id']}"
    answer = api.post(path + "/run", {"reason": "It is hot"})
    run = made(answer)
    assert (answer.status_code, answer["Location"]) == (201, f"/api/v1/missions/{run['id']}")
    assert (run["trigger"], run["status"], run["slug"]) == (
        "manual", "pending", mission["slug"],
    )  # fmt: skip
    worker = made(api.get(f"/workers/{run['worker_id']}"))
    assert (worker["instructions"], worker["primitive"]) == ("Water them.", "mission")
    assert (worker["timeout_seconds"], worker["max_attempts"]) == (300, 1)
    assert (worker["workspace_path"], worker["priority"]) == ("/srv", 7)
    assert worker["conversation_id"] == "chief-2027-03-01"
    assert worker["params"] == {
        "litres": 2,
        "mission": {"id": run["id"], "slug": mission["slug"], "trigger": "manual",
                    "scheduled_for": "2027-03-01T12:00:00+00:00"},
    }  # fmt: skip
    claimed = claim(api)
    assert claimed["id"] == worker["id"]
    at_work = all_items(api, "/missions", status="running")
    assert [(one["id"], one["attempt"]) for one in at_work] == [(run["id"], 1)]
    made(api.post(f"/workers/{worker['id']}/complete",
                  {"lease_id": claimed["lease_id"], "report": "Two litres each."}))  # fmt: skip
    done = made(api.get(f"/missions/{run['id']}"))
    assert (done["status"], done["output_summary"]) == ("complete", "Two litres each.")
    assert done["duration_seconds"] > 0
    assert made(api.get(path))["last_status"] == "complete"
    actions = [one["action"] for one in all_items(api, f"/missions/{run['id']}/history")]
    assert actions == ["follow_worker", "follow_worker", "create"]


def test_a_run_that_failed_says_why_and_a_retried_one_goes_on(api):
    path = f"/scheduled-missions/{schedule(api)['id']}"
    run = made(api.post(path + "/run"))
    claimed = claim(api)
    failure = {
        "lease_id": claimed["lease_id"], "error": "timed out after 3600 s", "report": "Half done.",
    }  # fmt: skip
    made(api.post(f"/workers/{claimed['id']}/fail", failure))
    failed = made(api.get(f"/missions/{run['id']}"))
    assert failed["output_summary"] == "Half done."
    assert (failed["status"], failed["error"]) == ("timeout", "timed out after 3600 s")
    assert made(api.get(path))["consecutive_failures"] == 1
    made(api.post(f"/workers/{claimed['id']}/retry"))
    assert made(api.get(f"/missions/{run['id']}"))["status"] == "pending"
    claimed = claim(api)
    made(api.post(f"/workers/{claimed['id']}/complete", {"lease_id": claimed["lease_id"]}))
    done = made(api.get(f"/missions/{run['id']}"))
    assert (done["status"], done["attempt"], done["error"]) == ("complete", 2, "")
    assert made(api.get(path))["consecutive_failures"] == 0


def test_a_second_run_obeys_the_overlap_policy(api):
    path = f"/scheduled-missions/{schedule(api)['id']}"
    run = made(api.post(path + "/run"))
    assert problem(api.post(path + "/run"), 409)["code"] == "still_running"
    made(api.patch(path, {"overlap_policy": "queue_one"}, if_match="*"))
    queued = made(api.post(path + "/run"))
    assert queued["worker_id"] is None
    assert problem(api.post(path + "/run"), 409)["code"] == "still_waiting"
    cancelled = made(api.post(f"/missions/{run['id']}/cancel"))
    assert cancelled["status"] == "cancelled"
    assert made(api.get(f"/missions/{queued['id']}"))["worker_id"] is not None
    made(api.patch(path, {"overlap_policy": "allow"}, if_match="*"))
    assert made(api.post(path + "/run"))["worker_id"] is not None


def test_a_run_is_cancelled_once(api):
    path = f"/scheduled-missions/{schedule(api, overlap_policy='queue_one')['id']}"
    first, second = (made(api.post(path + "/run")) for _ in range(2))
    waiting = made(api.post(f"/missions/{second['id']}/cancel", {"reason": "No need"}))
    assert (waiting["status"], waiting["error"]) == ("cancelled", "No need")
    claimed = claim(api)
    running = made(api.post(f"/missions/{first['id']}/cancel"))
    assert running["status"] == "running"
    assert made(api.get(f"/workers/{claimed['id']}"))["cancel_requested_at"] is not None
    failure = {"lease_id": claimed["lease_id"], "error": "stopped"}
    made(api.post(f"/workers/{claimed['id']}/fail", failure))
    assert made(api.post(f"/missions/{first['id']}/cancel"))["status"] == "cancelled"
    third = made(api.post(path + "/run"))
    claimed = claim(api)
    made(api.post(f"/workers/{claimed['id']}/complete", {"lease_id": claimed["lease_id"]}))
    assert problem(api.post(f"/missions/{third['id']}/cancel"), 409)["code"] == "already_ended"


def test_the_days_limit_holds_by_hand_too(api, time):
    path = f"/scheduled-missions/{schedule(api, max_runs_per_day=2, overlap_policy='allow')['id']}"
    made(api.post(path + "/run"))
    made(api.post(path + "/run"))
    assert problem(api.post(path + "/run"), 409)["code"] == "daily_limit"
    time.forward(hours=12)
    made(api.post(path + "/run"))


def test_a_range_is_backfilled_one_after_the_other(api):
    path = f"/scheduled-missions/{schedule(api)['id']}"
    days = {"since": "2027-02-20T00:00:00Z", "until": "2027-02-23T09:00:00Z"}
    answer = made(api.post(path + "/backfill", days))
    assert [one["scheduled_for"][:10] for one in answer["items"]] == [
        "2027-02-20", "2027-02-21", "2027-02-22",
    ]  # fmt: skip
    assert {one["trigger"] for one in answer["items"]} == {"backfill"}
    assert [one["worker_id"] is not None for one in answer["items"]] == [True, False, False]
    assert made(api.post(path + "/backfill", days)) == {"items": [], "existing": 3}
    done = []
    for _ in range(3):
        claimed = claim(api)
        done.append(claimed["params"]["mission"]["scheduled_for"][:10])
        made(api.post(f"/workers/{claimed['id']}/complete", {"lease_id": claimed["lease_id"]}))
    assert done == ["2027-02-20", "2027-02-21", "2027-02-22"]
    rows = all_items(api, "/missions", scheduled_mission="water-the-seedlings", limit=2)
    assert [one["status"] for one in rows] == ["complete"] * 3
    assert made(api.get(path))["next_run_at"] == "2027-03-02T09:00:00Z"


def test_a_backfill_has_its_bounds(api):
    path = f"/scheduled-missions/{schedule(api, schedule='@hourly')['id']}"
    for since, until in (
        ("2027-02-20T00:00:00Z", "2027-02-25T00:00:00Z"),
        ("2027-02-20T00:00:00Z", "2027-02-20T00:00:00Z"),
        ("2027-03-01T00:00:00Z", "2027-03-01T12:00:01Z"),
    ):
        refused = api.post(path + "/backfill", {"since": since, "until": until})
        assert list(wrong_fields(refused)) == ["until"]
    made(api.post(path + "/pause"))
    day = {"since": "2027-02-20T00:00:00Z", "until": "2027-02-21T00:00:00Z"}
    assert problem(api.post(path + "/backfill", day), 409)["code"] == "paused"
    assert all_items(api, "/missions") == []


def test_runs_that_may_overlap_are_backfilled_at_once(api):
    path = f"/scheduled-missions/{schedule(api, overlap_policy='allow')['id']}"
    days = {"since": "2027-02-20T00:00:00Z", "until": "2027-02-23T09:00:00Z"}
    items = made(api.post(path + "/backfill", days))["items"]
    assert len({one["worker_id"] for one in items} - {None}) == 3


def test_a_mission_with_a_run_that_has_not_ended_is_not_deleted(api):
    path = f"/scheduled-missions/{schedule(api)['id']}"
    run = made(api.post(path + "/run"))
    assert problem(api.delete(path, if_match="*"), 409)["code"] == "still_running"
    made(api.post(f"/missions/{run['id']}/cancel"))
    assert api.delete(path, if_match="*").status_code == 204
    problem(api.get(f"/missions/{run['id']}"), 404)
    assert made(api.get(f"/workers/{run['worker_id']}"))["status"] == "cancelled"


def test_a_deleted_worker_leaves_its_mission_cancelled(api):
    run = made(api.post(f"/scheduled-missions/{schedule(api)['id']}/run"))
    assert api.delete(f"/workers/{run['worker_id']}", if_match="*").status_code == 204
    left = made(api.get(f"/missions/{run['id']}"))
    assert (left["status"], left["worker_id"]) == ("cancelled", None)


def test_runs_are_listed_by_status_trigger_and_time(api, time):
    path = f"/scheduled-missions/{schedule(api, overlap_policy='allow')['id']}"
    early = made(api.post(path + "/run"))
    time.forward(hours=1)
    late = made(api.post(path + "/run"))
    made(api.post(f"/missions/{early['id']}/cancel"))

    def ids(**query):
        return [one["id"] for one in all_items(api, "/missions", limit=1, **query)]

    assert ids() == [late["id"], early["id"]]
    assert ids(status="cancelled") == [early["id"]]
    assert ids(trigger="manual", status="pending") == [late["id"]]
    assert ids(trigger="schedule") == []
    assert ids(since="2027-03-01T12:30:00Z") == [late["id"]]
    assert ids(until="2027-03-01T12:30:00Z") == [early["id"]]
    problem(api.get("/missions", scheduled_mission="nothing"), 404)
