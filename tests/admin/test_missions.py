"""Missions in the admin: scheduled, changed, run, paused, looked at."""

import re

import pytest

from config.lib.scope import workspace_scope
from sessions.admin import mission_timeline as timeline
from sessions.models import Mission, ScheduledMission
from sessions.services import mission_runs, mission_starts
from sessions.services.missions import create_mission
from tests.admin.pages import MAX_QUERIES, form_of, queries_of, url
from tests.factories import ALICE


@pytest.fixture
def scheduled(workspace) -> ScheduledMission:
    with workspace_scope(workspace.id):
        return create_mission(
            actor=ALICE, name="Water", prompt="Water.", schedule_kind="cron",
            schedule="0 9 * * *", timezone="Asia/Kathmandu",
        )[0]  # fmt: skip


def do(alice, row, action, **posted):
    return alice.post(url(type(row), "do", row.pk, action), posted, follow=True).content.decode()


def now(workspace, row):
    with workspace_scope(workspace.id):
        return type(row).objects.get(pk=row.pk)


def test_a_mission_is_scheduled_and_a_wrong_schedule_shown_at_its_field(alice, workspace):
    address = url(ScheduledMission, "add")
    form = {**form_of(alice, address), "name": "Water", "prompt": "Water.",
            "schedule_kind": "cron", "schedule": "0 0 30 2 *"}  # fmt: skip
    page = alice.post(address, form)
    assert page.status_code == 200
    assert "is no cron expression: Bad day-of-month" in page.content.decode()
    assert alice.post(address, {**form, "schedule": "@daily"}).status_code == 302
    with workspace_scope(workspace.id):
        made = ScheduledMission.objects.get()
    assert (made.slug, made.next_run_at is not None) == ("water", True)


def test_the_next_runs_are_shown_in_the_missions_zone(alice, scheduled):
    page = alice.get(url(ScheduledMission, "change", scheduled.pk)).content.decode()
    assert page.count("09:00:00 +0545") == 5


def test_a_changed_schedule_counts(alice, workspace, scheduled):
    address = url(ScheduledMission, "change", scheduled.pk)
    form = {**form_of(alice, address), "schedule": "30 10 * * *", "timezone": "UTC"}
    assert alice.post(address, form).status_code == 302
    changed = now(workspace, scheduled)
    assert f"{changed.next_run_at:%H:%M}" == "10:30"


def test_a_mission_is_paused_enabled_and_run_by_buttons(alice, workspace, scheduled):
    assert "is paused" in do(alice, scheduled, "pause")
    paused = now(workspace, scheduled)
    assert (paused.enabled, paused.pause_reason) == (False, "Paused by an operator")
    assert "runs again" in do(alice, scheduled, "enable")
    assert now(workspace, scheduled).enabled
    assert "A run has begun" in do(alice, scheduled, "run")
    assert "has not ended" in do(alice, scheduled, "run")
    with workspace_scope(workspace.id):
        run = Mission.objects.get()
    assert "Show its worker" in alice.get(url(Mission, "change", run.pk)).content.decode()
    assert "is cancelled" in do(alice, run, "cancel")
    assert now(workspace, run).status == "cancelled"


def test_a_viewer_may_look_only(vera, workspace, scheduled):
    assert vera.get(url(ScheduledMission, "change", scheduled.pk)).status_code == 200
    assert vera.post(url(ScheduledMission, "do", scheduled.pk, "run")).status_code == 403
    with workspace_scope(workspace.id):
        assert not Mission.objects.exists()


LINE = url(ScheduledMission, "timeline")


def marks(page):
    """(colour, what it says) of each mark on the line."""
    return re.findall(r'class="rm-mark rm-(\w+)"[^>]*title="([^"]*)"', page)


def test_the_time_line_shows_past_runs_by_outcome_and_the_next(alice, workspace, scheduled):
    with workspace_scope(workspace.id):
        run = mission_starts.run_now(actor=ALICE, scheduled_id=scheduled.pk)
        mission_runs.cancel_run(actor=ALICE, mission_id=run.pk)
    page = alice.get(LINE).content.decode()
    found = marks(page)
    assert [tone for tone, _ in found if tone != "next"] == ["grey"]
    assert any(text.endswith("cancelled, manual") for _, text in found)
    # Three days before today, three after it, each with a run at nine.
    assert sum(tone == "next" for tone, _ in found) in (3, 4)
    assert 'class="rm-now"' in page
    assert url(Mission, "change", run.pk) in page


def test_the_line_moves_and_is_as_long_as_asked_for(alice, workspace, scheduled):
    page = alice.get(LINE, {"from": "2030-01-01", "days": "28"}).content.decode()
    assert sum(tone == "next" for tone, _ in marks(page)) == 28
    assert 'class="rm-now"' not in page
    assert "from=2029-12-04&amp;days=28" in page
    assert "from=2030-01-29&amp;days=28" in page
    for wrong in ("from=9999-12-31", "from=x&days=9", "from=0001-01-01"):
        assert alice.get(f"{LINE}?{wrong}").status_code == 200


def test_a_full_lane_ends_and_a_line_costs_the_same_for_more(alice, workspace, scheduled,
                                                            monkeypatch):  # fmt: skip
    alice.get(LINE)
    few = len(queries_of(alice, LINE))
    with workspace_scope(workspace.id):
        for n in range(5):
            create_mission(actor=ALICE, name=f"Row {n}", prompt="x", schedule_kind="interval",
                           schedule="10")  # fmt: skip
        for _ in range(3):
            run = mission_starts.run_now(actor=ALICE, scheduled_id=scheduled.pk)
            mission_runs.cancel_run(actor=ALICE, mission_id=run.pk)
    assert len(queries_of(alice, LINE)) == few <= MAX_QUERIES
    monkeypatch.setattr(timeline, "PER_LANE", 2)
    page = alice.get(LINE).content.decode()
    assert "older runs are in the list" in page
    assert [tone for tone, _ in marks(page)].count("grey") == 2


def test_missed_times_are_run_after_all(alice, vera, workspace, scheduled):
    address = url(ScheduledMission, "backfill", scheduled.pk)
    # Kathmandu's nine o'clock lies in this range twice.
    answer = alice.post(
        address, {"since": "2026-01-05T08:00", "until": "2026-01-06T09:01"}, follow=True
    )
    assert "2 runs begun" in answer.content.decode()
    with workspace_scope(workspace.id):
        times = Mission.objects.order_by("scheduled_for").values_list("scheduled_for", flat=True)
        assert [f"{one:%d %H:%M}" for one in times] == ["05 03:15", "06 03:15"]
    for since, until, why in [
        ("x", "2026-01-06T09:01", "is no time"),
        ("2026-01-05T08:00", "2026-01-04T08:00", "must lie after since"),
        ("2025-01-05T08:00", "2026-01-04T08:00", "more than 100 runs"),
    ]:
        page = alice.post(address, {"since": since, "until": until}).content.decode()
        assert why in page, why
    assert vera.get(address).status_code == 403


def test_a_mission_is_paused_with_a_reason(alice, workspace, scheduled):
    page = alice.get(url(ScheduledMission, "change", scheduled.pk)).content.decode()
    assert 'placeholder="Why it is paused"' in page
    do(alice, scheduled, "pause", _reason="The well is dry.", next=LINE)
    assert "The well is dry." in alice.get(LINE).content.decode()
    assert marks(alice.get(LINE).content.decode()) == []
