"""Reads of scheduled missions and their runs. Lists are values() rows; each says which index
serves it."""

import uuid
from datetime import datetime
from typing import Any, TypedDict

from django.db.models import F, QuerySet

from config.lib.db.lookup import find_id, find_row
from sessions.models import Mission, ScheduledMission
from sessions.schemas_missions import MissionOut, ScheduledMissionRow
from sessions.selectors import columns
from sessions.services.missions import schedule_of
from sessions.services.schedules import jitter

Rows = QuerySet[Any, dict[str, Any]]
SHOWN_RUNS = 5


class ScheduledFilter(TypedDict, total=False):
    """What a list of scheduled missions can be narrowed by; None and absent ask for nothing."""

    enabled: bool | None
    project_id: uuid.UUID | None


def list_scheduled(wanted: ScheduledFilter) -> Rows:
    """In the order ["-created_at", "-id"]. Index scheduledmission_list, or
    scheduledmission_enabled, scheduledmission_project under that filter."""
    conditions = {name: value for name, value in wanted.items() if value is not None}
    rows = ScheduledMission.objects.filter(**conditions)
    return rows.values(*columns(ScheduledMission, ScheduledMissionRow))


def find_scheduled(text: str) -> uuid.UUID:
    """A scheduled mission's id by its slug, or its own id. Index scheduledmission_slug_unique."""
    return id_of_slug(text) or find_id(ScheduledMission, text)


def id_of_slug(text: str) -> uuid.UUID | None:
    """Index scheduledmission_slug_unique."""
    rows = ScheduledMission.objects.filter(slug=text)
    found: uuid.UUID | None = rows.values_list("id", flat=True).first()
    return found


def get_scheduled(text: str) -> ScheduledMission:
    """The row, by the same. Or NotFound."""
    found = ScheduledMission.objects.filter(slug=text).first()
    return found or find_row(ScheduledMission.objects.all(), text)


def next_runs(mission: ScheduledMission) -> list[dict[str, datetime]]:
    """The next five, as schemas_missions.NextRun; none while nothing is due any more."""
    if mission.next_run_at is None:
        return []
    coming = schedule_of(mission).coming(mission.next_run_at, SHOWN_RUNS)
    return [
        {"scheduled_for": run, "runs_at": run + jitter(mission.pk, run, mission.jitter_seconds)}
        for run in coming
    ]


class RunFilter(TypedDict, total=False):
    """What a list of runs can be narrowed by; None and absent ask for nothing."""

    scheduled_mission_id: uuid.UUID | None
    status: str | None
    trigger: str | None
    since: datetime | None
    until: datetime | None


_LOOKUPS = {"since": "scheduled_for__gte", "until": "scheduled_for__lt"}


def list_runs(wanted: RunFilter) -> Rows:
    """In the order ["-scheduled_for", "-id"]. Index mission_list, or mission_history,
    mission_status under that filter; `trigger` is checked on the rows that these give."""
    conditions = {_LOOKUPS.get(k, k): v for k, v in wanted.items() if v is not None}
    return Mission.objects.filter(**conditions).values(
        *columns(Mission, MissionOut),
        name=F("scheduled_mission__name"),
        slug=F("scheduled_mission__slug"),
    )


def get_run(text: str) -> Mission:
    """By a full or shortened id, with its scheduled mission. Or NotFound."""
    return find_row(Mission.objects.select_related("scheduled_mission"), text)
