"""Orphans: sessions that fell silent are ended, and revive when they speak.

Speaking is a beat, an event or a message of the session's own; an import is none, since it tells
of the past. Not for ends that somebody declared: those stay (see sessions.py).
"""

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict
from contacts.preferences import preferences
from contacts.services import funnel
from sessions.models import Session
from sessions.models.session import State

# The end_reason that says nobody declared this end.
ORPHANED = "orphaned"
BATCH = 100


def end_orphans(*, actor: Actor, limit: int = BATCH) -> int:
    """End up to `limit` sessions that gave no sign of life for the workspace's time; how many.

    They end when they were last heard of. One that another job, or the session itself, works on
    is left to the next run. Index session_active.
    """
    silent_since = clock.now() - preferences().orphan_after
    silent = (
        Session.objects.filter(ended_at=None, last_seen_at__lt=silent_since)
        .order_by("last_seen_at", "id")
        .select_for_update(skip_locked=True, no_key=True)
    )
    found = list(silent[:limit])
    for session in found:
        # One begun in the future, by a wrong clock, still ends after it began.
        end = {"ended_at": max(session.last_seen_at, session.started_at), "end_reason": ORPHANED}
        funnel.update(session, end, actor=actor, action="end", reason="no sign of life")
        funnel.touch(session, current_state=State.ENDED)
    return len(found)


def revive(*, actor: Actor, session: Session) -> bool:
    """Reopen an orphan, whose lock is held, because it spoke; whether it was one."""
    if session.ended_at is None or session.end_reason != ORPHANED:
        return False
    reopen(actor=actor, session=session, action="revive")
    return True


def reopen(*, actor: Actor, session: Session, action: str) -> None:
    """An ended session goes on. Its lock is held."""
    funnel.update(session, {"ended_at": None, "end_reason": ""}, actor=actor, action=action)
    seen = max(clock.now(), session.last_seen_at)
    funnel.touch(session, current_state=State.ACTIVE, last_seen_at=seen)


def require_live(*, actor: Actor, session: Session) -> None:
    """For what only a running session does: an orphan revives, any other end is a Conflict."""
    if session.ended_at is not None and not revive(actor=actor, session=session):
        raise Conflict("This session has ended.", code="session_ended")
