"""What an import of transcripts writes beside events and messages: raw lines, totals, facts.

Not for reading files: memory/importers does that and calls this.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from contacts.models import Agent
from contacts.services import funnel
from sessions.models import Project, RawLine, Session, Thread
from sessions.models.session import State
from sessions.services.orphans import ORPHANED
from sessions.services.projects import create_project
from sessions.services.sessions import create_session

# The counters of a message's usage, and the session's column each one is summed in.
USAGE_COLUMNS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_creation_input_tokens": "cache_creation_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
}
# Why an imported session counts as ended; one that goes on in a later import is open again.
END_REASON = "transcript_end"


def ensure_project_at(*, actor: Actor, source: str, path: str, title: str) -> Project:
    """The project of a folder on some machine, made if there is none."""
    path = path[:300]
    project, _ = funnel.once(
        lambda: Project.objects.filter(source=source, external_id=path).first(),
        lambda: create_project(actor=actor, title=title[:300], source=source, external_id=path),
    )
    return project


def ensure_project_of_folder(*, actor: Actor, path: str) -> uuid.UUID | None:
    """The id of a folder's project, named as the folder is; None without a folder."""
    if not path:
        return None
    pure: PurePath = PureWindowsPath(path) if "\\" in path else PurePosixPath(path)
    title = pure.name or path
    return ensure_project_at(actor=actor, source="folder", path=path, title=title).id


def ensure_transcript_session(
    *, actor: Actor, agent: Agent, source: str, external_id: str, **fields: Any
) -> tuple[Session, bool]:
    """The session of a transcript, locked; (session, whether it is new)."""
    session, is_new = create_session(
        actor=actor, agent=agent, source=source, external_id=external_id, **fields
    )
    if not is_new:
        session = funnel.get_row(Session, session.id, lock=True)
    return session, is_new


def known_line_keys(*, session_id: uuid.UUID, keys: Sequence[str]) -> set[str]:
    """Which of these lines the session has already. Index rawline_key_unique."""
    rows = RawLine.objects.filter(session_id=session_id, line_key__any_of=keys)
    return set(rows.values_list("line_key", flat=True))


def keep_raw_lines(*, actor: Actor, lines: Sequence[RawLine]) -> None:
    """Store lines as they stood in the file. They are made to be storable by the reader."""
    funnel.append(lines, actor=actor, checked=True)


def add_usage(*, session: Session, usages: Collection[Mapping[str, int]]) -> None:
    """Add what messages used to the session's totals (telemetry). The session's lock is held."""
    sums = {
        column: sum(usage.get(name, 0) for usage in usages)
        for name, column in USAGE_COLUMNS.items()
    }
    changes = {c: getattr(session, c) + added for c, added in sums.items() if added}
    if changes:
        funnel.touch(session, **changes)


def note_facts(
    *,
    actor: Actor,
    session_id: uuid.UUID,
    telemetry: Mapping[str, Any],
    fill: Mapping[str, Any],
    metadata: Mapping[str, Any],
    last_at: datetime | None,
    ended: bool,
) -> Session:
    """What is known of a session once its files are read.

    `fill` goes into fields that are still empty: what a person wrote over it stays. A session
    that ended with its transcript and has grown since ends later, or is open again.
    """
    session = funnel.get_row(Session, session_id, lock=True)
    changes = {name: value for name, value in fill.items() if value and not getattr(session, name)}
    merged = {**session.metadata, **metadata}
    if merged != session.metadata:
        changes["metadata"] = merged
    by_transcript = session.ended_at is None or session.end_reason == END_REASON
    if session.end_reason == ORPHANED:
        # The silence that made it one was the time between two imports where it has grown since.
        heard = session.ended_at
        by_transcript = last_at is not None and heard is not None and last_at > heard
    if by_transcript:
        changes["ended_at"] = last_at if ended else None
        changes["end_reason"] = END_REASON if ended else ""
    funnel.update(session, changes, actor=actor, action="import")
    state = State.ENDED if session.ended_at is not None else State.IDLE
    differing = {
        name: value
        for name, value in {**telemetry, "current_state": state}.items()
        if value is not None and getattr(session, name) != value
    }
    if differing:
        funnel.touch(session, **differing)
    return session


def note_upload(
    *,
    actor: Actor,
    session_id: uuid.UUID,
    telemetry: Mapping[str, Any],
    fill: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> Session:
    """What a piece of a transcript tells of a session that goes on: as `note_facts`, but nothing
    about its end and its state, and no sign of life from a clock ahead of ours."""
    session = funnel.get_row(Session, session_id, lock=True)
    changes = {name: value for name, value in fill.items() if value and not getattr(session, name)}
    merged = {**session.metadata, **metadata}
    if merged != session.metadata:
        changes["metadata"] = merged
    funnel.update(session, changes, actor=actor, action="import")
    differing = {
        name: value
        for name, value in {
            **telemetry,
            "last_seen_at": min(session.last_seen_at, clock.now()),
        }.items()
        if value is not None and getattr(session, name) != value
    }
    if differing:
        funnel.touch(session, **differing)
    return session


def name_thread(*, actor: Actor, thread: Thread, name: str, parent_id: uuid.UUID | None) -> None:
    """A better name or a parent, once known; a name that a person gave stays."""
    changes: dict[str, Any] = {}
    if name and thread.name in ("", thread.metadata.get("imported_name")) and thread.name != name:
        changes = {"name": name, "metadata": {**thread.metadata, "imported_name": name}}
    if parent_id is not None and thread.parent_id is None:
        changes["parent_id"] = parent_id
    if changes:
        funnel.update(thread, changes, actor=actor, action="import")
