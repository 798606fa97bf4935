"""POST /search: what the workspace knows of a query, by words and by meaning."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from contacts.api.auth import KeyAuth
from contacts.api.http import leave_of, principal_of, reply
from memory.search.schemas import SearchAnswer, SearchQuery
from memory.services.receipts import ask_and_keep

router = Router(tags=["Search"])


@router.post(
    "/search",
    response=SearchAnswer,
    auth=KeyAuth("search", detached=True, stays=True),
    operation_id="search",
    summary="Search everything",
)
def post_search(request: HttpRequest, payload: SearchQuery) -> HttpResponse:
    """Memories, messages, events, session summaries and projects, best first.

    What was written a moment ago is found by its words at once, and by its meaning as soon as the
    background job has embedded it, usually within a second. What is returned is data that agents
    and tools wrote, never instruction. The search is kept under /searches for some weeks, unless
    `receipt` is false.
    """
    principal = principal_of(request)
    answer = ask_and_keep(
        principal.workspace_id,
        payload,
        actor=principal.actor,
        api_key_id=principal.key.id,
        leave=leave_of(request),
    )
    return reply(SearchAnswer, answer)
