"""Sessions: begun, beating, changed, ended, resumed.

A session without a heartbeat is ended by orphans.py. What a session holds (events, threads) is
written by the modules of those names.
"""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from contacts.models import Agent
from contacts.preferences import preferences
from contacts.services import funnel
from contacts.services.agents import mark_seen
from sessions.models import Project, Session, Thread
from sessions.models.session import TELEMETRY, State
from sessions.services.context import warn_of_context
from sessions.services.orphans import ORPHANED, reopen, require_live, revive
from sessions.services.projects import ensure_project

# What a caller may set on creation and change afterwards, beside telemetry.
EDITABLE = frozenset(
    {
        "name", "role", "mode", "conversation_id", "claude_session_id", "repo_root", "host",
        "tmux_window", "tmux_pane", "prompt", "context", "outcome", "summary", "summary_data",
        "metadata", "project_id", "parent_id",
    }
)  # fmt: skip
ON_CREATION = EDITABLE | TELEMETRY | {"source", "external_id", "started_at", "legacy_thread_id"}


CHIEF = "chief"
# Subagents of subagents; each level is a query.
MOST_PARENTS = 100


def new_conversation_id(role: str, at: datetime) -> str:
    """`chief-YYYY-MM-DD`, the day of `at` in the workspace's time zone: one for a chief's day.

    Any other role has `{role}-{8 random hex digits}`; its sessions after a context reset are given
    the first one's.
    """
    if role == CHIEF:
        return f"{CHIEF}-{at.astimezone(preferences().timezone):%Y-%m-%d}"
    # A slash would end its address.
    return f"{role.replace('/', '-') or 'session'}-{secrets.token_hex(4)}"


def create_session(
    *, actor: Actor, agent: Agent, project: str | uuid.UUID | None = None, **fields: Any
) -> tuple[Session, bool]:
    """Begin a session; (session, whether it is new).

    With `external_id` (and `source`) set, a session of that identity is returned as it is instead
    of made again, so that an agent that starts twice has one session; an orphan revives. `project`
    is an id, or a title that is looked up or made. Without a `conversation_id` it is given one.
    """
    unknown = fields.keys() - ON_CREATION
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be set on a session"))
    if fields.get("external_id"):
        fields.setdefault("source", "api")
        found = Session.objects.filter(
            source=fields["source"], external_id=fields["external_id"]
        ).first()
        if found is not None:
            if found.end_reason == ORPHANED and actor.channel != "import":
                found = funnel.get_row(Session, found.id, lock=True)
                revive(actor=actor, session=found)
            return found, False
    now = clock.now()
    session = funnel.create(_new(actor, agent, project, fields, now), actor=actor)
    warn_of_context(actor=actor, session=session)
    if actor.channel != "import":
        mark_seen(agent, at=now)
    return session, True


def create_sessions(
    *, actor: Actor, agent: Agent, wanted: Sequence[Mapping[str, Any]]
) -> list[Session]:
    """`create_session` for many that an import tells of and that are not there: one statement."""
    now = clock.now()
    rows = [_new(actor, agent, None, dict(fields), now) for fields in wanted]
    for row in rows:
        funnel.check(row)
    funnel.create_many(rows, actor=actor)
    return rows


def _new(
    actor: Actor,
    agent: Agent,
    project: str | uuid.UUID | None,
    fields: dict[str, Any],
    now: datetime,
) -> Session:
    _resolve_links(actor, fields, project)
    fields.setdefault("started_at", now)
    _check_conversation(fields)
    fields["conversation_id"] = fields.get("conversation_id") or new_conversation_id(
        fields.get("role", ""), fields["started_at"]
    )
    # One begun in the future, by a wrong clock, has not been seen there.
    fields["last_seen_at"] = min(now, fields.get("last_seen_at") or fields["started_at"])
    if fields.get("current_state") == State.ENDED:
        raise Invalid({"current_state": "a session is ended by POST sessions/{id}/end"})
    return Session(agent=agent, **fields)


def _check_conversation(fields: Mapping[str, Any]) -> None:
    """A conversation's id is a part of its address, where a slash would end it."""
    if "/" in (fields.get("conversation_id") or ""):
        raise Invalid({"conversation_id": "must not hold a slash"})


def _resolve_links(actor: Actor, fields: dict[str, Any], project: str | uuid.UUID | None) -> None:
    """Ids become rows of this workspace, or NotFound."""
    if isinstance(project, uuid.UUID):
        fields["project_id"] = funnel.get_row(Project, project).id
    elif project:
        fields["project_id"] = ensure_project(actor=actor, title=project).id
    if fields.get("parent_id"):
        funnel.get_row(Session, fields["parent_id"], what="parent session")


def update_session(
    *,
    actor: Actor,
    session_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> Session:
    """Change a session. Telemetry fields among `changes` raise no version."""
    changes = dict(changes)
    unknown = changes.keys() - EDITABLE - TELEMETRY
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on a session"))
    session = funnel.get_row(Session, session_id, lock=True)
    _check_conversation(changes)
    if changes.get("project_id"):
        funnel.get_row(Project, changes["project_id"])
    if changes.get("parent_id"):
        _check_parent(session, changes["parent_id"])
    telemetry = {name: changes.pop(name) for name in list(changes) if name in TELEMETRY}
    if telemetry.get("current_state") == State.ENDED:
        raise Invalid({"current_state": "a session is ended by POST sessions/{id}/end"})
    if "current_state" in telemetry and session.ended_at is not None:
        raise Conflict("This session has ended.", code="session_ended")
    session = funnel.update(
        session, changes, actor=actor, expected_version=expected_version, reason=reason
    )
    if telemetry:
        funnel.touch(session, **telemetry)
        warn_of_context(actor=actor, session=session)
    return session


def _check_parent(session: Session, parent_id: uuid.UUID) -> None:
    """A parent of this workspace that is not below the session itself."""
    above: uuid.UUID | None = parent_id
    for _ in range(MOST_PARENTS):
        if above is None:
            return
        if above == session.id:
            raise Invalid({"parent_id": "is the session itself or one below it"})
        above = funnel.get_row(Session, above, what="parent session").parent_id
    raise Invalid({"parent_id": f"has {MOST_PARENTS} sessions above it; no more are kept"})


def beat(
    *,
    actor: Actor,
    session_id: uuid.UUID,
    current_state: str | None = None,
    status_text: str | None = None,
    context_used_percent: float | None = None,
    at: datetime | None = None,
) -> Session:
    """A sign of life, with what the agent says of itself. Telemetry: no version, no Revision.

    An orphan revives; Conflict when the session has ended otherwise. A beat from the past never
    turns last_seen_at back. Thresholds of the context that it passes are told once.
    """
    session = funnel.get_row(Session, session_id, lock=True)
    require_live(actor=actor, session=session)
    if context_used_percent is not None and not 0 <= context_used_percent <= 100:
        raise Invalid({"context_used_percent": "must be from 0 to 100"})
    if current_state == State.ENDED:
        raise Invalid({"current_state": "a session is ended by POST sessions/{id}/end"})
    now = at or clock.now()
    telemetry: dict[str, Any] = {"last_seen_at": max(now, session.last_seen_at)}
    given = {
        "current_state": current_state,
        "status_text": status_text,
        "context_used_percent": context_used_percent,
    }
    telemetry |= {name: value for name, value in given.items() if value is not None}
    funnel.touch(session, **telemetry)
    warn_of_context(actor=actor, session=session)
    mark_seen(session.agent, at=now)
    return session


def end_session(
    *,
    actor: Actor,
    session_id: uuid.UUID,
    reason: str = "exit",
    outcome: str | None = None,
    summary: str | None = None,
    ended_at: datetime | None = None,
) -> Session:
    """End a session. Ending twice changes nothing: the first ended_at and reason stay.

    What an orphan says of its end itself is better than our guess: its reason, outcome and
    summary are taken; its ended_at stays too.
    """
    session = funnel.get_row(Session, session_id, lock=True)
    if session.ended_at is not None and session.end_reason != ORPHANED:
        return session
    end = session.ended_at or ended_at or clock.now()
    changes: dict[str, Any] = {"ended_at": end, "end_reason": reason}
    if outcome is not None:
        changes["outcome"] = outcome
    if summary is not None:
        changes["summary"] = summary
    funnel.update(session, changes, actor=actor, action="end")
    funnel.touch(session, current_state=State.ENDED)
    return session


def resume_session(*, actor: Actor, session_id: uuid.UUID) -> Session:
    """Go on with a session that has ended, whyever; one that runs is returned as it is."""
    session = funnel.get_row(Session, session_id, lock=True)
    if session.ended_at is not None:
        reopen(actor=actor, session=session, action="resume")
        mark_seen(session.agent)
    return session


def delete_session(
    *, actor: Actor, session_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> None:
    """Remove a session with its events, threads and messages. Memories stay, without the link."""
    # Threads before their session, as an append locks them: two orders would deadlock.
    list(Thread.objects.filter(session_id=session_id).order_by("id").select_for_update())
    session = funnel.get_row(Session, session_id, lock=True)
    funnel.delete(session, actor=actor, expected_version=expected_version, reason=reason)
