"""Legacy thread ids turned into threads: for sessions that only name one.

Not for importing what such a thread held; the importers do that, with the same system message,
and then there is nothing left to do here.
"""

import uuid
from dataclasses import dataclass

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from sessions.models import Session, Thread
from sessions.services.threads import NewMessage, append_messages, create_thread

BATCH = 200
# What a thread made over the API without a source has.
DEFAULT_SOURCE = "api"
# Begins the system message of such a thread, as the session manager's own migration writes it.
MIGRATED = "Thread migrated from legacy threadId: "


@dataclass(slots=True)
class Migrated:
    """`migrated` and `skipped` count sessions; `last` is the id the next batch goes on after."""

    migrated: int = 0
    skipped: int = 0
    last: uuid.UUID | None = None


def migrate_all(*, actor: Actor, workspace_id: uuid.UUID) -> Migrated:
    """All sessions of a workspace, a batch to a transaction. The caller is outside any scope.

    Can be run again at any time: what is migrated is skipped.
    """
    total = Migrated()
    while True:
        with workspace_scope(workspace_id):
            done = migrate_legacy_threads(actor=actor, after=total.last)
        total.migrated += done.migrated
        total.skipped += done.skipped
        if done.last is None:
            return total
        total.last = done.last


def migrate_legacy_threads(
    *, actor: Actor, after: uuid.UUID | None = None, limit: int = BATCH
) -> Migrated:
    """Give up to `limit` sessions with a legacy_thread_id, by id after `after`, their thread.

    It has the legacy id as its external_id and begins with a system message that names it. A
    session is skipped where a thread of that external_id is there: in the session, under the
    session's source, or under the API's own. `last` is None at the end. One pass over the
    workspace's sessions in the order of the primary key.
    """
    rows = Session.objects.exclude(legacy_thread_id="").order_by("id")
    if after is not None:
        rows = rows.filter(id__gt=after)
    # Two at once take turns: both lock the same sessions in the same order.
    sessions = list(rows.select_for_update(no_key=True)[:limit])
    done = Migrated(last=sessions[-1].id if len(sessions) == limit else None)
    for session in sessions:
        if _has_thread(session):
            done.skipped += 1
            continue
        _migrate(actor, session)
        done.migrated += 1
    return done


def _has_thread(session: Session) -> bool:
    """Indexes thread_session and thread_external_id_unique."""
    legacy = Thread.objects.filter(external_id=session.legacy_thread_id)
    if legacy.filter(session=session).exists():
        return True
    return legacy.filter(source__in=[session.source, DEFAULT_SOURCE]).exists()


def _migrate(actor: Actor, session: Session) -> None:
    thread = create_thread(
        actor=actor,
        session_id=session.id,
        name=session.name,
        source=session.source or DEFAULT_SOURCE,
        external_id=session.legacy_thread_id,
    )
    said = NewMessage(
        role="system",
        content=f"{MIGRATED}{session.legacy_thread_id}",
        occurred_at=session.started_at,
    )
    # The session does not say this: it is no sign of its life.
    append_messages(actor=actor, thread_id=thread.id, messages=[said], spoken=False)
