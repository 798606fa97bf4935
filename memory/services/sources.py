"""What each kind of row says of itself to the search index: its passages, not yet written.

Not for writing them (passages.py) or cutting texts (chunks.py).
"""

import contextlib
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import chain
from typing import Any, TypedDict

from config.lib.ids import new_id
from config.lib.recalled import without_recalled
from contacts.models import Contact, ContactEmail, ContactPhone, ContactTag
from contacts.services.addresses import Labelled, spellings
from memory.models import Memory
from memory.models.memory import MemoryState, Trust
from memory.models.passage import EXPIRED, Lane, PassageKind
from memory.search.metadata import searchable
from memory.search.words import count_words, lexical_text
from memory.services.chunks import chunk_text
from sessions.models import Message, Project, Session, SessionEvent, Task
from sessions.models.thread import MessageRole

# What a tool printed may come from anywhere; what was said in the session was said by its parties.
EXTERNAL_ROLES = frozenset({MessageRole.TOOL})
# What came back from a tool: a page, a file, a program of somebody's.
EXTERNAL_EVENTS = frozenset({"tool_result", "tool_output", "web_fetch", "web_search"})


class NewPassage(TypedDict):
    """A passage as it is inserted: the columns of the table but the source's, which is `of`.

    A plain dict, since imports make millions: a dataclass takes ten times as long to copy.
    """

    of: uuid.UUID
    kind: str
    text: str
    occurred_at: datetime
    recorded_at: datetime | None
    metadata: Mapping[str, Any]
    chunk: int
    lexical: str
    token_count: int
    asks: bool
    memory_kind: str
    tags: Sequence[str]
    session_id: uuid.UUID | None
    thread_id: uuid.UUID | None
    idx: int | None
    agent_id: uuid.UUID | None
    project_id: uuid.UUID | None
    trust: str
    state: str
    valid_from: datetime | None
    valid_to: datetime | None
    superseded_at: datetime | None
    expires_at: datetime | None
    lane: int
    space_id: uuid.UUID | None
    embedding: str | None
    second_space_id: uuid.UUID | None
    second_embedding: str | None
    id: uuid.UUID


# What not all of them say. Each chunk is given an id of its own.
BLANK: NewPassage = {
    "of": uuid.UUID(int=0),
    "kind": "",
    "text": "",
    "occurred_at": datetime.min.replace(tzinfo=UTC),
    "recorded_at": None,
    "metadata": {},
    "chunk": 0,
    "lexical": "",
    "token_count": 0,
    "asks": False,
    "memory_kind": "",
    "tags": [],
    "session_id": None,
    "thread_id": None,
    "idx": None,
    "agent_id": None,
    "project_id": None,
    "trust": Trust.AGENT.value,
    "state": MemoryState.ACTIVE.value,
    "valid_from": None,
    "valid_to": None,
    "superseded_at": None,
    "expires_at": None,
    "lane": Lane.INTERACTIVE.value,
    "space_id": None,
    "embedding": None,
    "second_space_id": None,
    "second_embedding": None,
    "id": uuid.UUID(int=0),
}


# Of one chunk: its text, the text as the text index reads it, and the words of that.
Chunk = tuple[str, str, int]
# Of texts with the words that are found beside them.
Cut = dict[tuple[str, str], list[Chunk]]
_cut_before: ContextVar[Cut | None] = ContextVar("cut_before", default=None)


@contextlib.contextmanager
def cut_before(cut: Cut) -> Iterator[None]:
    """Take the chunks of texts from `cut`, which another thread made, where they are in it."""
    token = _cut_before.set(cut)
    try:
        yield
    finally:
        _cut_before.reset(token)


def cut_text(text: str, extra_words: str = "") -> list[Chunk]:
    """The chunks of a text; `extra_words` are found with the first one. Touches no database."""
    chunks = []
    for number, chunk in enumerate(chunk_text(text)):
        lexical = lexical_text(f"{chunk}\n{extra_words}" if extra_words and not number else chunk)
        chunks.append((chunk, lexical, count_words(lexical)))
    return chunks


def _chunks(first: NewPassage, extra_words: str = "") -> list[NewPassage]:
    """`first` as often as its text has chunks. `extra_words` are found with the first chunk."""
    chunks = (_cut_before.get() or {}).get((first["text"], extra_words))
    if chunks is None:
        chunks = cut_text(first["text"], extra_words)
    return [
        {
            **first,
            "id": new_id(),
            "chunk": number,
            "text": text,
            "lexical": lexical,
            "token_count": words,
            "asks": text.endswith("?"),
        }
        for number, (text, lexical, words) in enumerate(chunks)
    ]


def said_by(row: Any) -> tuple[str, str]:
    """What a memory, session, project or task says by itself, and the words that are found beside
    its beginning; nothing of other rows. Touches no database."""
    if isinstance(row, Memory):
        return row.text, " ".join(row.tags)
    if isinstance(row, Session):
        return _together(*_session_parts(row)), ""
    if isinstance(row, Project):
        return _together(row.title, row.description, row.repo_url), ""
    if isinstance(row, Task):
        return _together(row.title, row.feature, row.description), row.assignee
    return "", ""


def _together(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part.strip())


def of_memories(rows: Sequence[Memory], lane: Lane) -> list[NewPassage]:
    passages: list[NewPassage] = []
    for row in rows:
        # An erased memory's words and vector go with it; the other states are filtered by search.
        if row.state == MemoryState.ERASED:
            continue
        text, tags = said_by(row)
        first: NewPassage = {
            **BLANK,
            "of": row.id,
            "kind": PassageKind.MEMORY.value,
            "text": text,
            "occurred_at": row.recorded_at,
            "metadata": searchable(row.metadata),
            "memory_kind": row.kind,
            "tags": list(row.tags),
            "session_id": row.session_id,
            "agent_id": row.agent_id,
            "project_id": row.project_id,
            "trust": row.trust,
            "state": searched_state(row),
            "valid_from": row.valid_from,
            "valid_to": row.valid_to,
            "superseded_at": _superseded_at(row),
            "expires_at": row.expires_at,
            "lane": lane.value,
        }
        passages += _chunks(first, tags)
    return passages


def searched_state(memory: Memory) -> str:
    """As searches filter by it: what has expired is told from what somebody put into the archive,
    for until then it was in use."""
    return EXPIRED if memory.expired_at is not None else memory.state


def _superseded_at(memory: Memory) -> datetime | None:
    """When another memory took its place: since then it no longer counts as known."""
    if memory.state != MemoryState.SUPERSEDED:
        return None
    if memory.superseded_at is not None:
        return memory.superseded_at
    by = memory.superseded_by
    return by.recorded_at if by is not None else memory.updated_at


def of_sessions(rows: Sequence[Session], lane: Lane) -> list[NewPassage]:
    passages: list[NewPassage] = []
    for row in rows:
        text, words = said_by(row)
        first: NewPassage = {
            **BLANK,
            "of": row.id,
            "kind": PassageKind.SUMMARY.value,
            "text": text,
            "occurred_at": row.started_at,
            "recorded_at": _told_at(row),
            "metadata": searchable(row.metadata),
            "session_id": row.id,
            "agent_id": row.agent_id,
            "project_id": row.project_id,
            "lane": lane.value,
        }
        passages += _chunks(first, words)
    return passages


def _told_at(session: Session) -> datetime:
    """When all that a session says of itself was known: what sums it up, not before its end."""
    if not (session.summary or session.summary_data):
        return session.created_at
    return max(session.created_at, session.ended_at or session.updated_at)


# More of a prompt than this is read in the thread's first message.
PROMPT_CHARACTERS = 2000


def _session_parts(session: Session) -> Iterable[str]:
    """Its name, what it was asked (unless its first message says so), and its summary."""
    yield session.name
    if not session.message_count:
        yield session.prompt[:PROMPT_CHARACTERS]
    yield session.summary
    data = session.summary_data if isinstance(session.summary_data, Mapping) else {}
    for items in data.values():
        if isinstance(items, list):
            yield "\n".join(item for item in items if isinstance(item, str))


def of_projects(rows: Sequence[Project], lane: Lane) -> list[NewPassage]:
    passages: list[NewPassage] = []
    for row in rows:
        text, words = said_by(row)
        first: NewPassage = {
            **BLANK,
            "of": row.id,
            "kind": PassageKind.PROJECT.value,
            "text": text,
            "occurred_at": row.created_at,
            "metadata": searchable(row.metadata),
            "project_id": row.id,
            "lane": lane.value,
        }
        passages += _chunks(first, words)
    return passages


def of_tasks(rows: Sequence[Task], lane: Lane) -> list[NewPassage]:
    passages: list[NewPassage] = []
    for row in rows:
        text, assignee = said_by(row)
        first: NewPassage = {
            **BLANK,
            "of": row.id,
            "kind": PassageKind.TASK.value,
            "text": text,
            "occurred_at": row.created_at,
            "metadata": searchable(row.metadata),
            "project_id": row.project_id,
            "lane": lane.value,
        }
        passages += _chunks(first, assignee)
    return passages


def of_contacts(rows: Sequence[Contact], lane: Lane) -> list[NewPassage]:
    """A contact that was merged into another says nothing of its own any more."""
    passages: list[NewPassage] = []
    addresses = _addresses(rows)
    for row in rows:
        if row.merged_into_id is not None:
            continue
        about = (row.name, row.role, row.company, row.location, row.relationship)
        parts = (", ".join(p for p in about if p.strip()), row.description, row.notes)
        found = addresses.get(row.id, {})
        tags = found.get("tag", [])
        first: NewPassage = {
            **BLANK,
            "of": row.id,
            "kind": PassageKind.CONTACT.value,
            "text": "\n\n".join(part for part in parts if part.strip()),
            "occurred_at": row.created_at,
            "metadata": searchable(row.metadata),
            "tags": tags,
            "lane": lane.value,
        }
        passages += _chunks(first, " ".join([*found.get("words", []), *tags]))
    return passages


def _addresses(rows: Sequence[Contact]) -> dict[uuid.UUID, dict[str, list[str]]]:
    """contact -> its emails and numbers as words, and its tags. Three queries for any number, or
    none where they are being made.

    A number is found however it is typed: with its plus, as digits, and as it is dialled at home.
    """
    found: dict[uuid.UUID, dict[str, list[str]]] = defaultdict(dict)
    asked = [row.id for row in rows if row.parts_made is None]
    for name, model, column in (
        ("emails", ContactEmail, "email"),
        ("phones", ContactPhone, "number"),
        ("tags", ContactTag, "tag__name"),
    ):
        made = ((row.id, value) for row in rows for value in _made(row, name))
        there: Iterable[tuple[uuid.UUID, str]] = ()
        if asked:
            held = model.objects.filter(contact_id__in=asked).order_by("id")
            there = held.values_list("contact_id", column)
        for contact, value in chain(made, there):
            if name == "tags":
                found[contact].setdefault("tag", []).append(value)
            else:
                words = spellings(value) if name == "phones" else [value]
                found[contact].setdefault("words", []).extend(words)
    return found


def _made(contact: Contact, name: str) -> Iterable[str]:
    """Of one that is being made, without labels."""
    given: Sequence[str] = (contact.parts_made or {}).get(name, ())
    return given if name == "tags" else (Labelled.read(one).value for one in given)


def of_messages(rows: Sequence[Message], lane: Lane) -> list[NewPassage]:
    sessions = _sessions_of(rows)
    passages: list[NewPassage] = []
    for row in rows:
        agent_id, project_id = sessions[row.session_id]
        first: NewPassage = {
            **BLANK,
            "of": row.id,
            "kind": PassageKind.MESSAGE.value,
            "text": without_recalled(row.content),
            "occurred_at": row.occurred_at,
            "recorded_at": row.created_at,
            "metadata": searchable(row.metadata),
            "session_id": row.session_id,
            "thread_id": row.thread_id,
            "idx": row.idx,
            "agent_id": agent_id,
            "project_id": project_id,
            "trust": Trust.EXTERNAL if row.role in EXTERNAL_ROLES else Trust.AGENT,
            "lane": lane.value,
        }
        passages += _chunks(first)
    return passages


def of_events(rows: Sequence[SessionEvent], lane: Lane) -> list[NewPassage]:
    # An event that names the message it stands in says nothing that the message does not; nor one
    # of a hook whose transcript has it too.
    told = [
        row
        for row in rows
        if row.text
        and not row.data.get("message_uuid")
        and row.data.get("in_transcript") is not True
    ]
    sessions = _sessions_of(told)
    passages: list[NewPassage] = []
    for row in told:
        agent_id, project_id = sessions[row.session_id]
        first: NewPassage = {
            **BLANK,
            "of": row.id,
            "kind": PassageKind.EVENT.value,
            "text": without_recalled(row.text),
            "occurred_at": row.occurred_at,
            "recorded_at": row.created_at,
            # What a caller says of an event beside its text.
            "metadata": searchable(row.data),
            "session_id": row.session_id,
            "agent_id": agent_id,
            "project_id": project_id,
            "trust": Trust.EXTERNAL if row.event_type in EXTERNAL_EVENTS else Trust.AGENT,
            "lane": lane.value,
        }
        passages += _chunks(first)
    return passages


def _sessions_of(
    rows: Sequence[Message] | Sequence[SessionEvent],
) -> dict[uuid.UUID, tuple[uuid.UUID, uuid.UUID | None]]:
    """session -> (agent, project). One query for those that the rows do not bring with them."""
    known: dict[uuid.UUID, tuple[uuid.UUID, uuid.UUID | None]] = {}
    missing: set[uuid.UUID] = set()
    for row in rows:
        if row.session_id in known:
            continue
        # What an append has locked and read is at hand.
        if row._meta.get_field("session").is_cached(row):
            known[row.session_id] = (row.session.agent_id, row.session.project_id)
        else:
            missing.add(row.session_id)
    if missing:
        found = Session.objects.filter(pk__in=missing).values_list("pk", "agent_id", "project_id")
        known |= {pk: (agent_id, project_id) for pk, agent_id, project_id in found}
    return known


Maker = Callable[[Any, Lane], list[NewPassage]]
MAKERS: dict[type[Any], tuple[PassageKind, Maker]] = {
    Memory: (PassageKind.MEMORY, of_memories),
    Session: (PassageKind.SUMMARY, of_sessions),
    SessionEvent: (PassageKind.EVENT, of_events),
    Message: (PassageKind.MESSAGE, of_messages),
    Project: (PassageKind.PROJECT, of_projects),
    Task: (PassageKind.TASK, of_tasks),
    Contact: (PassageKind.CONTACT, of_contacts),
}
