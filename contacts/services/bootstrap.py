"""The first start: a workspace, an admin and a first key, made once."""

import secrets
from dataclasses import dataclass

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import ApiKey, Membership, Workspace
from contacts.models.agent import AgentKind
from contacts.models.workspace import Role
from contacts.services.agents import create_agent
from contacts.services.keys import create_key
from contacts.services.workspaces import add_member, create_user, create_workspace

WORKSPACE, ADMIN, AGENT = "default", "admin", "claude-code"


@dataclass(frozen=True)
class FirstRun:
    """What is printed once. `admin_password` is None where the environment gave it."""

    workspace_slug: str
    admin_username: str
    admin_password: str | None
    agent_name: str
    api_key: str


def bootstrap_installation(admin_password: str | None = None) -> FirstRun | None:
    """Make the first workspace, admin, agent and key; None where a workspace exists already.

    Each step is its own transaction, so a start killed in the middle leaves a workspace without
    an admin: that is finished here too.
    """
    actor = Actor(kind="system", id="first-start", label="first start", channel="shell")
    workspace = Workspace.objects.filter(slug=WORKSPACE).first()
    if workspace is None:
        if Workspace.objects.exists():
            return None
        workspace = create_workspace(actor=actor, slug=WORKSPACE, name="Default")
    password = admin_password or secrets.token_urlsafe(12)
    with workspace_scope(workspace.id):
        # Rows tell whether it was done: settings are the callers' own to change.
        if Membership.objects.exists() or ApiKey.objects.exists():
            return None
        user = create_user(username=ADMIN, password=password, superuser=True)
        add_member(actor=actor, user=user, role=Role.OWNER)
        agent = create_agent(actor=actor, name=AGENT, kind=AgentKind.CLAUDE_CODE)
        _, token = create_key(actor=actor, agent=agent, name="first key")
    return FirstRun(
        workspace_slug=workspace.slug,
        admin_username=ADMIN,
        admin_password=None if admin_password else password,
        agent_name=AGENT,
        api_key=token,
    )
