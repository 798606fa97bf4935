"""Threads and messages: made, appended in order, renamed, deleted."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid, NotFound
from config.lib.recalled import without_recalled
from config.lib.scope import current_workspace_id
from contacts.services import funnel
from sessions.models import Message, Session, Thread
from sessions.models.thread import OPENING
from sessions.services.orphans import revive

MAX_BATCH = 1000
EDITABLE = frozenset({"name", "status", "metadata"})


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What a caller says of a message.

    `idx`, where given, must be the thread's next: an agent that lost count is told so instead of
    writing into the wrong place. `row` is what it becomes, where that is made already (`made`).
    """

    role: str
    content: str = ""
    blocks: Sequence[Mapping[str, Any]] = ()
    idx: int | None = None
    native_uuid: str = ""
    native_parent_uuid: str = ""
    model: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    occurred_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    row: Message | None = field(default=None, compare=False, repr=False)


# What a message is given where it is appended; all else of its row can be made before.
PLACED = frozenset({"session", "thread", "idx", "occurred_at"})
_OWN = frozenset(one.name for one in Message._meta.concrete_fields) - PLACED
_SESSION: Any = Message._meta.get_field("session")


def made(message: NewMessage, workspace_id: uuid.UUID) -> NewMessage:
    """The same with its row, checked but for its place. Touches no database. What cannot be stored
    comes as it is: whoever appends it is told why not."""
    row = _unplaced(message, workspace_id)
    try:
        funnel.check(row, only=_OWN)
    except Invalid:
        return message
    return replace(message, row=row)


def create_thread(
    *,
    actor: Actor,
    session_id: uuid.UUID,
    name: str = "",
    parent_id: uuid.UUID | None = None,
    **fields: Any,
) -> Thread:
    """A new, empty thread of a session. A parent must be a thread of the same session."""
    session = funnel.get_row(Session, session_id)
    if parent_id is not None:
        parent = funnel.get_row(Thread, parent_id, what="parent thread")
        if parent.session_id != session.id:
            raise Invalid({"parent_id": "is a thread of another session"})
    if fields.get("external_id"):
        fields.setdefault("source", "api")
        taken = Thread.objects.filter(
            source=fields["source"], external_id=fields["external_id"]
        ).exists()
        if taken:
            raise Conflict(
                f"There is a thread {fields['external_id']!r} already.", code="external_id_taken"
            )
    thread = Thread(session=session, parent_id=parent_id, name=name, **fields)
    return funnel.create(thread, actor=actor)


def create_threads(*, actor: Actor, threads: Sequence[Thread]) -> None:
    """New, empty threads of an import, none of which is there, parents before their children."""
    for thread in threads:
        funnel.check(thread)
    funnel.create_many(threads, actor=actor)


def save_thread(
    *, actor: Actor, session_id: uuid.UUID, source: str = "", external_id: str = "", **fields: Any
) -> tuple[Thread, bool]:
    """A thread by its caller's own identity; (thread, whether it is new).

    With `external_id` (and `source`) set, the session's thread of that identity is returned as it
    is; Conflict where it is another session's.
    """
    if not external_id:
        thread = create_thread(actor=actor, session_id=session_id, source=source, **fields)
        return thread, True
    identity: dict[str, Any] = {"source": source or "api", "external_id": external_id}
    return funnel.once(
        lambda: Thread.objects.filter(session_id=session_id, **identity).first(),
        lambda: create_thread(actor=actor, session_id=session_id, **identity, **fields),
    )


def append_messages(
    *,
    actor: Actor,
    thread_id: uuid.UUID,
    messages: Sequence[NewMessage],
    spoken: bool = True,
) -> tuple[list[Message], list[Message]]:
    """Append up to 1,000 messages, all or none; (in the order given, those of them that are new).

    The thread's row is locked, so idx has no gaps whoever else appends. A message whose
    native_uuid the session has already comes back as the row that is there. `spoken` says that
    the session does so now, which is a sign of life and revives an orphan; an import, which tells
    of the past, is never one.
    """
    if len(messages) > MAX_BATCH:
        raise Invalid(
            {"messages": f"{len(messages):,} messages; at most {MAX_BATCH:,} in one batch"}
        )
    done = append_to_threads(actor=actor, batches={thread_id: messages}, spoken=spoken)
    return done[thread_id]


def append_to_threads(
    *,
    actor: Actor,
    batches: Mapping[uuid.UUID, Sequence[NewMessage]],
    spoken: bool = True,
) -> dict[uuid.UUID, tuple[list[Message], list[Message]]]:
    """`append_messages` for several threads at once, all or none, by the thread's id."""
    threads = _locked(list(batches))
    natives = [one.native_uuid for messages in batches.values() for one in messages]
    known = _known(threads.values(), [native for native in natives if native])
    now = clock.now()
    done: dict[uuid.UUID, tuple[list[Message], list[Message]]] = {}
    every: list[Message] = []
    for thread_id, messages in batches.items():
        thread = threads[thread_id]
        rows: list[Message] = []
        new: list[Message] = []
        for position, message in enumerate(messages):
            place = (thread.session_id, message.native_uuid)
            row = known.get(place) if message.native_uuid else None
            if row is None:
                idx = thread.message_count + len(new)
                if message.idx is not None and message.idx != idx:
                    raise Invalid(
                        {
                            f"messages[{position}].idx": f"is {message.idx}, but the thread's next "
                            f"message has idx {idx}; leave idx out to append wherever the end is"
                        }
                    )
                row = _row(thread, message, idx, now)
                new.append(row)
                checked = PLACED if message.row is not None else None
                funnel.check(row, only=checked, prefix=f"messages[{position}].")
                if message.native_uuid:
                    known[place] = row
            rows.append(row)
        every += new
        done[thread_id] = (rows, new)
    if every:
        funnel.append(every, actor=actor, checked=True)
        written = [(threads[thread_id], new) for thread_id, (_, new) in done.items() if new]
        _count(written, now, actor, spoken=spoken and actor.channel != "import")
    return done


# What an append reads of the two rows it locks.
_OF_THREAD = ("session", "message_count", "last_message_at", "opening")
_OF_SESSION = (
    "agent", "project", "message_count", "last_seen_at", "ended_at", "end_reason", "current_state",
    "prompt",
)  # fmt: skip
_READ = (*_OF_THREAD, *(f"session__{name}" for name in _OF_SESSION))


def _locked(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Thread]:
    """Threads and their sessions, all locked, with what an append needs of them. One query for one
    thread. Of several the threads are locked first, each in the order of its id, so that whoever
    appends to the same ones takes turns."""
    rows = Thread.objects.filter(pk__in=ids).order_by("pk")
    if len(ids) > 1:
        found = list(rows.only(*_OF_THREAD).select_for_update(no_key=True))
        inside = Session.objects.filter(pk__in={one.session_id for one in found}).order_by("pk")
        read = inside.only(*_OF_SESSION).select_for_update(no_key=True)
        # Threads of one session count in the same row.
        sessions = {session.pk: session for session in read}
        for thread in found:
            thread.session = sessions[thread.session_id]
    else:
        joined = rows.select_related("session").only(*_READ)
        found = list(joined.select_for_update(of=("self", "session"), no_key=True))
    threads = {thread.pk: thread for thread in found}
    for thread_id in ids:
        if thread_id not in threads:
            raise NotFound("thread", thread_id)
    return threads


def _row(thread: Thread, message: NewMessage, idx: int, now: datetime) -> Message:
    row = message.row or _unplaced(message, current_workspace_id())
    row.session_id, row.thread_id, row.idx = thread.session_id, thread.pk, idx
    _SESSION.set_cached_value(row, thread.session)
    row.occurred_at = message.occurred_at or now
    return row


def _unplaced(message: NewMessage, workspace_id: uuid.UUID) -> Message:
    return Message(
        workspace_id=workspace_id,
        role=message.role,
        content=message.content,
        blocks=[dict(block) for block in message.blocks],
        native_uuid=message.native_uuid,
        native_parent_uuid=message.native_parent_uuid,
        model=message.model,
        usage=dict(message.usage),
        metadata=dict(message.metadata),
    )


def _known(
    threads: Collection[Thread], uuids: Sequence[str]
) -> dict[tuple[uuid.UUID, str], Message]:
    """Index message_native_uuid_unique."""
    if not uuids:
        return {}
    inside = {thread.session_id for thread in threads}
    rows = Message.objects.filter(session_id__in=inside, native_uuid__any_of=uuids)
    return {(row.session_id, row.native_uuid): row for row in rows}


def _count(
    written: Sequence[tuple[Thread, Sequence[Message]]],
    now: datetime,
    actor: Actor,
    *,
    spoken: bool,
) -> None:
    """Telemetry of threads and their sessions, whose locks are held: a statement for each model."""
    counted: list[tuple[Thread, dict[str, Any]]] = []
    by_session: dict[uuid.UUID, list[tuple[Thread, Sequence[Message]]]] = defaultdict(list)
    openings: dict[uuid.UUID, str] = {}
    for thread, new in written:
        last = _last(new)
        # The first user message that says anything; the list of sessions shows it too.
        said = (without_recalled(m.content) for m in new if m.role == "user")
        asked = openings[thread.pk] = next((text for text in said if text.strip()), "")
        telemetry = {
            "message_count": thread.message_count + len(new),
            "last_message_at": max(last, thread.last_message_at or last),
            "opening": thread.opening or asked[:OPENING],
        }
        counted.append((thread, telemetry))
        by_session[thread.session_id].append((thread, new))
    funnel.touch_each(counted)
    sessions: list[tuple[Session, dict[str, Any]]] = []
    for inside in by_session.values():
        session = inside[0][0].session
        if spoken:
            revive(actor=actor, session=session)
        seen = now if spoken else max(_last(new) for _, new in inside)
        changes: dict[str, Any] = {
            "message_count": session.message_count + sum(len(new) for _, new in inside),
            "last_seen_at": max(session.last_seen_at, seen),
            "prompt": session.prompt,
            "current_state": session.current_state,
        }
        # An import knows better: the first line may be a command or put in by the program.
        if not session.prompt and actor.channel != "import":
            opened = [openings[one.pk] for one, _ in inside]
            asked = next(filter(None, opened), "")
            changes["prompt"] = asked[:2000]
        if spoken and session.ended_at is None and session.current_state == "idle":
            changes["current_state"] = "active"
        sessions.append((session, changes))
    funnel.touch_each(sessions)


def _last(messages: Sequence[Message]) -> datetime:
    return max(message.occurred_at for message in messages)


def update_thread(
    *,
    actor: Actor,
    thread_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> Thread:
    """Rename, close or reopen a thread."""
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on a thread"))
    thread = funnel.get_row(Thread, thread_id, lock=True)
    return funnel.update(
        thread, changes, actor=actor, expected_version=expected_version, reason=reason
    )


def delete_thread(
    *, actor: Actor, thread_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> int:
    """Remove a thread with all its messages; returns how many there were."""
    thread = funnel.get_row(Thread, thread_id, lock=True)
    count = thread.message_count
    funnel.delete(
        thread,
        actor=actor,
        expected_version=expected_version,
        reason=reason,
        note={"message_count": count},
    )
    session = funnel.get_row(Session, thread.session_id, lock=True)
    funnel.touch(session, message_count=max(0, session.message_count - count))
    return count
