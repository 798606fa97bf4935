"""Missions in the admin: scheduled, changed, run, paused, looked at."""

import pytest

from config.lib.scope import workspace_scope
from sessions.models import Mission, ScheduledMission
from sessions.services.missions import create_mission
from tests.admin.pages import form_of, url
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
