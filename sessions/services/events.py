"""Events of a session: appended, numbered without gaps, never changed."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Invalid, NotFound
from config.lib.scope import current_workspace_id
from contacts.services import funnel
from sessions.models import Session, SessionEvent
from sessions.services.orphans import revive

MAX_BATCH = 1000
# Events that count as a failure in lists of sessions.
ERROR_TYPES = frozenset({"error", "error_encountered", "tool_error", "api_error"})
TOOL_TYPES = frozenset({"tool_use"})


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What a caller says of an event. Without `occurred_at` it happened now. `row` is what it
    becomes, where that is made already (`made`)."""

    event_type: str
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    occurred_at: datetime | None = None
    dedupe_key: str = ""
    row: SessionEvent | None = field(default=None, compare=False, repr=False)


# What an event is given where it is appended; all else of its row can be made before.
PLACED = frozenset({"session", "seq", "occurred_at"})
_OWN = frozenset(one.name for one in SessionEvent._meta.concrete_fields) - PLACED
_SESSION: Any = SessionEvent._meta.get_field("session")


def made(event: NewEvent, workspace_id: uuid.UUID) -> NewEvent:
    """The same with its row, checked but for its place. Touches no database. What cannot be stored
    comes as it is: whoever appends it is told why not."""
    row = _unplaced(event, workspace_id)
    try:
        funnel.check(row, only=_OWN)
    except Invalid:
        return event
    return replace(event, row=row)


def append_events(
    *, actor: Actor, session_id: uuid.UUID, events: Sequence[NewEvent]
) -> tuple[list[SessionEvent], list[SessionEvent]]:
    """Append up to 1,000 events, all or none; (in the order given, those of them that are new).

    The session's row is locked, so seq has no gaps whoever else appends. An event whose
    dedupe_key the session has already comes back as the row that is there. A session that has
    ended takes what arrives late; only an orphan is reopened by it.
    """
    if len(events) > MAX_BATCH:
        raise Invalid({"events": f"{len(events):,} events; at most {MAX_BATCH:,} in one batch"})
    return append_to_sessions(actor=actor, batches={session_id: events})[session_id]


def append_to_sessions(
    *, actor: Actor, batches: Mapping[uuid.UUID, Sequence[NewEvent]]
) -> dict[uuid.UUID, tuple[list[SessionEvent], list[SessionEvent]]]:
    """`append_events` for several sessions at once, all or none, by the session's id."""
    sessions = _locked(batches.keys())
    keys = [event.dedupe_key for events in batches.values() for event in events]
    known = _known(sessions.keys(), [key for key in keys if key])
    now = clock.now()
    done: dict[uuid.UUID, tuple[list[SessionEvent], list[SessionEvent]]] = {}
    every: list[SessionEvent] = []
    for session_id, events in batches.items():
        session = sessions[session_id]
        seq = session.event_count
        rows: list[SessionEvent] = []
        new: list[SessionEvent] = []
        for position, event in enumerate(events):
            row = known.get((session_id, event.dedupe_key)) if event.dedupe_key else None
            if row is None:
                seq += 1
                row = event.row or _unplaced(event, current_workspace_id())
                row.session_id, row.seq = session.pk, seq
                _SESSION.set_cached_value(row, session)
                row.occurred_at = event.occurred_at or now
                new.append(row)
                checked = PLACED if event.row is not None else None
                funnel.check(row, only=checked, prefix=f"events[{position}].")
                if event.dedupe_key:
                    known[session_id, event.dedupe_key] = row
            rows.append(row)
        every += new
        done[session_id] = (rows, new)
    if every:
        written = [sessions[session_id] for session_id, (_, new) in done.items() if new]
        if actor.channel != "import":
            for session in written:
                revive(actor=actor, session=session)
        funnel.append(every, actor=actor, checked=True)
        funnel.touch_each([(one, _counters(one, done[one.pk][1], now, actor)) for one in written])
    return done


def _unplaced(event: NewEvent, workspace_id: uuid.UUID) -> SessionEvent:
    return SessionEvent(
        workspace_id=workspace_id,
        event_type=event.event_type,
        text=event.text,
        data=dict(event.data),
        dedupe_key=event.dedupe_key,
    )


def is_failure(event: SessionEvent) -> bool:
    """Whether lists of sessions count it: an error, or a tool's result that says it failed."""
    return event.event_type in ERROR_TYPES or event.data.get("is_error") is True


def _locked(session_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Session]:
    """Each of them, in one order, so that whoever appends to the same ones takes turns. Or
    NotFound."""
    if len(session_ids) == 1:
        return {one: funnel.get_row(Session, one, lock=True) for one in session_ids}
    rows = Session.objects.filter(pk__in=list(session_ids)).order_by("pk")
    found = {row.pk: row for row in rows.select_for_update(no_key=True)}
    for session_id in session_ids:
        if session_id not in found:
            raise NotFound("session", session_id)
    return found


def _known(
    sessions: Collection[uuid.UUID], keys: Sequence[str]
) -> dict[tuple[uuid.UUID, str], SessionEvent]:
    """Index event_dedupe_unique."""
    if not keys:
        return {}
    rows = SessionEvent.objects.filter(session_id__in=list(sessions), dedupe_key__any_of=keys)
    return {(row.session_id, row.dedupe_key): row for row in rows}


def _counters(
    session: Session, new: Sequence[SessionEvent], now: datetime, actor: Actor
) -> dict[str, Any]:
    """What the new events add to the session's telemetry."""
    # An import is no sign of life: its events say themselves when they happened.
    seen = max(e.occurred_at for e in new) if actor.channel == "import" else now
    return {
        "event_count": session.event_count + len(new),
        "tool_count": session.tool_count + sum(e.event_type in TOOL_TYPES for e in new),
        "error_count": session.error_count + sum(is_failure(e) for e in new),
        "last_seen_at": max(session.last_seen_at, seen),
    }
