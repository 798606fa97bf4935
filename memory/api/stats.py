"""How much there is, and how far the index is."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from contacts.api.auth import KeyAuth
from contacts.api.http import reply
from memory.schemas_stats import StatsOut
from memory.selectors import read_stats

router = Router(tags=["Stats"])


@router.get(
    "/stats",
    auth=KeyAuth("stats:read"),
    response=StatsOut,
    operation_id="get_stats",
    summary="Read counts and the state of the index",
)
def get_stats(request: HttpRequest) -> HttpResponse:
    """Of the whole workspace."""
    return reply(StatsOut, read_stats())
