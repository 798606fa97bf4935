"""Missions as executions, once they are there: begun, cancelled, followed.

A run that begins becomes a worker, and from then on its state is the worker's. How runs come to be
is in mission_starts.py.

Locks are taken in one order, workers before their scheduled mission, as a worker's end does.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict
from contacts.services import funnel
from sessions.models import Mission, ScheduledMission, Worker
from sessions.models.mission import MissionStatus, OverlapPolicy, Trigger
from sessions.models.worker import MISSION_KEY, WorkerStatus
from sessions.services import workers
from sessions.services.missions import ACTIVE, pause
from sessions.services.notifications import notify
from sessions.services.schedules import jitter

FAILED = (MissionStatus.FAILED, MissionStatus.TIMEOUT)
# How an error begins that `runworkers` reports of a command that ran too long.
TIMED_OUT = "timed out"
_STATUS = {
    WorkerStatus.PENDING: MissionStatus.PENDING,
    WorkerStatus.SNOOZED: MissionStatus.PENDING,
    WorkerStatus.RUNNING: MissionStatus.RUNNING,
    WorkerStatus.AWAITING_CLARIFICATION: MissionStatus.RUNNING,
    WorkerStatus.COMPLETE: MissionStatus.COMPLETE,
    WorkerStatus.FAILED: MissionStatus.FAILED,
    WorkerStatus.CANCELLED: MissionStatus.CANCELLED,
}


# --- Begun and called off -----------------------------------------------------------------------


def active_runs(row: ScheduledMission) -> list[Mission]:
    """Runs that wait or run, oldest first. Index mission_status: in order of the history the
    database would read all of it."""
    rows = Mission.objects.filter(scheduled_mission=row, status__in=ACTIVE).order_by()
    return sorted(rows, key=lambda one: one.scheduled_for)


def begin(row: ScheduledMission, mission: Mission, actor: Actor) -> Worker:
    """The run's worker. `params.mission` tells it which run it is, so that one for the past knows
    its day; the mission's own params win."""
    told = {
        "id": str(mission.pk),
        "slug": row.slug,
        "scheduled_for": mission.scheduled_for.isoformat(),
        "trigger": str(mission.trigger),
    }
    run_after = None
    if mission.trigger == Trigger.SCHEDULE and row.jitter_seconds:
        wait = jitter(row.pk, mission.scheduled_for, row.jitter_seconds)
        run_after = mission.scheduled_for + wait
    worker, _ = workers.spawn_worker(
        actor=actor,
        primitive=row.primitive,
        instructions=row.prompt,
        params={"mission": told, **row.params},
        conversation_id=row.conversation_id,
        name=row.name,
        workspace_path=row.workspace_path,
        priority=row.priority,
        run_after=run_after,
        timeout_seconds=row.timeout_minutes * 60,
        max_attempts=row.max_attempts,
        dedupe_key=f"{MISSION_KEY}{mission.pk}",
    )
    return worker


def note_run(row: ScheduledMission, mission: Mission, **telemetry: Any) -> None:
    """What the scheduled mission says of its last run."""
    funnel.touch(row, last_status=mission.status, **telemetry)


def note_begun(row: ScheduledMission, mission: Mission) -> None:
    """The same of one that has its worker now: `last_run_at` is when a run last began."""
    note_run(row, mission, last_run_at=clock.now())


def cancel_run(*, actor: Actor, mission_id: uuid.UUID, reason: str = "") -> Mission:
    """Call a run off: at once where it waits, else as its worker is. Cancelling twice changes
    nothing; Conflict when it ended otherwise."""
    mission = funnel.get_row(Mission, mission_id)
    if mission.status == MissionStatus.CANCELLED:
        return mission
    if mission.status not in ACTIVE:
        raise Conflict(f"This mission is {mission.status} already.", code="already_ended")
    if mission.worker_id is not None:
        workers.cancel(actor=actor, worker_id=mission.worker_id, reason=reason)
        return funnel.get_row(Mission, mission_id)
    # As one that starts it does: the scheduled mission first.
    row = funnel.get_row(ScheduledMission, mission.scheduled_mission_id, lock=True)
    mission = funnel.get_row(Mission, mission_id, lock=True)
    if mission.worker_id is not None or mission.status not in ACTIVE:
        raise Conflict("This mission began or ended meanwhile.", code="concurrent_change")
    return cancel_waiting(row, mission, actor, reason)


def cancel_waiting(row: ScheduledMission, mission: Mission, actor: Actor, reason: str) -> Mission:
    changes = {"status": MissionStatus.CANCELLED, "ended_at": clock.now(), "error": reason}
    funnel.update(mission, changes, actor=actor, action="cancel", reason=reason)
    note_run(row, mission)
    return mission


# --- Following workers ----------------------------------------------------------------------------


def start_next(*, actor: Actor, scheduled_id: uuid.UUID) -> list[Mission]:
    """Begin the next of the runs that wait, if it is their turn (all, under `allow`)."""
    rows = ScheduledMission.objects.filter(pk=scheduled_id, enabled=True)
    row = rows.select_for_update(skip_locked=True, no_key=True).first()
    return [] if row is None else start_waiting(row, actor)


def missions_with_waiting(limit: int) -> list[uuid.UUID]:
    """Enabled ones that have runs without a worker. Index mission_status."""
    rows = Mission.objects.filter(
        status=MissionStatus.PENDING, worker=None, scheduled_mission__enabled=True
    )
    return list(rows.order_by().values_list("scheduled_mission_id", flat=True).distinct()[:limit])


def start_waiting(row: ScheduledMission, actor: Actor) -> list[Mission]:
    """The same for a locked row; those that began."""
    if not row.enabled:
        return []
    active = active_runs(row)
    waiting = [one for one in active if one.worker_id is None]
    if row.overlap_policy != OverlapPolicy.ALLOW:
        if len(waiting) < len(active):
            return []
        # What is due now before what is for the past.
        waiting = sorted(waiting, key=lambda one: one.trigger == Trigger.BACKFILL)[:1]
    for mission in waiting:
        worker = begin(row, mission, actor)
        funnel.update(mission, {"worker": worker}, actor=actor, action="start")
        note_begun(row, mission)
    return waiting


def follow_workers(rows: Sequence[Worker], actor: Actor) -> None:
    """What became of workers, for the missions they are. Index mission_worker."""
    by_id = {row.pk: row for row in rows}
    found = Mission.objects.filter(worker_id__in=list(by_id)).select_for_update(no_key=True)
    for mission in found.order_by("id"):
        worker = by_id[mission.worker_id]
        status = _STATUS[WorkerStatus(worker.status)]
        if status == MissionStatus.FAILED and worker.error.startswith(TIMED_OUT):
            status = MissionStatus.TIMEOUT
        changes = {
            "status": status,
            "started_at": mission.started_at or worker.started_at,
            "ended_at": worker.ended_at,
            "attempt": worker.attempts,
            "session_id": worker.run_session_id,
            "output_summary": worker.report_summary,
            "error": worker.error,
        }
        _move(mission, changes, actor)


def release_missions(rows: Sequence[Worker], actor: Actor) -> None:
    """Workers are about to be deleted: what had not ended is cancelled."""
    ids = [row.pk for row in rows]
    found = Mission.objects.filter(worker_id__in=ids, status__in=ACTIVE)
    for mission in found.select_for_update(no_key=True).order_by("id"):
        changes = {
            "status": MissionStatus.CANCELLED,
            "ended_at": clock.now(),
            "error": "Its worker was deleted.",
        }
        _move(mission, changes, actor)


def _move(mission: Mission, changes: dict[str, Any], actor: Actor) -> None:
    before = mission.status
    funnel.update(mission, changes, actor=actor, action="follow_worker")
    if mission.status == before:
        return
    row = funnel.get_row(ScheduledMission, mission.scheduled_mission_id, lock=True)
    if mission.status in ACTIVE:
        note_run(row, mission)
        return
    note_run(row, mission, **_failures(row, mission))
    if row.enabled and 0 < row.pause_after_failures <= row.consecutive_failures:
        _pause_failing(row, mission, actor)
    start_waiting(row, actor)


def _failures(row: ScheduledMission, mission: Mission) -> dict[str, int]:
    """A run that was cancelled says nothing about the next."""
    if mission.status == MissionStatus.COMPLETE:
        return {"consecutive_failures": 0}
    if mission.status in FAILED:
        return {"consecutive_failures": row.consecutive_failures + 1}
    return {}


def _pause_failing(row: ScheduledMission, mission: Mission, actor: Actor) -> None:
    lines = mission.error.strip().splitlines() or ["no error was given"]
    reason = f"Paused after {row.consecutive_failures} failures in a row; the last: {lines[0]}"
    pause(row, actor=actor, reason=reason)
    notify(
        actor=actor,
        conversation_id=row.conversation_id,
        notification_type="mission_paused",
        entity_id=f"{row.pk}:{row.version}",
        payload={"scheduled_mission_id": str(row.pk), "slug": row.slug, "reason": reason[:500]},
    )
