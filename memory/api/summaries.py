"""POST sessions/{id}/summarize."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from config.lib.scope import workspace_scope
from contacts.api.auth import KeyAuth
from contacts.api.http import GATEWAY, Id, principal_of, reply
from memory.services.summaries import summarize_session
from sessions.schemas import SessionOut
from sessions.selectors import get_session

router = Router(tags=["Sessions"])


@router.post(
    "/sessions/{session_id}/summarize",
    # Detached: no connection is held while a model thinks.
    auth=KeyAuth("sessions:write", detached=True),
    response=SessionOut,
    operation_id="summarize_session",
    summary="Summarise a session",
    openapi_extra=GATEWAY,
)
def post_summarize(request: HttpRequest, session_id: Id) -> HttpResponse:
    """Writes `summary` and `summary_data`, over what is there; the history keeps that.

    By choosing among the session's own sentences, or by a language model where one is configured.
    502 where its answer is of no use, 503 with Retry-After where it is down or busy; the session
    is then as it was. 409 where nothing was said yet, or where the summary was changed meanwhile.
    """
    principal = principal_of(request)
    row_id = summarize_session(
        workspace_id=principal.workspace_id, actor=principal.actor, session=session_id
    )
    with workspace_scope(principal.workspace_id):
        return reply(SessionOut, get_session(str(row_id)))
