"""Pings: an agent asks a person; a person sees, acknowledges, answers or settles it.

Each time is set once. An expired ping is one past `expires_at`: nothing is written for it, and
nothing but deleting is done to it any more.
"""

import uuid
from datetime import datetime
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from contacts.services import funnel
from sessions.models import Ping, Session
from sessions.models.attention import PingState, Severity
from sessions.services import ping_deliveries
from sessions.services.notifications import notify

MAX_OPTIONS = 20
# What the conversation is told of the question, beside the answer.
QUOTED = 500


def create_ping(
    *,
    actor: Actor,
    message: str,
    severity: str = Severity.NORMAL,
    options: list[str] | None = None,
    session_id: uuid.UUID | None = None,
    conversation_id: str = "",
    expires_at: datetime | None = None,
    source: str = "",
    external_id: str = "",
    metadata: dict[str, Any] | None = None,
) -> tuple[Ping, bool]:
    """Ask; (ping, whether it is new). Channels of its severity get it after the commit.

    With `external_id` (and `source`) set, a ping of that identity is returned as it is instead of
    made again. Without a conversation the session's own is told of the answer. What an import
    brings was asked long ago, and goes nowhere.
    """
    if external_id:
        source = source or "api"
        found = Ping.objects.filter(source=source, external_id=external_id).first()
        if found is not None:
            return found, False
    if session_id is not None:
        session = funnel.get_row(Session, session_id)
        conversation_id = conversation_id or session.conversation_id
    imported = actor.channel == "import"
    _check(options or [], expires_at, imported=imported)
    ping = Ping(
        agent_id=actor.agent_id,
        session_id=session_id,
        conversation_id=conversation_id,
        message=message,
        severity=severity,
        options=options or [],
        expires_at=expires_at,
        source=source,
        external_id=external_id,
        metadata=metadata or {},
    )
    funnel.create(ping, actor=actor)
    if not imported:
        ping_deliveries.plan(ping, actor=actor)
    return ping, True


def _check(options: list[str], expires_at: datetime | None, *, imported: bool) -> None:
    if len(options) > MAX_OPTIONS:
        raise Invalid({"options": f"are {len(options)}; at most {MAX_OPTIONS} are offered"})
    for index, option in enumerate(options):
        if not option.strip():
            raise Invalid({f"options[{index}]": "must not be empty"})
        if option in options[:index]:
            raise Invalid({f"options[{index}]": "is there twice"})
    if expires_at is not None and expires_at <= clock.now() and not imported:
        raise Invalid({"expires_at": "lies in the past"})


def mark_ping_seen(*, ping_id: uuid.UUID) -> Ping:
    """Somebody opened it. Telemetry; the first time stays, and a settled ping is left as it is."""
    ping = funnel.get_row(Ping, ping_id, lock=True)
    if ping.seen_at is None and ping.resolved_at is None:
        funnel.touch(ping, seen_at=clock.now())
    return ping


def acknowledge_ping(*, actor: Actor, ping_id: uuid.UUID, reason: str = "") -> Ping:
    """A person knows of it. Conflict where that is so already, or it is resolved or expired."""
    ping = funnel.get_row(Ping, ping_id, lock=True)
    _still_open(ping)
    if ping.acknowledged_at is not None:
        raise Conflict("This ping is acknowledged already.", code="already_acknowledged")
    now = clock.now()
    _seen(ping, now)
    return funnel.update(
        ping, {"acknowledged_at": now}, actor=actor, action="acknowledge", reason=reason
    )


def answer_ping(*, actor: Actor, ping_id: uuid.UUID, answer: str, reason: str = "") -> Ping:
    """Answer with one of its options or in other words; that resolves it.

    The ping's conversation is notified (`ping_answered`), so that whichever session goes on with
    it hears. Conflict where it is resolved or expired.
    """
    if not answer.strip():
        raise Invalid({"answer": "must not be empty"})
    ping = funnel.get_row(Ping, ping_id, lock=True)
    _still_open(ping)
    now = clock.now()
    _seen(ping, now)
    changes = {"answer": answer, "answered_by": actor.label[:200], "resolved_at": now}
    funnel.update(ping, changes, actor=actor, action="answer", reason=reason)
    notify(
        actor=actor,
        conversation_id=ping.conversation_id,
        notification_type="ping_answered",
        entity_id=ping.id,
        payload={
            "ping_id": str(ping.id),
            "message": ping.message[:QUOTED],
            "answer": ping.answer,
            "answered_by": ping.answered_by,
        },
    )
    return ping


def resolve_ping(*, actor: Actor, ping_id: uuid.UUID, reason: str = "") -> Ping:
    """Settle it without an answer. Conflict where it is resolved or expired."""
    ping = funnel.get_row(Ping, ping_id, lock=True)
    _still_open(ping)
    now = clock.now()
    _seen(ping, now)
    return funnel.update(ping, {"resolved_at": now}, actor=actor, action="resolve", reason=reason)


def delete_ping(
    *, actor: Actor, ping_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> None:
    """Remove a ping and its delivery log."""
    ping = funnel.get_row(Ping, ping_id, lock=True)
    funnel.delete(ping, actor=actor, expected_version=expected_version, reason=reason)


def _still_open(ping: Ping) -> None:
    state = ping.state
    if state is PingState.RESOLVED:
        raise Conflict("This ping is resolved already.", code="ping_resolved")
    if state is PingState.EXPIRED:
        raise Conflict("This ping has expired.", code="ping_expired")


def _seen(ping: Ping, now: datetime) -> None:
    """Whoever decides on it has seen it."""
    if ping.seen_at is None:
        funnel.touch(ping, seen_at=now)
