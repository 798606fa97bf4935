"""The periodic job: every run that is due begins exactly once, and only when it may."""

from datetime import UTC, datetime, timedelta

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from config.lib import clock
from config.lib.scope import workspace_scope
from sessions.models import Mission, Notification, ScheduledMission, Worker
from sessions.services.mission_runs import cancel_run
from sessions.services.missions import RUN_TASK, pause_mission, update_mission
from sessions.services.workers import cancel
from sessions.tasks import run_due_missions, run_missions
from tests.api.missions import Clock, Missions
from tests.api.test_concurrency import at_once
from tests.factories import ALICE


@pytest.fixture
def missions(workspace, monkeypatch) -> Missions:
    """At noon of 1 March 2027, UTC."""
    frozen = Clock()
    monkeypatch.setattr(clock, "now", frozen)
    return Missions(workspace, frozen)


def test_a_run_begins_when_it_is_due_and_once(missions):
    mission = missions.schedule()
    missions.tick(minutes=4, seconds=59)
    assert missions.runs(mission) == []
    missions.tick(seconds=2)
    missions.tick()
    assert missions.runs(mission) == [("01 12:05", "pending", True)]
    planned = missions.again(mission)
    assert (planned.next_run_at, planned.last_run_at) == (
        datetime(2027, 3, 1, 12, 10, tzinfo=UTC), missions.clock.moment,
    )  # fmt: skip
    missions.complete(missions.claim())
    missions.tick(minutes=5)
    assert missions.runs(mission) == [
        ("01 12:05", "complete", True), ("01 12:10", "pending", True),
    ]  # fmt: skip


def test_a_mission_of_one_time_runs_that_once(missions):
    mission = missions.schedule(schedule_kind="once", schedule="2027-03-01T12:00:30Z")
    missions.tick(minutes=1)
    missions.complete(missions.claim())
    missions.tick(days=400)
    assert missions.runs(mission) == [("01 12:00", "complete", True)]
    assert missions.again(mission).next_run_at is None


def test_an_interval_keeps_its_beat_whenever_it_is_looked_at(missions):
    mission = missions.schedule(schedule_kind="interval", schedule="45", overlap_policy="allow")
    beat = timedelta(seconds=45)
    anchor = mission.created_at.replace(microsecond=0)
    latest = set()
    for seconds in (60, 37, 44, 51, 93):
        missions.tick(seconds=seconds)
        now = missions.clock.moment
        latest.add(now - (now - anchor) % beat)
    with workspace_scope(missions.workspace.id):
        times = Mission.objects.values_list("scheduled_for", flat=True)
        assert set(times) == latest
        assert len(times) == len(latest) >= 4


# --- After downtime -------------------------------------------------------------------------------


def test_after_a_night_only_the_latest_run_is_run(missions):
    mission = missions.schedule(schedule="0 * * * *")
    missions.tick(hours=11, minutes=20)
    missions.tick()
    assert missions.runs(mission) == [("01 23:00", "pending", True)]
    assert missions.run(mission).metadata == {"missed_since": "2027-03-01T13:00:00+00:00"}
    assert missions.again(mission).next_run_at == datetime(2027, 3, 2, tzinfo=UTC)


def test_what_is_too_late_is_recorded_as_skipped(missions):
    daily = missions.schedule(schedule="0 13 * * *", catchup_seconds=3600)
    patient = missions.schedule(schedule="0 13 * * *", catchup_seconds=86_400)
    missions.tick(hours=9)
    assert missions.runs(daily) == [("01 13:00", "skipped", False)]
    assert "passed" in missions.run(daily).error
    assert missions.runs(patient) == [("01 13:00", "pending", True)]
    assert missions.again(daily).consecutive_failures == 0


def test_without_catching_up_a_tick_may_still_be_late(missions):
    mission = missions.schedule(catchup_seconds=0)
    missions.tick(minutes=6, seconds=20)
    assert missions.runs(mission) == [("01 12:05", "pending", True)]


def test_what_was_missed_while_paused_stays_missed(missions):
    mission = missions.schedule()
    with workspace_scope(missions.workspace.id):
        pause_mission(actor=ALICE, scheduled_id=mission.pk, reason="Holidays")
    missions.tick(minutes=30)
    assert missions.runs(mission) == []


def test_a_skipped_run_can_be_backfilled(missions, api):
    mission = missions.schedule(schedule="0 13 * * *")
    missions.tick(hours=9)
    day = {"since": "2027-03-01T00:00:00Z", "until": "2027-03-01T20:00:00Z"}
    answer = api.post(f"/scheduled-missions/{mission.pk}/backfill", day)
    assert answer.status_code == 201
    assert missions.runs(mission) == [("01 13:00", "pending", True)]


# --- Overlap --------------------------------------------------------------------------------------


def test_skip_records_what_would_overlap(missions):
    mission = missions.schedule()
    missions.tick(minutes=5)
    worker = missions.claim()
    missions.tick(minutes=5)
    missions.complete(worker)
    missions.tick(minutes=5)
    assert [status for _, status, _ in missions.runs(mission)] == [
        "complete", "skipped", "pending",
    ]  # fmt: skip


def test_queue_one_lets_one_wait(missions):
    mission = missions.schedule(overlap_policy="queue_one")
    missions.tick(minutes=5)
    worker = missions.claim()
    missions.tick(minutes=5)
    missions.tick(minutes=5)
    assert missions.runs(mission) == [
        ("01 12:05", "running", True), ("01 12:10", "pending", False), ("01 12:15", "skipped",
                                                                        False),
    ]  # fmt: skip
    missions.complete(worker)
    assert missions.runs(mission)[:2] == [
        ("01 12:05", "complete", True), ("01 12:10", "pending", True),
    ]  # fmt: skip


def test_the_last_run_is_the_one_that_began(missions):
    """One that only waits has not run, and cancelled while it waits it never does."""
    mission = missions.schedule(overlap_policy="queue_one")
    missions.tick(minutes=5)
    began, worker = missions.clock.moment, missions.claim()
    missions.tick(minutes=5)
    assert missions.again(mission).last_run_at == began
    waiting = missions.run(mission)
    with workspace_scope(missions.workspace.id):
        cancel_run(actor=ALICE, mission_id=waiting.pk)
    shown = missions.again(mission)
    assert (shown.last_run_at, shown.last_status) == (began, "cancelled")
    missions.tick(minutes=5)
    assert missions.again(mission).last_run_at == began
    missions.clock.forward(seconds=30)
    missions.complete(worker)
    assert missions.again(mission).last_run_at == missions.clock.moment


def test_what_waits_starts_only_when_enabled(missions):
    mission = missions.schedule(overlap_policy="queue_one")
    missions.tick(minutes=5)
    worker = missions.claim()
    missions.tick(minutes=5)
    with workspace_scope(missions.workspace.id):
        pause_mission(actor=ALICE, scheduled_id=mission.pk)
    missions.complete(worker)
    missions.tick(minutes=1)
    assert missions.runs(mission)[1] == ("01 12:10", "pending", False)
    with workspace_scope(missions.workspace.id):
        ScheduledMission.objects.filter(pk=mission.pk).update(enabled=True)
    missions.tick(minutes=1)
    assert missions.runs(mission)[1] == ("01 12:10", "pending", True)


def test_cancel_previous_begins_when_the_previous_has_ended(missions):
    mission = missions.schedule(overlap_policy="cancel_previous")
    missions.tick(minutes=5)
    worker = missions.claim()
    missions.tick(minutes=5)
    missions.tick(minutes=5)
    assert missions.runs(mission) == [
        ("01 12:05", "running", True), ("01 12:10", "cancelled", False),
        ("01 12:15", "pending", False),
    ]  # fmt: skip
    with workspace_scope(missions.workspace.id):
        assert Worker.objects.get(pk=worker.pk).cancel_requested_at is not None
    missions.fail(worker, "stopped")
    assert [status for _, status, _ in missions.runs(mission)] == [
        "cancelled", "cancelled", "pending",
    ]  # fmt: skip
    # The third was not claimed yet: it gives way at once.
    missions.tick(minutes=5)
    assert missions.runs(mission)[2:] == [
        ("01 12:15", "cancelled", True), ("01 12:20", "pending", True),
    ]  # fmt: skip


def test_allow_lets_them_all_run(missions):
    mission = missions.schedule(overlap_policy="allow")
    for _ in range(3):
        missions.tick(minutes=5)
    assert [row[1:] for row in missions.runs(mission)] == [("pending", True)] * 3


# --- Limits ---------------------------------------------------------------------------------------


def test_a_day_is_the_one_of_the_missions_zone(missions):
    # Noon in London is one in the morning of the next day in Auckland.
    mission = missions.schedule(
        schedule="0 * * * *", timezone="Pacific/Auckland", max_runs_per_day=2,
        overlap_policy="allow",
    )  # fmt: skip
    for _ in range(4):
        missions.tick(hours=1)
    assert [status for _, status, _ in missions.runs(mission)] == [
        "pending", "pending", "skipped", "skipped",
    ]  # fmt: skip
    assert "at most 2" in missions.run(mission).error
    missions.tick(hours=7)  # 12:00 in Auckland
    missions.tick(hours=12)
    assert missions.runs(mission)[-2:] == [
        ("01 23:00", "skipped", False), ("02 11:00", "pending", True),
    ]  # fmt: skip


def test_jitter_delays_the_claim_and_not_the_schedule(missions):
    mission = missions.schedule(jitter_seconds=240, timeout_minutes=7)
    missions.tick(minutes=5)
    with workspace_scope(missions.workspace.id):
        worker = Worker.objects.get()
    due = datetime(2027, 3, 1, 12, 5, tzinfo=UTC)
    assert due <= worker.run_after <= due + timedelta(seconds=240)
    assert worker.timeout_seconds == 420
    assert missions.run(mission).scheduled_for == due


def test_failures_in_a_row_pause_a_mission_and_say_so(missions):
    mission = missions.schedule(pause_after_failures=2)

    def run(fails: bool) -> None:
        missions.tick(minutes=5)
        worker = missions.claim()
        if fails:
            missions.fail(worker)
        else:
            missions.complete(worker)

    for fails in (True, False, True, True):
        assert missions.again(mission).enabled
        run(fails)
    paused = missions.again(mission)
    assert (paused.enabled, paused.next_run_at, paused.consecutive_failures) == (False, None, 2)
    assert paused.pause_reason == "Paused after 2 failures in a row; the last: exit code 1"
    with workspace_scope(missions.workspace.id):
        told = Notification.objects.filter(notification_type="mission_paused").get()
    assert told.conversation_id == "mission-water-the-seedlings"
    missions.tick(minutes=60)
    assert len(missions.runs(mission)) == 4


def test_a_failed_attempt_is_no_failed_run(missions):
    mission = missions.schedule(max_attempts=2, pause_after_failures=1)
    missions.tick(minutes=5)
    missions.fail(missions.claim())
    run = missions.run(mission)
    assert (run.status, run.attempt, run.error) == ("pending", 1, "exit code 1\nno water")
    assert missions.again(mission).enabled
    missions.clock.forward(minutes=2)
    missions.complete(missions.claim())
    run = missions.run(mission)
    assert (run.status, run.attempt, run.error) == ("complete", 2, "")


def test_a_cancelled_run_counts_neither_way(missions):
    mission = missions.schedule(pause_after_failures=1)
    missions.tick(minutes=5)
    with workspace_scope(missions.workspace.id):
        cancel(actor=ALICE, worker_id=Worker.objects.get().pk)
    assert missions.run(mission).status == "cancelled"
    assert missions.again(mission).enabled


def test_a_schedule_that_cannot_be_read_any_more_pauses_its_mission_alone(missions):
    broken, sound = missions.schedule(), missions.schedule()
    with workspace_scope(missions.workspace.id):
        ScheduledMission.objects.filter(pk=broken.pk).update(timezone="Gone/Away")
    missions.tick(minutes=5)
    assert "cannot be read" in missions.again(broken).pause_reason
    assert len(missions.runs(sound)) == 1


# --- The job --------------------------------------------------------------------------------------


def test_the_periodic_job_looks_into_every_workspace(missions, other_workspace):
    here = missions.schedule()
    there = Missions(other_workspace, missions.clock)
    their = there.schedule()
    missions.clock.forward(minutes=5)
    run_missions(timestamp=0)
    assert len(missions.runs(here)) == len(there.runs(their)) == 1


def waiting_jobs() -> list[datetime]:
    rows = ProcrastinateJob.objects.filter(task_name=RUN_TASK, status="todo")
    return sorted(rows.values_list("scheduled_at", flat=True))


@pytest.mark.django_db(transaction=True)
def test_what_is_due_within_the_minute_gets_a_job_at_its_second(missions):
    soon = missions.schedule(schedule_kind="once", schedule="2027-03-01T12:00:20Z")
    missions.schedule(schedule_kind="once", schedule="2027-03-01T12:01:00Z")
    assert waiting_jobs() == [soon.next_run_at]
    later = "2027-03-01T12:00:40Z"
    with workspace_scope(missions.workspace.id):
        update_mission(actor=ALICE, scheduled_id=soon.pk, changes={"schedule": later})
    ProcrastinateJob.objects.all().delete()
    missions.tick(seconds=10)
    assert waiting_jobs() == [datetime(2027, 3, 1, 12, 0, 40, tzinfo=UTC)]
    missions.tick(seconds=1)
    assert len(waiting_jobs()) == 1


@pytest.mark.django_db(transaction=True)
def test_two_job_workers_and_more_begin_each_run_once(missions):
    many = [missions.schedule(overlap_policy=policy)
            for policy in ("skip", "queue_one", "allow", "cancel_previous") * 3]  # fmt: skip
    for _ in range(3):
        missions.clock.forward(minutes=5)
        at_once([lambda: run_due_missions(missions.workspace.id)] * 4)
    # What one of them passed over, because another had it, is begun by that other.
    with workspace_scope(missions.workspace.id):
        for mission in many:
            times = list(Mission.objects.filter(scheduled_mission=mission).order_by("scheduled_for")
                         .values_list("scheduled_for", flat=True))  # fmt: skip
            assert [f"{time:%H:%M}" for time in times] == ["12:05", "12:10", "12:15"]
        assert Worker.objects.count() == Mission.objects.exclude(worker=None).count()


@pytest.mark.django_db(transaction=True)
def test_workers_that_end_while_the_next_runs_are_due_neither_deadlock_nor_lose_a_run(missions):
    many = [missions.schedule(overlap_policy=policy)
            for policy in ("queue_one", "cancel_previous") * 4]  # fmt: skip
    missions.tick(minutes=5)
    held = [missions.claim() for _ in many]
    missions.clock.forward(minutes=5)
    endings = [lambda worker=worker: missions.fail(worker, "stopped", final=True)
               for worker in held]  # fmt: skip
    at_once([*endings, *[lambda: run_due_missions(missions.workspace.id)] * 2])
    missions.tick(seconds=1)
    for mission in many:
        first, second = missions.runs(mission)
        assert first[1] in ("failed", "cancelled")
        assert second == ("01 12:10", "pending", True)
