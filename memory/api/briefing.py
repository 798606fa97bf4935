"""GET /briefing: what an agent should know before it begins."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from contacts.api.auth import KeyAuth, check_scope
from contacts.api.http import OR_MARKDOWN, principal_of, reply
from memory.schemas_briefing import Briefing, BriefingQuery
from memory.services.briefing import brief

router = Router(tags=["Search"])


@router.get(
    "/briefing",
    response=Briefing,
    auth=KeyAuth(None, detached=True),
    operation_id="get_briefing",
    summary="Read what an agent should know before it begins",
    openapi_extra=OR_MARKDOWN,
)
def get_briefing(request: HttpRequest, asked: Annotated[BriefingQuery, Query()]) -> HttpResponse:
    """What hooks tell an agent at its start, for one that asks: notifications of the conversation,
    what the last sessions left, handoffs, standing memories, open tasks, the day's priorities, and
    what a search finds, within `max_tokens`. What the key may not read is left out, and
    `missing_scopes` names it. Nothing is marked as read by it.
    """
    principal = principal_of(request)
    if asked.session is not None:
        check_scope(principal.key, "sessions:read")
    briefing = brief(principal.workspace_id, asked, key=principal.key, actor=principal.actor)
    if asked.format == "markdown":
        return HttpResponse(briefing.text, content_type="text/markdown; charset=utf-8")
    return reply(Briefing, briefing)
