"""Agents: made by name, and seen again by name."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from contacts.models import Agent
from contacts.models.agent import AgentKind, AgentStatus
from contacts.services import funnel

# Writing "seen now" on each call would make calls of one agent queue on its row.
SEEN_EVERY = timedelta(minutes=1)
EDITABLE = frozenset({"name", "kind", "capabilities", "metadata"})


def create_agent(
    *,
    actor: Actor,
    name: str,
    kind: str = AgentKind.CUSTOM,
    capabilities: Sequence[str] = (),
    metadata: dict[str, Any] | None = None,
) -> Agent:
    """A new agent. Conflict when the name is taken."""
    if Agent.objects.filter(name=name).exists():
        raise Conflict(f"There is an agent named {name!r} already.", code="name_taken")
    agent = Agent(name=name, kind=kind, capabilities=list(capabilities), metadata=metadata or {})
    return funnel.create(agent, actor=actor)


def ensure_agent(*, actor: Actor, name: str, kind: str = AgentKind.CUSTOM) -> Agent:
    """The agent of this name, made if there is none."""
    agent, _ = funnel.once(
        lambda: Agent.objects.filter(name=name).first(),
        lambda: create_agent(actor=actor, name=name, kind=kind),
    )
    return agent


def update_agent(
    *,
    actor: Actor,
    agent_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> Agent:
    """Change what an agent is called or can do. Conflict when the new name is taken."""
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on an agent"))
    agent = funnel.get_row(Agent, agent_id, lock=True)
    name = changes.get("name", agent.name)
    if Agent.objects.filter(name=name).exclude(pk=agent.pk).exists():
        raise Conflict(f"There is an agent named {name!r} already.", code="name_taken")
    return funnel.update(
        agent, changes, actor=actor, expected_version=expected_version, reason=reason
    )


def mark_seen(agent: Agent, *, at: datetime | None = None) -> None:
    """Telemetry: the agent gave a sign of life."""
    at = at or clock.now()
    stale = agent.last_seen_at is None or at - agent.last_seen_at >= SEEN_EVERY
    if stale or agent.status != AgentStatus.ACTIVE:
        funnel.touch(agent, last_seen_at=at, status=AgentStatus.ACTIVE)
