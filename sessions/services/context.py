"""Context warnings: each threshold a session passes is told to its conversation once."""

from config.lib.actor import Actor
from contacts.preferences import preferences
from contacts.services import funnel
from sessions.models import Session
from sessions.services.notifications import notify

CONTEXT_WARNING = "context_warning"


def warn_of_context(*, actor: Actor, session: Session) -> None:
    """Raise context_warning_level over the thresholds that context_used_percent has reached.

    The session's lock is held, so of two beats at once one warns; a level never falls, so a
    compaction and a second climb warn no more. Each threshold passed has its own notification
    (entity `{session}:{threshold}`), also where one beat passes several. An ended session and an
    import warn nobody.
    """
    percent, level = session.context_used_percent, session.context_warning_level
    if percent is None or percent <= level:
        return
    if session.ended_at is not None or actor.channel == "import":
        return
    passed = [t for t in preferences().context_thresholds if level < t <= percent]
    for threshold in passed:
        notify(
            actor=actor,
            conversation_id=session.conversation_id,
            notification_type=CONTEXT_WARNING,
            entity_id=f"{session.id}:{threshold}",
            payload={
                "session_id": str(session.id),
                "session_name": session.name,
                "threshold": threshold,
                "context_used_percent": percent,
            },
        )
    if passed:
        funnel.touch(session, context_warning_level=passed[-1])
