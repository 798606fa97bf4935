"""Who the key is, and where."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from contacts.api.auth import KeyAuth
from contacts.api.http import principal_of, reply
from contacts.models import Workspace
from contacts.schemas import MeOut

router = Router(tags=["Me"])


@router.get("/me", auth=KeyAuth(None), response=MeOut, operation_id="get_me", summary="Who am I?")
def get_me(request: HttpRequest) -> HttpResponse:
    """The workspace, agent and scopes of the key you call with."""
    principal = principal_of(request)
    workspace = Workspace.objects.get(pk=principal.workspace_id)
    key = principal.key
    return reply(MeOut, {"workspace": workspace, "agent": key.agent, "key": key})
