"""What a session is summarised from, read from its rows: all of it, or a sample of a huge one.

Numbers without gaps (seq, idx) make an even sample by key, without reading what is left out. At
most some 900 rows of some kilobytes are read, whatever the session holds. What tools printed is
left out: it is long, of others' making, and retold by the agent. Secrets are taken out once more:
not every way in does so, and a summary may be made elsewhere.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

from django.db.models import Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Left, Length, NullIf, Right

from config.lib.recalled import ends_without_recalled, without_recalled
from config.lib.redact import redact_text
from memory.services.sources import EXTERNAL_EVENTS
from memory.summaries.base import Material, Said
from sessions.models import Message, Session, SessionEvent, Thread
from sessions.models.session import Outcome
from sessions.models.thread import MessageRole

MOST_EVENTS = 300
MOST_MESSAGES = 400
# A session of a thousand subagents is summarised from the longest threads of its first ones.
MOST_THREADS, LISTED_THREADS = 20, 500
LEAST_OF_THREAD = 8
# The first messages say what was wanted, the last ones what came of it.
FIRST, LAST = 3, 12
# A long text is read from both ends: what is found stands at its end as often as at its start.
MOST_CHARACTERS = 4_000
HALF = MOST_CHARACTERS // 2
MOST_DATA_CHARACTERS = 1_000

# Types that say more than most; the last ones of each are read whatever the sample holds.
TELLING_TYPES = (
    "decision_made", "decision", "task_created", "task_updated", "task_completed",
    "error_encountered", "error", "pattern_identified", "context_shared", "outcome", "next_step",
)  # fmt: skip
LAST_OF_TYPE = 20
# Of these a single word says how the agent's program was begun or left, such as "startup".
LIFE_TYPES = ("session_start", "session_end")
# Where events without a text say what they are about.
TELLING_KEYS = (
    "decision", "title", "summary", "message", "description", "pattern", "error", "content",
    "outcome", "next_step", "text", "name",
)  # fmt: skip


def read_material(session: Session) -> Material:
    """What `session` is summarised from. In a scope."""
    said = sorted(
        chain(_events(session), _messages(session)), key=lambda one: (one[0].at, one[1], one[2])
    )
    return Material(
        name=session.name,
        prompt=redact_text(without_recalled(session.prompt[:MOST_CHARACTERS])),
        outcome="" if session.outcome == Outcome.UNKNOWN else session.outcome,
        said=[one for one, _, _ in said],
        total=session.event_count + session.message_count,
    )


def spread(first: int, count: int, most: int) -> list[int]:
    """Up to `most` of the numbers from `first`, evenly, both ends among them."""
    if count <= most:
        return list(range(first, first + count))
    if most == 1:
        return [first]
    return [first + step * (count - 1) // (most - 1) for step in range(most)]


Ranked = tuple[Said, int, int]


def _events(session: Session) -> Iterable[Ranked]:
    """Indexes event_seq_unique and, for the telling ones, event_session_type."""
    rows = SessionEvent.objects.filter(session_id=session.pk)
    wanted = set(spread(1, session.event_count, MOST_EVENTS))
    if session.event_count > MOST_EVENTS:
        wanted |= set(range(max(1, session.event_count - LAST), session.event_count + 1))
        for event_type in TELLING_TYPES:
            last = rows.filter(event_type=event_type).order_by("-seq")
            wanted |= set(last.values_list("seq", flat=True)[:LAST_OF_TYPE])
    about_it = [
        NullIf(Left(KeyTextTransform(key, "data"), MOST_DATA_CHARACTERS), Value(""))
        for key in TELLING_KEYS
    ]
    found = rows.filter(seq__in=sorted(wanted)).values_list(
        "seq",
        "event_type",
        "occurred_at",
        *_both_ends("text"),
        Left(KeyTextTransform("task_id", "data"), 64),
        Left(KeyTextTransform("to", "data"), 20),
        KeyTextTransform("message_uuid", "data"),
        Coalesce(*about_it, Value("")),
    )
    for seq, event_type, at, head, tail, length, task_id, to, message, about in found:
        # The message itself says it; and what came back from a tool is nobody's word here, as a
        # tool's message is not.
        if message or event_type in EXTERNAL_EVENTS:
            continue
        text = _own(head, tail, length)
        text = text if text.strip() else redact_text(without_recalled(about))
        if event_type in LIFE_TYPES and len(text.split()) < 2:
            continue
        if text.strip():
            said = Said(at, "event", text, event_type, task_id or "", to or "")
            yield said, 0, seq


def _messages(session: Session) -> Iterable[Ranked]:
    """Indexes thread_session and message_idx_unique."""
    listed = Thread.objects.filter(session_id=session.pk, message_count__gt=0)
    threads = list(
        listed.order_by("created_at", "id").values_list("id", "message_count")[:LISTED_THREADS]
    )
    threads.sort(key=lambda one: -one[1])
    threads = threads[:MOST_THREADS]
    total = sum(count for _, count in threads)
    for number, (thread_id, count) in enumerate(threads):
        share = max(LEAST_OF_THREAD, MOST_MESSAGES * count // total)
        # Many are a tool's; half of what is asked for is often left.
        wanted = set(spread(0, count, 2 * share))
        wanted |= set(range(min(FIRST, count))) | set(range(max(0, count - LAST), count))
        rows = Message.objects.filter(thread_id=thread_id, idx__in=sorted(wanted))
        spoken = rows.filter(role__in=(MessageRole.USER, MessageRole.ASSISTANT)).exclude(content="")
        found = list(
            spoken.order_by("idx").values_list("idx", "role", "occurred_at", *_both_ends("content"))
        )
        kept = spread(0, len(found), share)
        for idx, role, at, head, tail, length in (found[place] for place in kept):
            text = _own(head, tail, length)
            if text.strip():
                yield Said(at, role, text), number + 1, idx


def _both_ends(column: str) -> tuple[Any, Any, Any]:
    return Left(column, MOST_CHARACTERS), Right(column, HALF), Length(column)


def _own(head: str, tail: str, length: int) -> str:
    """What is left of a text without recalled text and secrets."""
    whole = length <= MOST_CHARACTERS
    return redact_text(
        without_recalled(head) if whole else ends_without_recalled(head[:HALF], tail)
    )
