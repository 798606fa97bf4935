"""The workspace of the key, and inviting people into it."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from contacts.api.auth import KeyAuth
from contacts.api.edge import keep_instead
from contacts.api.http import actor_of, principal_of, reply, to_json
from contacts.models import Workspace
from contacts.schemas import InvitationCreated, InvitationIn, WorkspaceOut, WorkspacePatch
from contacts.services.workspaces import invite_person, update_workspace

router = Router(tags=["Workspace"])


@router.get(
    "/workspace",
    auth=KeyAuth(None),
    response=WorkspaceOut,
    operation_id="get_workspace",
    summary="Read the workspace",
)
def get_workspace(request: HttpRequest) -> HttpResponse:
    """The one workspace this key opens."""
    return reply(WorkspaceOut, Workspace.objects.get(pk=principal_of(request).workspace_id))


@router.patch(
    "/workspace",
    auth=KeyAuth("workspace:write"),
    response=WorkspaceOut,
    operation_id="update_workspace",
    summary="Change the workspace",
)
def patch_workspace(request: HttpRequest, payload: WorkspacePatch) -> HttpResponse:
    """Rename it or merge into its settings. Needs no If-Match: settings merge key by key."""
    return reply(WorkspaceOut, update_workspace(actor=actor_of(request), **payload.sent()))


@router.post(
    "/invitations",
    auth=KeyAuth("workspace:write"),
    response={201: InvitationCreated},
    operation_id="create_invitation",
    summary="Invite a person",
)
def create_invitation(request: HttpRequest, payload: InvitationIn) -> HttpResponse:
    """A link that lets one person set a password and join, once, for seven days."""
    invitation, secret = invite_person(
        actor=actor_of(request), email=payload.email, role=payload.role
    )
    answer = InvitationCreated(
        id=invitation.id,
        email=invitation.email,
        role=payload.role,
        expires_at=invitation.expires_at,
        created_at=invitation.created_at,
        link=request.build_absolute_uri(f"/invite/{secret}"),
    )
    response = reply(InvitationCreated, answer, status=201)
    keep_instead(response, to_json(InvitationCreated, answer.model_copy(update={"link": None})))
    return response
