"""How missions come to be: because they are due, by hand, or for the past.

A run that has to wait for another one has no worker yet. What follows from overlap:

- skip: while a run waits or runs, the next one is recorded as skipped.
- queue_one: one run waits until the one before has ended; more are recorded as skipped.
- cancel_previous: the one before is cancelled; the next begins when it has indeed ended.
- allow: every run begins at once.

After downtime only the latest of the missed runs is run, if it is not more than `catchup_seconds`
late (and at least 90 seconds are always allowed for); otherwise it is recorded as skipped. The
others leave no rows: `metadata.missed_since` of the one recorded names the first of them.

What happens to a run once it is there is in mission_runs.py.
"""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import islice

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from contacts.services import funnel
from sessions.models import Mission, ScheduledMission, Worker
from sessions.models.mission import MissionStatus, OverlapPolicy, Trigger
from sessions.services import workers
from sessions.services.mission_runs import (
    active_runs,
    begin,
    cancel_waiting,
    note_begun,
    note_run,
    start_waiting,
)
from sessions.services.missions import ACTIVE, pause, plan_next, schedule_of
from sessions.services.schedules import Schedule, day_of, read_zone

# A tick may come this late without a run being late.
ON_TIME = timedelta(seconds=90)
MAX_BACKFILL = 100


class Refused(Exception):
    """Why a run may not begin: `code` for programs, the text for people."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.text, self.code = text, code


# --- When due -------------------------------------------------------------------------------------


def due_missions(now: datetime, limit: int) -> list[uuid.UUID]:
    """Scheduled missions with a run due, the longest due first. Index scheduledmission_due."""
    rows = ScheduledMission.objects.filter(enabled=True, next_run_at__lte=now)
    return list(rows.order_by("next_run_at").values_list("id", flat=True)[:limit])


def next_due() -> datetime | None:
    """When the next run of this workspace is due. Index scheduledmission_due."""
    rows = ScheduledMission.objects.filter(enabled=True, next_run_at__isnull=False)
    found: datetime | None = rows.order_by("next_run_at").values_list(
        "next_run_at", flat=True
    ).first()  # fmt: skip
    return found


def run_due(*, actor: Actor, scheduled_id: uuid.UUID) -> Mission | None:
    """Begin or record the run that is due, and plan the next. None where somebody else does so,
    has done so, or there is nothing to record.

    One whose schedule can no longer be read (a zone that left the database) is paused.
    """
    held = _hold_workers(scheduled_id)
    now = clock.now()
    rows = ScheduledMission.objects.filter(pk=scheduled_id, enabled=True, next_run_at__lte=now)
    row = rows.select_for_update(skip_locked=True, no_key=True).first()
    if row is None:
        return None
    try:
        schedule = schedule_of(row)
    except Invalid as error:
        pause(row, actor=actor, reason=f"Its schedule cannot be read: {error.detail}")
        return None
    first: datetime = row.next_run_at
    latest = schedule.latest(first, now)
    mission = None
    if latest is not None and not _exists(row, latest):
        mission = Mission(scheduled_mission=row, scheduled_for=latest)
        if latest > first:
            mission.metadata = {"missed_since": first.isoformat()}
        try:
            if now - latest > max(timedelta(seconds=row.catchup_seconds), ON_TIME):
                raise Refused("Its time passed while nothing ran missions.", "too_late")
            _refuse_over_limit(row, latest)
            wait = _overlap(row, actor, held)
        except Refused as refusal:
            mission.status, mission.error = MissionStatus.SKIPPED, refusal.text
            funnel.create(mission, actor=actor)
        else:
            _add(row, mission, actor, wait=wait)
    plan_next(row, now)
    return mission


def _exists(row: ScheduledMission, moment: datetime) -> bool:
    """Index mission_scheduled_for_unique."""
    return Mission.objects.filter(scheduled_mission=row, scheduled_for=moment).exists()


def _refuse_over_limit(row: ScheduledMission, moment: datetime) -> None:
    """Runs by schedule and by hand count, skipped and backfilled ones do not. Index
    mission_history."""
    if row.max_runs_per_day is None:
        return
    start, end = day_of(moment, read_zone(row.timezone))
    rows = Mission.objects.filter(
        scheduled_mission=row, scheduled_for__gte=start, scheduled_for__lt=end
    )
    had = rows.exclude(status=MissionStatus.SKIPPED).exclude(trigger=Trigger.BACKFILL).count()
    if had >= row.max_runs_per_day:
        raise Refused(
            f"It has run {had} times this day in {row.timezone}; at most {row.max_runs_per_day}.",
            "daily_limit",
        )


def _hold_workers(scheduled_id: uuid.UUID) -> frozenset[uuid.UUID]:
    """The workers that cancel_previous may have to cancel, locked before the mission is."""
    rows = Mission.objects.filter(
        scheduled_mission_id=scheduled_id,
        scheduled_mission__overlap_policy=OverlapPolicy.CANCEL_PREVIOUS,
        status__in=ACTIVE,
        worker__isnull=False,
    )
    wanted = list(rows.values_list("worker_id", flat=True))
    if not wanted:
        return frozenset()
    held = Worker.objects.filter(pk__in=wanted).order_by("id").select_for_update(no_key=True)
    return frozenset(worker.pk for worker in held)


def _overlap(row: ScheduledMission, actor: Actor, held: Collection[uuid.UUID]) -> bool:
    """Whether the next run has to wait for its turn. Raises Refused where it may not come."""
    active = active_runs(row)
    if not active or row.overlap_policy == OverlapPolicy.ALLOW:
        return False
    if row.overlap_policy == OverlapPolicy.SKIP:
        raise Refused(
            f"The run of {active[0].scheduled_for:%Y-%m-%d %H:%M:%S} UTC has not ended.",
            "still_running",
        )
    others = [one for one in active if one.trigger != Trigger.BACKFILL]
    if row.overlap_policy == OverlapPolicy.QUEUE_ONE:
        waiting = next((one for one in others if one.worker_id is None), None)
        if waiting is not None:
            raise Refused(
                f"The run of {waiting.scheduled_for:%Y-%m-%d %H:%M:%S} UTC waits already.",
                "still_waiting",
            )
        return True
    reason = "The next run is due."
    # Those that wait first: the end of one that runs would start them.
    for one in sorted(others, key=lambda one: one.worker_id is not None):
        if one.worker_id is None:
            cancel_waiting(row, one, actor, reason)
        elif one.worker_id in held:
            workers.cancel(actor=actor, worker_id=one.worker_id, reason=reason)
        else:
            raise Conflict("A run began meanwhile; try again.", code="concurrent_change")
    return bool(active_runs(row))


def _add(
    row: ScheduledMission, mission: Mission, actor: Actor, *, wait: bool, reason: str = ""
) -> None:
    """A new run: with its worker, or waiting for its turn."""
    if not wait:
        mission.worker = begin(row, mission, actor)
    funnel.create(mission, actor=actor, reason=reason)
    if wait:
        note_run(row, mission)
    else:
        note_begun(row, mission)


# --- By hand --------------------------------------------------------------------------------------


def run_now(*, actor: Actor, scheduled_id: uuid.UUID, reason: str = "") -> Mission:
    """A run outside the schedule, also of a paused mission; overlap and the day's limit hold.

    Conflict (still_running, still_waiting, daily_limit) where a scheduled one would be skipped.
    """
    held = _hold_workers(scheduled_id)
    row = funnel.get_row(ScheduledMission, scheduled_id, lock=True)
    moment = clock.now()
    while _exists(row, moment):
        moment += timedelta(microseconds=1)
    mission = Mission(scheduled_mission=row, scheduled_for=moment, trigger=Trigger.MANUAL)
    try:
        _refuse_over_limit(row, moment)
        wait = _overlap(row, actor, held)
    except Refused as refusal:
        raise Conflict(refusal.text, code=refusal.code) from None
    if wait and not row.enabled:
        raise Conflict("A run has not ended, and this mission is paused.", code="still_running")
    _add(row, mission, actor, wait=wait, reason=reason)
    return mission


def backfill(
    *, actor: Actor, scheduled_id: uuid.UUID, since: datetime, until: datetime
) -> tuple[list[Mission], int]:
    """Runs for the times of the schedule from `since` on, before `until`; (those that are new, how
    many had run already). At most 100 times, all in the past.

    A run that was skipped is run after all. They come one after the other, oldest first, unless the
    overlap policy is `allow`; neither catch-up nor jitter nor the day's limit applies to them.
    """
    if until <= since:
        raise Invalid({"until": "must lie after since"})
    if until > clock.now():
        raise Invalid({"until": "lies in the future"})
    row = funnel.get_row(ScheduledMission, scheduled_id, lock=True)
    if not row.enabled:
        raise Conflict("This mission is paused; enable it first.", code="paused")
    moments = _past_times(schedule_of(row), since, until)
    there = {one.scheduled_for: one for one in Mission.objects.filter(
        scheduled_mission=row, scheduled_for__in=moments
    )}  # fmt: skip
    begun = []
    for moment in moments:
        mission = there.get(moment)
        if mission is None:
            mission = Mission(scheduled_mission=row, scheduled_for=moment, trigger=Trigger.BACKFILL)
            funnel.create(mission, actor=actor)
        elif mission.status == MissionStatus.SKIPPED:
            changes = {"status": MissionStatus.PENDING, "trigger": Trigger.BACKFILL, "error": ""}
            funnel.update(mission, changes, actor=actor, action="backfill")
        else:
            continue
        begun.append(mission)
    started = {one.pk: one for one in start_waiting(row, actor)}
    return [started.get(one.pk, one) for one in begun], len(moments) - len(begun)


def _past_times(schedule: Schedule, since: datetime, until: datetime) -> list[datetime]:
    moments = list(islice(schedule.between(since, until), MAX_BACKFILL + 1))
    if len(moments) > MAX_BACKFILL:
        raise Invalid(
            {"until": f"more than {MAX_BACKFILL} runs; the last of these is {moments[-2]:%FT%TZ}"}
        )
    return moments
