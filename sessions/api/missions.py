"""Scheduled missions: list, create, read, change, delete, enable, pause, run, backfill. Their runs
are in mission_runs.py."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id
from config.lib.schema import Input, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Page,
    PageQuery,
    Reason,
    actor_of,
    if_match,
    no_content,
    reply,
    reply_page,
)
from contacts.schemas import RevisionOut
from contacts.selectors import history_of
from sessions import selectors_missions as selectors
from sessions.models import Project, ScheduledMission
from sessions.schemas_missions import (
    Backfill,
    BackfillOut,
    MissionOut,
    ScheduledMissionIn,
    ScheduledMissionOut,
    ScheduledMissionPatch,
    ScheduledMissionRow,
)
from sessions.schemas_workers import Why
from sessions.selectors import columns, find_project
from sessions.services import mission_starts, missions

router = Router(tags=["Missions"])
ORDER = ["-created_at", "-id"]


class ScheduledMissionQuery(Input):
    """How a list of scheduled missions is narrowed."""

    enabled: bool | None = Field(None, description="false: the paused ones")
    project: Text | None = Field(None, max_length=300, description="Its title or id")

    def wanted(self) -> selectors.ScheduledFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        project = None if self.project is None else find_project(self.project)
        return {"enabled": self.enabled, "project_id": project}


@router.get(
    "/scheduled-missions",
    auth=KeyAuth("work:read"),
    response=Page[ScheduledMissionRow],
    operation_id="list_scheduled_missions",
    summary="List scheduled missions",
)
def list_missions(
    request: HttpRequest, paging: PageQuery, filters: Annotated[ScheduledMissionQuery, Query()]
) -> HttpResponse:
    """Newest first."""
    rows = selectors.list_scheduled(filters.wanted())
    found, cursor = page(rows, order=ORDER, **paging.model_dump())
    return reply_page(ScheduledMissionRow, ([_shown(row) for row in found], cursor))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """One that has never run has no last status."""
    return {**row, "last_status": row["last_status"] or None}


def _reply(
    row: ScheduledMission, *, status: int = 200, location: str | None = None
) -> HttpResponse:
    """A scheduled mission with its next runs."""
    own = {name: getattr(row, name) for name in columns(ScheduledMission, ScheduledMissionOut)}
    shown = _shown(own) | {"next_runs": selectors.next_runs(row)}
    return reply(ScheduledMissionOut, shown, status=status, location=location, etag=row.etag)


@router.post(
    "/scheduled-missions",
    auth=KeyAuth("work:write"),
    response={201: ScheduledMissionOut, 200: ScheduledMissionOut},
    operation_id="create_scheduled_mission",
    summary="Schedule a mission",
)
def create_mission(request: HttpRequest, payload: ScheduledMissionIn) -> HttpResponse:
    """200 with the row as it is where its external_id was there already; 422 naming schedule or
    timezone; 409 where the slug is taken."""
    row, new = missions.create_mission(actor=actor_of(request), **_linked(payload.sent()))
    return _reply(row, status=201 if new else 200, location=f"/scheduled-missions/{row.id}")


def _linked(fields: dict[str, Any]) -> dict[str, Any]:
    """References as ids of this workspace."""
    if fields.get("project_id") is not None:
        fields["project_id"] = find_id(Project, fields["project_id"], check=False)
    return fields


@router.get(
    "/scheduled-missions/{scheduled_mission_id}",
    auth=KeyAuth("work:read"),
    response=ScheduledMissionOut,
    operation_id="get_scheduled_mission",
    summary="Read a scheduled mission",
)
def get_mission(request: HttpRequest, scheduled_mission_id: Id) -> HttpResponse:
    """By its id or its slug, with its next five runs."""
    return _reply(selectors.get_scheduled(scheduled_mission_id))


@router.patch(
    "/scheduled-missions/{scheduled_mission_id}",
    auth=KeyAuth("work:write"),
    response=ScheduledMissionOut,
    operation_id="update_scheduled_mission",
    summary="Change a scheduled mission",
    openapi_extra=IF_MATCH,
)
def patch_mission(
    request: HttpRequest, scheduled_mission_id: Id, payload: ScheduledMissionPatch
) -> HttpResponse:
    """Fields that are not sent stay. A changed schedule counts from now."""
    expected = if_match(request)
    changes = _linked(payload.sent())
    row = missions.update_mission(
        actor=actor_of(request),
        scheduled_id=selectors.find_scheduled(scheduled_mission_id),
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=expected,
    )
    return _reply(row)


@router.delete(
    "/scheduled-missions/{scheduled_mission_id}",
    auth=KeyAuth("work:write"),
    response={204: None},
    operation_id="delete_scheduled_mission",
    summary="Delete a scheduled mission",
    openapi_extra=IF_MATCH,
)
def delete_mission(
    request: HttpRequest, scheduled_mission_id: Id, reason: Reason = None
) -> HttpResponse:
    """With its runs; their workers stay. 409 while a run has not ended."""
    expected = if_match(request)
    missions.delete_mission(
        actor=actor_of(request),
        scheduled_id=selectors.find_scheduled(scheduled_mission_id),
        expected_version=expected,
        reason=reason or "",
    )
    return no_content()


@router.post(
    "/scheduled-missions/{scheduled_mission_id}/enable",
    auth=KeyAuth("work:write"),
    response=ScheduledMissionOut,
    operation_id="enable_scheduled_mission",
    summary="Let a mission run again",
)
def enable_mission(
    request: HttpRequest, scheduled_mission_id: Id, payload: Why | None = None
) -> HttpResponse:
    """From now on; what was missed stays missed, and failures are counted anew."""
    row = missions.enable_mission(
        actor=actor_of(request),
        scheduled_id=selectors.find_scheduled(scheduled_mission_id),
        reason=payload.reason if payload else "",
    )
    return _reply(row)


@router.post(
    "/scheduled-missions/{scheduled_mission_id}/pause",
    auth=KeyAuth("work:write"),
    response=ScheduledMissionOut,
    operation_id="pause_scheduled_mission",
    summary="Pause a mission",
)
def pause_mission(
    request: HttpRequest, scheduled_mission_id: Id, payload: Why | None = None
) -> HttpResponse:
    """Nothing becomes due until it is enabled; what runs goes on. The reason is shown with it."""
    row = missions.pause_mission(
        actor=actor_of(request),
        scheduled_id=selectors.find_scheduled(scheduled_mission_id),
        reason=payload.reason if payload else "",
    )
    return _reply(row)


@router.post(
    "/scheduled-missions/{scheduled_mission_id}/run",
    auth=KeyAuth("work:write"),
    response={201: MissionOut},
    operation_id="run_scheduled_mission",
    summary="Run a mission now",
)
def run_mission(
    request: HttpRequest, scheduled_mission_id: Id, payload: Why | None = None
) -> HttpResponse:
    """Outside its schedule, also while it is paused. 409 where the overlap policy or the day's
    limit forbids it."""
    row = mission_starts.run_now(
        actor=actor_of(request),
        scheduled_id=selectors.find_scheduled(scheduled_mission_id),
        reason=payload.reason if payload else "",
    )
    return reply(MissionOut, row, status=201, location=f"/missions/{row.id}")


@router.post(
    "/scheduled-missions/{scheduled_mission_id}/backfill",
    auth=KeyAuth("work:write"),
    response={201: BackfillOut},
    operation_id="backfill_scheduled_mission",
    summary="Run a mission for the past",
)
def backfill_mission(
    request: HttpRequest, scheduled_mission_id: Id, payload: Backfill
) -> HttpResponse:
    """For the times of its schedule in a range, up to 100: one after the other, oldest first,
    unless its runs may overlap. 422 where there are more; 409 while it is paused."""
    begun, existing = mission_starts.backfill(
        actor=actor_of(request),
        scheduled_id=selectors.find_scheduled(scheduled_mission_id),
        since=payload.since,
        until=payload.until,
    )
    return reply(BackfillOut, {"items": begun, "existing": existing}, status=201)


@router.get(
    "/scheduled-missions/{scheduled_mission_id}/history",
    auth=KeyAuth("work:read"),
    response=Page[RevisionOut],
    operation_id="list_scheduled_mission_history",
    summary="Read who changed a scheduled mission",
)
def list_mission_history(
    request: HttpRequest, scheduled_mission_id: Id, paging: PageQuery
) -> HttpResponse:
    """Newest first; by its full id also after it was deleted. Its runs are /missions."""
    named = selectors.id_of_slug(scheduled_mission_id)
    rows = history_of(ScheduledMission, str(named or scheduled_mission_id))
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
