"""Plain functions that make rows the way production does: through services."""

import uuid
from pathlib import Path
from typing import Any

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import Agent, ApiKey, Workspace
from contacts.services.agents import ensure_agent
from contacts.services.keys import create_key
from contacts.services.workspaces import create_workspace
from memory.models import Memory
from memory.services.memories import NewMemory, create_memory
from sessions.models import Session, Thread
from sessions.services.sessions import create_session
from sessions.services.threads import create_thread

# Of no row.
NOBODYS_ID = "01990000-0000-7000-8000-00000000abcd"
ALICE = Actor(kind="user", id="1", label="alice", channel="admin")
ROOT = Path(__file__).resolve().parent.parent


def make_workspace(slug: str) -> Workspace:
    return create_workspace(actor=ALICE, slug=slug)


def make_agent(name: str = "claude-code", actor: Actor = ALICE) -> Agent:
    return ensure_agent(actor=actor, name=name)


def make_session(actor: Actor = ALICE, agent: Agent | None = None, **fields: Any) -> Session:
    session, _ = create_session(actor=actor, agent=agent or make_agent(), **fields)
    return session


def make_thread(session: Session | None = None, **fields: Any) -> Thread:
    session = session or make_session()
    return create_thread(actor=ALICE, session_id=session.id, **fields)


def make_memory(text: str = "The seedlings need water at noon.", **fields: Any) -> Memory:
    memory, _ = create_memory(actor=ALICE, new=NewMemory(text=text, fields=fields))
    return memory


def make_key(workspace: Workspace, agent: str = "claude-code", **fields: Any) -> tuple[ApiKey, str]:
    """A key and its token. Outside a scope: it opens its own."""
    with workspace_scope(workspace.id):
        return create_key(actor=ALICE, agent=make_agent(agent), **fields)


def bearer(token: str) -> dict[str, str]:
    """Headers for Django's test client."""
    return {"authorization": f"Bearer {token}"}


def nowhere() -> uuid.UUID:
    """An id no row has."""
    return uuid.UUID("01990000-0000-7000-8000-000000000000")
