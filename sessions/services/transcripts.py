"""What an import of transcripts writes beside events and messages: raw lines, totals, facts.

Not for reading files: memory/importers does that and calls this.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from django.db import transaction

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Erased
from contacts.models import Agent
from contacts.services import funnel, tombstones
from sessions.models import Project, RawLine, Session, Thread
from sessions.models.session import State
from sessions.services.digested import adopt_digested
from sessions.services.orphans import ORPHANED, revive
from sessions.services.projects import create_project
from sessions.services.sessions import create_session, create_sessions

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
    try:
        with transaction.atomic():
            return ensure_project_at(actor=actor, source="folder", path=path, title=title).id
    except Erased:
        # An import of what was erased by that name: its sessions come without the folder.
        return None


def ensure_transcript_sessions(
    *, actor: Actor, agent: Agent, source: str, wanted: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[Session, bool]]:
    """The sessions of transcripts by their external ids, locked, each with whether it is new.
    `wanted` has what a new one begins with."""
    adopt_digested(actor=actor, source=source, names=wanted.keys())
    rows = Session.objects.filter(source=source, external_id__any_of=wanted.keys()).order_by("pk")
    found = {row.external_id: (row, False) for row in rows.select_for_update(no_key=True)}
    missing = [
        {"source": source, "external_id": name, **fields}
        for name, fields in wanted.items()
        if name not in found
    ]
    if actor.channel == "import":
        made = create_sessions(actor=actor, agent=agent, wanted=missing)
        return found | {row.external_id: (row, True) for row in made}
    for session, _ in found.values():
        revive(actor=actor, session=session)
    for fields in missing:
        session, is_new = create_session(actor=actor, agent=agent, **fields)
        found[session.external_id] = (session, is_new)
    return found


def known_line_keys(batches: Mapping[uuid.UUID, Sequence[str]]) -> set[tuple[uuid.UUID, str]]:
    """Which lines each of these sessions has already. Index rawline_key_unique."""
    keys = {key for mine in batches.values() for key in mine}
    rows = RawLine.objects.filter(session_id__in=list(batches), line_key__any_of=keys)
    return set(rows.values_list("session_id", "line_key"))


def keep_raw_lines(*, actor: Actor, lines: Sequence[RawLine]) -> None:
    """Store lines as they stood in the file. They are made to be storable by the reader."""
    funnel.append(lines, actor=actor, checked=True)


def add_usage(usages: Sequence[tuple[Session, Collection[Mapping[str, int]]]]) -> None:
    """Add what messages used to their sessions' totals (telemetry). The sessions' locks are
    held."""
    funnel.touch_each(
        [
            (
                session,
                {
                    column: getattr(session, column) + sum(one.get(name, 0) for one in mine)
                    for name, column in USAGE_COLUMNS.items()
                },
            )
            for session, mine in usages
        ]
    )


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a session once its files are read.

    `fill` goes into fields that are still empty: what a person wrote over it stays.
    """

    session_id: uuid.UUID
    telemetry: Mapping[str, Any]
    fill: Mapping[str, Any]
    metadata: Mapping[str, Any]
    last_at: datetime | None
    ended: bool


def note_facts(*, actor: Actor, facts: Sequence[Facts]) -> None:
    """Write what is known of sessions. One that ended with its transcript and has grown since ends
    later, or is open again."""
    rows = Session.objects.filter(pk__in=[one.session_id for one in facts]).order_by("pk")
    sessions = {row.pk: row for row in rows.select_for_update(no_key=True)}
    known = [(sessions[one.session_id], one) for one in facts if one.session_id in sessions]
    funnel.update_many(
        [session for session, _ in known],
        {session.pk: _learned(session, one) for session, one in known},
        actor=actor,
        action="import",
    )
    differing = []
    for session, one in known:
        state = State.ENDED if session.ended_at is not None else State.IDLE
        told = {**one.telemetry, "current_state": state}.items()
        differing.append({k: v for k, v in told if v is not None and getattr(session, k) != v})
    # By the columns that are written.
    alike: dict[frozenset[str], list[tuple[Session, dict[str, Any]]]] = defaultdict(list)
    cleared = tombstones.without_terms(differing, actor=actor)
    for (session, _), values in zip(known, cleared, strict=True):
        if values:
            alike[frozenset(values)].append((session, values))
    for same in alike.values():
        funnel.touch_each(same)


def _learned(session: Session, facts: Facts) -> dict[str, Any]:
    fill = facts.fill.items()
    changes = {name: value for name, value in fill if value and not getattr(session, name)}
    merged = {**session.metadata, **facts.metadata}
    if merged != session.metadata:
        changes["metadata"] = merged
    by_transcript = session.ended_at is None or session.end_reason == END_REASON
    if session.end_reason == ORPHANED:
        # The silence that made it one was the time between two imports where it has grown since.
        heard, last_at = session.ended_at, facts.last_at
        by_transcript = last_at is not None and heard is not None and last_at > heard
    if by_transcript:
        changes["ended_at"] = facts.last_at if facts.ended else None
        changes["end_reason"] = END_REASON if facts.ended else ""
    return changes


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


def name_threads(*, actor: Actor, named: Mapping[uuid.UUID, tuple[str, uuid.UUID | None]]) -> None:
    """A better name or a parent for threads, once known; a name that a person gave stays."""
    rows = Thread.objects.filter(pk__in=list(named)).order_by("pk")
    threads: list[Thread] = []
    changes: dict[uuid.UUID, dict[str, Any]] = {}
    for thread in rows.select_for_update(no_key=True):
        name, parent_id = named[thread.pk]
        better: dict[str, Any] = {}
        given = thread.name not in ("", thread.metadata.get("imported_name"))
        if name and not given and thread.name != name:
            better = {"name": name, "metadata": {**thread.metadata, "imported_name": name}}
        if parent_id is not None and thread.parent_id is None:
            better["parent_id"] = parent_id
        if better:
            threads.append(thread)
            changes[thread.pk] = better
    funnel.update_many(threads, changes, actor=actor, action="import")
