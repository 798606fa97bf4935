"""Handoffs: one session leaves its work to the next of its conversation, or to another agent.

pending -> accepted -> completed, or failed; pending -> rejected, or failed. Any other step is a
Conflict. Not for spawning work; that is what workers are for.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from contacts.models import Agent
from contacts.services import funnel
from sessions.models import Handoff, Session
from sessions.models.attention import HandoffStatus
from sessions.services.notifications import notify
from sessions.services.orphans import require_live

HANDOFF = "handoff"
ON_CREATION = frozenset({"role", "mode", "reason", "metadata", "source", "external_id"})
# From which status a handoff may come to each.
_BEFORE = {
    HandoffStatus.ACCEPTED: {HandoffStatus.PENDING},
    HandoffStatus.REJECTED: {HandoffStatus.PENDING},
    HandoffStatus.COMPLETED: {HandoffStatus.ACCEPTED},
    HandoffStatus.FAILED: {HandoffStatus.PENDING, HandoffStatus.ACCEPTED},
}


def create_handoff(
    *,
    actor: Actor,
    from_session_id: uuid.UUID,
    content: str,
    to_agent_id: uuid.UUID | None = None,
    **fields: Any,
) -> tuple[Handoff, bool]:
    """Leave work to an agent, to a role, or (with neither) to the session's own role.

    The session's conversation is notified of it. (handoff, whether it is new): with `external_id`
    (and `source`) set, a handoff of that identity comes back as it is.
    """
    unknown = fields.keys() - ON_CREATION
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be set on a handoff"))
    if fields.get("external_id"):
        fields["source"] = fields.get("source") or "api"
        found = Handoff.objects.filter(
            source=fields["source"], external_id=fields["external_id"]
        ).first()
        if found is not None:
            return found, False
    session = funnel.get_row(Session, from_session_id)
    if to_agent_id is not None:
        funnel.get_row(Agent, to_agent_id)
    elif not fields.get("role"):
        fields["role"] = session.role
    handoff = Handoff(
        from_session=session,
        to_agent_id=to_agent_id,
        conversation_id=session.conversation_id,
        content=content,
        **fields,
    )
    funnel.create(handoff, actor=actor)
    notify(
        actor=actor,
        conversation_id=handoff.conversation_id,
        notification_type=HANDOFF,
        entity_id=handoff.id,
        payload={
            "handoff_id": str(handoff.id),
            "from_session_id": str(session.id),
            "to_agent_id": str(to_agent_id) if to_agent_id else None,
            "role": handoff.role,
            "reason": handoff.reason,
        },
    )
    return handoff, True


def accept_handoff(*, actor: Actor, handoff_id: uuid.UUID, session_id: uuid.UUID) -> Handoff:
    """A session takes the work over, and goes on in the conversation it was left in.

    Conflict when the handoff is for another agent or role, or is no longer pending, or the
    session has ended.
    """
    # Sessions before what hangs on them, as deleting one locks them.
    session = funnel.get_row(Session, session_id, lock=True)
    handoff = funnel.get_row(Handoff, handoff_id, lock=True)
    _check_step(handoff, HandoffStatus.ACCEPTED)
    if handoff.from_session_id == session.id:
        raise Invalid({"session_id": "is the session that hands its work over"})
    if handoff.to_agent_id is not None and handoff.to_agent_id != session.agent_id:
        raise Conflict("This handoff is for another agent.", code="for_another_agent")
    if handoff.role and handoff.role != session.role:
        raise Conflict(
            f"This handoff is for a session of role {handoff.role!r}.", code="for_another_role"
        )
    require_live(actor=actor, session=session)
    if handoff.conversation_id:
        joined = {"conversation_id": handoff.conversation_id}
        funnel.update(session, joined, actor=actor, action="join")
    changes = {"status": HandoffStatus.ACCEPTED, "to_session_id": session.id}
    return funnel.update(handoff, changes, actor=actor, action="accept")


def complete_handoff(*, actor: Actor, handoff_id: uuid.UUID) -> Handoff:
    """The work that was taken over is done."""
    return _settle(actor, handoff_id, HandoffStatus.COMPLETED, "complete", {})


def reject_handoff(*, actor: Actor, handoff_id: uuid.UUID, error: str = "") -> Handoff:
    """Nobody will take it; `error` says why."""
    return _settle(actor, handoff_id, HandoffStatus.REJECTED, "reject", {"error": error})


def fail_handoff(*, actor: Actor, handoff_id: uuid.UUID, error: str = "") -> Handoff:
    """It came to nothing, before or after it was accepted; `error` says why."""
    return _settle(actor, handoff_id, HandoffStatus.FAILED, "fail", {"error": error})


def may_become(handoff: Handoff, status: HandoffStatus) -> bool:
    """Whether the step is one of those above."""
    return handoff.status in _BEFORE[status]


def _settle(
    actor: Actor,
    handoff_id: uuid.UUID,
    status: HandoffStatus,
    action: str,
    changes: Mapping[str, Any],
) -> Handoff:
    handoff = funnel.get_row(Handoff, handoff_id, lock=True)
    _check_step(handoff, status)
    settled = {"status": status, "settled_at": clock.now(), **changes}
    return funnel.update(handoff, settled, actor=actor, action=action)


def _check_step(handoff: Handoff, status: HandoffStatus) -> None:
    if not may_become(handoff, status):
        raise Conflict(
            f"This handoff is {handoff.status}; it cannot become {status.value}.",
            code="wrong_status",
        )
