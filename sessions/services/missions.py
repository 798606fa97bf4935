"""Scheduled missions: made, changed, enabled, paused, deleted. What they do is in mission_runs.py,
when they do it in schedules.py."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils.text import slugify

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from config.lib.jobs import Job
from config.lib.redact import redact_text
from config.lib.scope import current_workspace_id
from contacts.preferences import preferences
from contacts.services import funnel
from sessions.models import Mission, Project, ScheduledMission
from sessions.models.mission import MissionStatus, ScheduleKind
from sessions.services.schedules import Schedule, read_schedule

QUEUE = "sessions"
RUN_TASK = "sessions.run_workspace_missions"
# How often the periodic job looks. What is due sooner gets a job of its own.
TICK = timedelta(minutes=1)
ACTIVE = (MissionStatus.PENDING, MissionStatus.RUNNING)
MAX_SLUG = 120

_WHEN = frozenset({"schedule_kind", "schedule", "timezone"})
EDITABLE = _WHEN | {
    "name", "slug", "description", "prompt", "primitive", "params", "project_id",
    "conversation_id", "workspace_path", "priority", "overlap_policy", "catchup_seconds",
    "jitter_seconds", "timeout_minutes", "max_attempts", "max_runs_per_day",
    "pause_after_failures", "metadata",
}  # fmt: skip
ON_CREATION = EDITABLE | {"enabled", "pause_reason", "source", "external_id"}


def create_mission(*, actor: Actor, **fields: Any) -> tuple[ScheduledMission, bool]:
    """A new scheduled mission; (it, whether it is new). `fields` are the model's.

    The slug is made from the name unless given (Conflict where that one is taken), the
    conversation is `mission-{slug}` and the time zone the workspace's unless given. With
    `external_id` (and `source`) set, a mission of that identity is returned as it is. Invalid names
    `schedule`, `schedule_kind`, `timezone`.
    """
    unknown = fields.keys() - ON_CREATION
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be set on a scheduled mission"))
    if not fields.get("external_id"):
        return _create(actor, fields), True
    fields["source"] = fields.get("source") or "api"
    known = ScheduledMission.objects.filter(
        source=fields["source"], external_id=fields["external_id"]
    )
    return funnel.once(known.first, lambda: _create(actor, fields))


def _create(actor: Actor, fields: dict[str, Any]) -> ScheduledMission:
    if fields.get("project_id"):
        funnel.get_row(Project, fields["project_id"])
    if fields.get("slug"):
        _refuse_taken(fields["slug"])
    else:
        fields["slug"] = free_slug(fields.get("name", ""))
    fields["conversation_id"] = fields.get("conversation_id") or f"mission-{fields['slug'][:112]}"
    if "timezone" not in fields:
        fields["timezone"] = preferences().timezone.key
    mission = ScheduledMission(**fields)
    mission.next_run_at = _first_run(mission, clock.now())
    funnel.create(mission, actor=actor)
    _wake(mission)
    return mission


def free_slug(name: str) -> str:
    """From the name, with a number behind it where the slug is taken. Secrets go before case does,
    by which they are known."""
    base = slugify(redact_text(name))[:MAX_SLUG] or "mission"
    slug, number = base, 1
    while ScheduledMission.objects.filter(slug=slug).exists():
        number += 1
        tail = f"-{number}"
        slug = base[: MAX_SLUG - len(tail)] + tail
    return slug


def _refuse_taken(slug: str) -> None:
    """Index scheduledmission_slug_unique."""
    if ScheduledMission.objects.filter(slug=slug).exists():
        raise Conflict(f"Another mission has the slug {slug}.", code="slug_taken")


def update_mission(
    *,
    actor: Actor,
    scheduled_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> ScheduledMission:
    """Change a scheduled mission; a changed schedule counts from now. Runs that exist stay as they
    are, those that come follow what it is then."""
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on a scheduled mission"))
    mission = funnel.get_row(ScheduledMission, scheduled_id, lock=True)
    if changes.get("project_id"):
        funnel.get_row(Project, changes["project_id"])
    if changes.get("slug", mission.slug) != mission.slug:
        _refuse_taken(changes["slug"])
    before = {name: getattr(mission, name) for name in _WHEN}
    mission = funnel.update(
        mission, changes, actor=actor, expected_version=expected_version, reason=reason
    )
    if any(getattr(mission, name) != value for name, value in before.items()):
        first = _first_run(mission, clock.now())
        _plan(mission, first if mission.enabled else None)
    return mission


def enable_mission(*, actor: Actor, scheduled_id: uuid.UUID, reason: str = "") -> ScheduledMission:
    """Let it run again from now on; what was missed in between stays missed. The count of failures
    begins anew. What waits for its turn starts with the next tick. Enabled already: unchanged."""
    mission = funnel.get_row(ScheduledMission, scheduled_id, lock=True)
    if mission.enabled:
        return mission
    coming = schedule_of(mission).after(clock.now())
    changes = {"enabled": True, "pause_reason": ""}
    funnel.update(mission, changes, actor=actor, action="enable", reason=reason)
    if mission.consecutive_failures:
        funnel.touch(mission, consecutive_failures=0)
    _plan(mission, coming)
    return mission


def pause_mission(*, actor: Actor, scheduled_id: uuid.UUID, reason: str = "") -> ScheduledMission:
    """Nothing becomes due until it is enabled again, and nothing that waits is started. What runs
    goes on. Paused again: only the reason changes."""
    mission = funnel.get_row(ScheduledMission, scheduled_id, lock=True)
    return pause(mission, actor=actor, reason=reason)


def pause(mission: ScheduledMission, *, actor: Actor, reason: str) -> ScheduledMission:
    """The same for a locked row."""
    changes = {"enabled": False, "pause_reason": reason[:500]}
    funnel.update(mission, changes, actor=actor, action="pause", reason=reason[:500])
    _plan(mission, None)
    return mission


def delete_mission(
    *, actor: Actor, scheduled_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> None:
    """Remove it with its history. Conflict while one of its runs waits or runs."""
    mission = funnel.get_row(ScheduledMission, scheduled_id, lock=True)
    if Mission.objects.filter(scheduled_mission=mission, status__in=ACTIVE).exists():
        raise Conflict(
            "A run of this mission has not ended; pause the mission and cancel the run first.",
            code="still_running",
        )
    funnel.delete(mission, actor=actor, expected_version=expected_version, reason=reason)


# --- When -----------------------------------------------------------------------------------------


def schedule_of(mission: ScheduledMission) -> Schedule:
    """Read, or Invalid. Intervals count from when the mission was made."""
    return read_schedule(
        kind=mission.schedule_kind,
        schedule=mission.schedule,
        timezone=mission.timezone,
        anchor=mission.created_at,
    )


def _first_run(mission: ScheduledMission, now: datetime) -> datetime | None:
    """Also of a paused one, so that a wrong schedule is refused when it is written."""
    coming = schedule_of(mission).after(now)
    if coming is None and mission.schedule_kind == ScheduleKind.ONCE:
        raise Invalid({"schedule": "lies in the past"})
    return coming if mission.enabled else None


def plan_next(mission: ScheduledMission, now: datetime) -> None:
    """After a run: the next one, if any. For a locked row."""
    _plan(mission, schedule_of(mission).after(now))


def _plan(mission: ScheduledMission, coming: datetime | None) -> None:
    if mission.next_run_at != coming:
        funnel.touch(mission, next_run_at=coming)
    _wake(mission)


def _wake(mission: ScheduledMission) -> None:
    """A job at the very second, where that comes before the next tick."""
    if mission.next_run_at is not None and mission.next_run_at < next_tick(clock.now()):
        wake_up(current_workspace_id(), mission.next_run_at).defer_on_commit()


def next_tick(now: datetime) -> datetime:
    """When the periodic job looks next: at each whole minute."""
    return now.replace(second=0, microsecond=0) + TICK


def wake_up(workspace_id: uuid.UUID, at: datetime) -> Job:
    return Job(
        task=RUN_TASK,
        queue=QUEUE,
        lock=f"missions:{workspace_id}:{at:%Y%m%dT%H%M%S}",
        arguments={"workspace_id": str(workspace_id)},
        at=at,
    )
