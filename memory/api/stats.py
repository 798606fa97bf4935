"""How much there is, and how far the index is."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from contacts.api.auth import KeyAuth
from contacts.api.http import reply
from memory.schemas_stats import DaysOut, StatsOut
from memory.stats import read_days, read_stats

router = Router(tags=["Stats"])
MAX_DAYS = 366


@router.get(
    "/stats",
    auth=KeyAuth("stats:read"),
    response=StatsOut,
    operation_id="get_stats",
    summary="Read counts and the state of the index",
)
def get_stats(request: HttpRequest) -> HttpResponse:
    """Of the whole workspace. Large tables are counted by a job; `kept` says when."""
    return reply(StatsOut, read_stats())


@router.get(
    "/stats/days",
    auth=KeyAuth("stats:read"),
    response=DaysOut,
    operation_id="get_stats_days",
    summary="Read counts day by day",
)
def get_stats_days(
    request: HttpRequest,
    days: Annotated[int, Query(ge=1, le=MAX_DAYS, description="How many, today included")] = 30,
) -> HttpResponse:
    """Sessions, events, messages and memories of each of the last days."""
    return reply(DaysOut, read_days(days))
