"""The lock of one session's hooks and transcript: whoever writes what either says holds it."""

from collections.abc import Collection

from contacts.services import tombstones
from memory.models import HookStream


def lock_stream(
    dialect: str, session_name: str, *, wait: bool, make: bool = True
) -> HookStream | None:
    """The stream of a session, locked; made where there is none, unless `make` is false. None where
    it is taken and `wait` is false. Index hookstream_unique."""
    rows = HookStream.objects.filter(dialect=dialect, session_name=session_name)
    locked = rows.select_for_update(no_key=True, skip_locked=not wait)
    found = locked.first()
    if found is None and make and not rows.exists():
        new = HookStream(dialect=dialect, session_name=session_name)
        HookStream.objects.bulk_create([new], ignore_conflicts=True)
        found = locked.first()
    return found


def lock_streams(dialect: str, session_names: Collection[str]) -> dict[str, HookStream]:
    """The streams of those sessions that have one, locked in one order. Index hookstream_unique."""
    rows = HookStream.objects.filter(dialect=dialect, session_name__in=list(session_names))
    locked = rows.order_by("session_name").select_for_update(no_key=True)
    return {row.session_name: row for row in locked}


def stream_mark(dialect: str, session_name: str) -> tuple[str, ...]:
    """What a session is known by to its hooks and its transcript, for its tombstone."""
    return ("stream", dialect, session_name)


def is_erased(dialect: str, session_name: str) -> bool:
    """Whether the session was erased: what is still sent of it is not kept."""
    return tombstones.are_buried(
        [
            stream_mark(dialect, session_name),
            ("native", "agent_sessions.session", "claude_session_id", session_name),
        ]
    )
