"""What hooks and a transcript both tell of one session, told apart from what they tell twice.

Tool calls and results need nothing of this: both sides name their events by the call's id. Of a
prompt, a reply or a compaction whoever comes first writes it and the other finds it: by the
agent's own id where both have one, else by the text, in order. The stream's lock is held, so the
two never look past each other.
"""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from config.lib.recalled import without_recalled
from contacts.services import funnel
from memory.models import HookTrace
from memory.models.hooks import TraceKind
from sessions.models import Message, SessionEvent

# A turn's prompts and replies; further back nothing waits for its line any more.
MOST_OPEN = 1000


def digest_of(text: str) -> str:
    """Of what a person or the agent said, white space and recalled text aside."""
    said = " ".join(without_recalled(text).split())
    return hashlib.sha256(said.encode()).hexdigest() if said else ""


def _same(trace: HookTrace, native_id: str, digest: str) -> bool:
    if trace.native_id and native_id:
        return trace.native_id == native_id
    return trace.digest == digest


@dataclass(slots=True)
class OpenTraces:
    """What hooks told of a session and no line of its transcript has said yet."""

    session_id: uuid.UUID
    _rows: list[HookTrace] | None = field(default=None)

    def take(self, kind: TraceKind, *, native_id: str, text: str, line_key: str) -> bool:
        """Whether a hook told this before; then its trace has the line's key from now on."""
        if self._rows is None:
            rows = HookTrace.objects.filter(session_id=self.session_id, line_key="")
            self._rows = list(rows.order_by("id")[:MOST_OPEN])
        digest = digest_of(text)
        for trace in self._rows:
            if trace.kind == kind and _same(trace, native_id, digest):
                self._rows.remove(trace)
                funnel.touch(trace, line_key=line_key[:200])
                return True
        return False


def leave_trace(
    *, session_id: uuid.UUID, kind: TraceKind, native_id: str, text: str, line_key: str = ""
) -> None:
    """A hook told of this; `line_key` where the transcript did so before."""
    trace = HookTrace(
        session_id=session_id,
        kind=kind,
        native_id=native_id[:200],
        digest=digest_of(text),
        line_key=line_key[:200],
    )
    trace.save(force_insert=True)


def find_message(*, session_id: uuid.UUID, role: str, native_id: str, text: str) -> Message | None:
    """The transcript's message that says the same, and that no hook told of yet. Index
    message_session: one pass over the session's messages."""
    rows = Message.objects.filter(session_id=session_id, role=role).exclude(
        native_uuid__startswith="hook:"
    )
    rows = rows.exclude(native_uuid__in=_taken(session_id)).order_by("idx")
    found = rows.filter(metadata__prompt_id=native_id).first() if native_id else None
    if found is None:
        named = [None, "", native_id] if native_id else None
        for row in rows.filter(content=text)[:1]:
            if named is None or row.metadata.get("prompt_id") in named:
                found = row
    return found


def find_compaction(*, session_id: uuid.UUID) -> SessionEvent | None:
    """The transcript's oldest compaction that no hook told of yet. Index event_session_type."""
    rows = SessionEvent.objects.filter(session_id=session_id, event_type="compaction").exclude(
        dedupe_key__startswith="hook:"
    )
    return rows.exclude(dedupe_key__in=_taken(session_id)).order_by("seq").first()


def _taken(session_id: uuid.UUID) -> Sequence[str]:
    rows = HookTrace.objects.filter(session_id=session_id).exclude(line_key="")
    return list(rows.order_by("-id").values_list("line_key", flat=True)[:MOST_OPEN])
