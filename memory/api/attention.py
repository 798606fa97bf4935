"""GET /attention: what a person must look at now."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from contacts.api.auth import KeyAuth
from contacts.api.http import reply
from memory.schemas_attention import AttentionKind, AttentionOut
from memory.selectors_attention import MOST_PER_KIND, PER_KIND, needs_attention

router = Router(tags=["Attention"])
WAITING = "A memory that waits for review"


@router.get(
    "/attention",
    auth=KeyAuth("attention:read"),
    response=AttentionOut,
    operation_id="get_attention",
    summary="Read what needs a person",
)
def get_attention(
    request: HttpRequest,
    per_kind: Annotated[
        int, Query(ge=1, le=MOST_PER_KIND, description="At most as many of each kind")
    ] = PER_KIND,
) -> HttpResponse:
    """Open pings, clarifications, failed workers and missions, paused missions, sessions whose
    context is nearly full, orphans, memories in review (without their words). Most severe first,
    then longest waiting.
    """
    found = needs_attention(per_kind=per_kind)
    for item in found.items:
        if item.kind == AttentionKind.REVIEW:
            # To people, in the admin. Here it would tell agents what was kept from them.
            item.title = WAITING
    return reply(AttentionOut, found)
