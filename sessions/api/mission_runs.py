"""Missions as executions: list, read, cancel."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id
from config.lib.schema import Input, Moment, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import Id, Page, PageQuery, actor_of, reply, reply_page
from contacts.schemas import RevisionOut
from contacts.selectors import history_of
from sessions import selectors_missions as selectors
from sessions.models import Mission
from sessions.models.mission import MissionStatus, Trigger
from sessions.schemas_missions import MissionOut
from sessions.schemas_workers import Why
from sessions.services import mission_runs

router = Router(tags=["Missions"])
ORDER = ["-scheduled_for", "-id"]


class MissionQuery(Input):
    """How a list of runs is narrowed."""

    scheduled_mission: Text | None = Field(None, max_length=120, description="Its slug or id")
    status: MissionStatus | None = None
    trigger: Trigger | None = None
    since: Moment | None = Field(None, description="Scheduled for then or later")
    until: Moment | None = Field(None, description="Scheduled for before")

    def wanted(self) -> selectors.RunFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        named = self.scheduled_mission
        return {
            "scheduled_mission_id": None if named is None else selectors.find_scheduled(named),
            "status": self.status,
            "trigger": self.trigger,
            "since": self.since,
            "until": self.until,
        }


@router.get(
    "/missions",
    auth=KeyAuth("work:read"),
    response=Page[MissionOut],
    operation_id="list_missions",
    summary="List missions that ran, run or wait",
)
def list_runs(
    request: HttpRequest, paging: PageQuery, filters: Annotated[MissionQuery, Query()]
) -> HttpResponse:
    """The latest first, by when they were scheduled for. `status=running` are those at work now."""
    rows = selectors.list_runs(filters.wanted())
    return reply_page(MissionOut, page(rows, order=ORDER, **paging.model_dump()))


@router.get(
    "/missions/{mission_id}",
    auth=KeyAuth("work:read"),
    response=MissionOut,
    operation_id="get_mission",
    summary="Read a mission",
)
def get_run(request: HttpRequest, mission_id: Id) -> HttpResponse:
    """One run with what came of it. Its output and report are its worker's."""
    return reply(MissionOut, selectors.get_run(mission_id))


@router.post(
    "/missions/{mission_id}/cancel",
    auth=KeyAuth("work:write"),
    response=MissionOut,
    operation_id="cancel_mission",
    summary="Cancel a mission",
)
def cancel_run(request: HttpRequest, mission_id: Id, payload: Why | None = None) -> HttpResponse:
    """At once where it waits; where it runs, its runner is told and ends it. Cancelling twice
    changes nothing; 409 when it has ended otherwise."""
    row = mission_runs.cancel_run(
        actor=actor_of(request),
        mission_id=find_id(Mission, mission_id, check=False),
        reason=payload.reason if payload else "",
    )
    return reply(MissionOut, row)


@router.get(
    "/missions/{mission_id}/history",
    auth=KeyAuth("work:read"),
    response=Page[RevisionOut],
    operation_id="list_mission_history",
    summary="Read what changed a mission",
)
def list_run_history(request: HttpRequest, mission_id: Id, paging: PageQuery) -> HttpResponse:
    """Newest first."""
    rows = history_of(Mission, mission_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
