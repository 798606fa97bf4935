"""The search index's rows: made from other rows in the writer's own transaction.

Handlers (memory/handlers.py) call the index_ functions with what was written; nobody else writes
passages, except for their vectors (embedding.py). Everything here can be made again from the
sources (`manage.py reindex`). Not for cutting texts (chunks.py) or splitting words
(search/words.py).
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from config.lib import clock
from config.lib.actor import Actor
from config.lib.ids import new_id
from config.lib.scope import current_workspace_id, workspace_scope
from memory.models import Memory, Passage
from memory.models.memory import MemoryState, Trust
from memory.models.passage import Lane, PassageKind
from memory.search.words import count_words, lexical_text
from memory.services.chunks import chunk_text
from memory.services.queue import defer_embedding
from sessions.models import Message, Project, Session, SessionEvent
from sessions.models.thread import MessageRole

# More rows than a person or an agent writes by hand: nobody waits for their vectors.
BULK_ROWS = 50
INSERT_ROWS = 1000
# What a tool printed may come from anywhere; what was said in the session was said by its parties.
EXTERNAL_ROLES = frozenset({MessageRole.TOOL})


# Each chunk is given its own.
UNSET = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A passage as it is inserted: the columns of the table but the source's, which is `of`."""

    of: uuid.UUID
    kind: str
    text: str
    occurred_at: datetime
    chunk: int = 0
    lexical: str = ""
    token_count: int = 0
    memory_kind: str = ""
    tags: Sequence[str] = ()
    session_id: uuid.UUID | None = None
    thread_id: uuid.UUID | None = None
    idx: int | None = None
    agent_id: uuid.UUID | None = None
    project_id: uuid.UUID | None = None
    trust: str = Trust.AGENT.value
    state: str = MemoryState.ACTIVE.value
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    superseded_at: datetime | None = None
    expires_at: datetime | None = None
    lane: int = Lane.INTERACTIVE.value
    space_id: uuid.UUID | None = None
    embedding: str | None = None
    id: uuid.UUID = UNSET


# What a change of the source copies onto its passages, where the text stays the same.
COPIED = (
    "lexical", "token_count", "memory_kind", "tags", "session_id", "agent_id", "project_id",
    "occurred_at", "trust", "state", "valid_from", "valid_to", "superseded_at",
    "expires_at",
)  # fmt: skip
SOURCES = {
    PassageKind.MEMORY: "of_memory_id",
    PassageKind.SUMMARY: "of_summary_id",
    PassageKind.EVENT: "of_event_id",
    PassageKind.MESSAGE: "of_message_id",
    PassageKind.PROJECT: "of_project_id",
}
# One statement and one parameter for any number of rows: COPY is refused under row-level
# security, and a statement with thirty parameters a row takes longer to write than to run.
_INSERT = f"""
    INSERT INTO memory_passage (
        id, workspace_id, created_at, {", ".join(SOURCES.values())}, kind, chunk, memory_kind,
        tags, session_id, thread_id, idx, agent_id, project_id, occurred_at, trust, state,
        valid_from, valid_to, superseded_at, expires_at, text, lexical, token_count, lane, space_id,
        embedding)
    SELECT x.id, %s, %s,
           {", ".join(f"CASE WHEN x.kind = '{kind.value}' THEN x.of END" for kind in SOURCES)},
           x.kind, x.chunk, x.memory_kind, x.tags, x.session_id, x.thread_id, x.idx, x.agent_id,
           x.project_id, x.occurred_at, x.trust, x.state, x.valid_from, x.valid_to,
           x.superseded_at, x.expires_at, x.text, x.lexical, x.token_count, x.lane, x.space_id,
           x.embedding::halfvec
      FROM json_to_recordset(%s::json) AS x (
           id uuid, of uuid, kind text, chunk smallint, memory_kind text, tags varchar[],
           session_id uuid, thread_id uuid, idx integer, agent_id uuid, project_id uuid,
           occurred_at timestamptz, trust text, state text, valid_from timestamptz,
           valid_to timestamptz, superseded_at timestamptz, expires_at timestamptz, text text,
           lexical text, token_count integer, lane smallint, space_id uuid, embedding text)
    ON CONFLICT DO NOTHING
"""  # noqa: S608  (constants of this module)


def index_messages(rows: Sequence[Message], actor: Actor) -> None:
    """New messages, which never change."""
    _append(_of_messages(rows, lane_of(rows, actor)))


def index_events(rows: Sequence[SessionEvent], actor: Actor) -> None:
    """New events, which never change; those without a text are not searched for."""
    _append(_of_events(rows, lane_of(rows, actor)))


def index_memories(rows: Sequence[Memory], actor: Actor) -> None:
    _replace(PassageKind.MEMORY, [row.id for row in rows], _of_memories(rows, lane_of(rows, actor)))


def index_projects(rows: Sequence[Project], actor: Actor) -> None:
    _replace(
        PassageKind.PROJECT, [row.id for row in rows], _of_projects(rows, lane_of(rows, actor))
    )


def index_sessions(rows: Sequence[Session], actor: Actor) -> None:
    """A session's name and summary, and the project it moved to on all that it holds."""
    _replace(
        PassageKind.SUMMARY, [row.id for row in rows], _of_sessions(rows, lane_of(rows, actor))
    )
    for row in rows:
        if row.version > 1:
            inside = Passage.objects.filter(
                session_id=row.id, kind__in=[PassageKind.EVENT, PassageKind.MESSAGE]
            )
            for copied in ("project_id", "agent_id"):
                value = getattr(row, copied)
                stale = (
                    inside.exclude(**{copied: value})
                    if value
                    else inside.exclude(**{f"{copied}__isnull": True})
                )
                stale.update(**{copied: value})


def reindex(model: type[Any], rows: Sequence[Any], lane: Lane = Lane.BULK) -> int:
    """Make the passages of `rows` again, all of one model; the number of passages they have now.

    Vectors of unchanged texts stay. The caller has locked rows that can change meanwhile.
    """
    kind, make = _MAKERS[model]
    wanted = list(make(rows, lane))
    _replace(kind, [row.id for row in rows], wanted)
    return len(wanted)


def reindex_workspace(workspace_id: uuid.UUID, *, batch: int = 500) -> int:
    """Make every passage of a workspace again, a transaction for each batch; how many there are.

    Outside any scope. Rows are taken in the order of their ids; what is written meanwhile is
    indexed by its own writer.
    """
    total = 0
    for model in _MAKERS:
        last: uuid.UUID | None = None
        while True:
            with workspace_scope(workspace_id):
                rows = model.objects.order_by("id").select_for_update(no_key=True)
                if last is not None:
                    rows = rows.filter(id__gt=last)
                found = list(rows[:batch])
                if not found:
                    break
                last = found[-1].id
                total += reindex(model, found)
    return total


def lane_of(rows: Sequence[Any], actor: Actor) -> Lane:
    """Which queue for vectors: an import or a large batch must not delay what somebody awaits."""
    return Lane.BULK if actor.channel == "import" or len(rows) > BULK_ROWS else Lane.INTERACTIVE


# --- What each source says of itself ----------------------------------------------------------


def _chunks(first: NewPassage, extra_words: str = "") -> list[NewPassage]:
    """`first` as often as its text has chunks. `extra_words` are found with the first chunk."""
    passages = []
    for number, text in enumerate(chunk_text(first.text)):
        words = f"{text}\n{extra_words}" if extra_words and number == 0 else text
        lexical = lexical_text(words)
        passages.append(
            replace(
                first,
                id=new_id(),
                chunk=number,
                text=text,
                lexical=lexical,
                token_count=count_words(lexical),
            )
        )
    return passages


def _of_memories(rows: Sequence[Memory], lane: Lane) -> list[NewPassage]:
    passages: list[NewPassage] = []
    for row in rows:
        # An erased memory's words and vector go with it; the other states are filtered by search.
        if row.state == MemoryState.ERASED:
            continue
        first = NewPassage(
            of=row.id,
            kind=PassageKind.MEMORY.value,
            text=row.text,
            occurred_at=row.recorded_at,
            memory_kind=row.kind,
            tags=list(row.tags),
            session_id=row.session_id,
            agent_id=row.agent_id,
            project_id=row.project_id,
            trust=row.trust,
            state=row.state,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            superseded_at=_superseded_at(row),
            expires_at=row.expires_at,
            lane=lane.value,
        )
        passages += _chunks(first, " ".join(row.tags))
    return passages


def _superseded_at(memory: Memory) -> datetime | None:
    """When a later memory took its place: since then it no longer counts as known."""
    if memory.state != MemoryState.SUPERSEDED:
        return None
    by = memory.superseded_by
    return by.recorded_at if by is not None else memory.updated_at


def _of_sessions(rows: Sequence[Session], lane: Lane) -> list[NewPassage]:
    passages: list[NewPassage] = []
    for row in rows:
        text = "\n\n".join(part for part in _session_parts(row) if part.strip())
        first = NewPassage(
            of=row.id,
            kind=PassageKind.SUMMARY.value,
            text=text,
            occurred_at=row.started_at,
            session_id=row.id,
            agent_id=row.agent_id,
            project_id=row.project_id,
            lane=lane.value,
        )
        passages += _chunks(first)
    return passages


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


def _of_projects(rows: Sequence[Project], lane: Lane) -> list[NewPassage]:
    passages: list[NewPassage] = []
    for row in rows:
        first = NewPassage(
            of=row.id,
            kind=PassageKind.PROJECT.value,
            text="\n\n".join(p for p in (row.title, row.description, row.repo_url) if p.strip()),
            occurred_at=row.created_at,
            project_id=row.id,
            lane=lane.value,
        )
        passages += _chunks(first)
    return passages


def _of_messages(rows: Sequence[Message], lane: Lane) -> list[NewPassage]:
    sessions = _sessions_of(rows)
    passages: list[NewPassage] = []
    for row in rows:
        agent_id, project_id = sessions[row.session_id]
        first = NewPassage(
            of=row.id,
            kind=PassageKind.MESSAGE.value,
            text=row.content,
            occurred_at=row.occurred_at,
            session_id=row.session_id,
            thread_id=row.thread_id,
            idx=row.idx,
            agent_id=agent_id,
            project_id=project_id,
            trust=Trust.EXTERNAL if row.role in EXTERNAL_ROLES else Trust.AGENT,
            lane=lane.value,
        )
        passages += _chunks(first)
    return passages


def _of_events(rows: Sequence[SessionEvent], lane: Lane) -> list[NewPassage]:
    # An event that names the message it stands in says nothing that the message does not.
    told = [row for row in rows if row.text and not row.data.get("message_uuid")]
    sessions = _sessions_of(told)
    passages: list[NewPassage] = []
    for row in told:
        agent_id, project_id = sessions[row.session_id]
        first = NewPassage(
            of=row.id,
            kind=PassageKind.EVENT.value,
            text=row.text,
            occurred_at=row.occurred_at,
            session_id=row.session_id,
            agent_id=agent_id,
            project_id=project_id,
            lane=lane.value,
        )
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


_Maker = Callable[[Any, Lane], list[NewPassage]]
_MAKERS: dict[type[Any], tuple[PassageKind, _Maker]] = {
    Memory: (PassageKind.MEMORY, _of_memories),
    Session: (PassageKind.SUMMARY, _of_sessions),
    SessionEvent: (PassageKind.EVENT, _of_events),
    Message: (PassageKind.MESSAGE, _of_messages),
    Project: (PassageKind.PROJECT, _of_projects),
}

# --- Writing ----------------------------------------------------------------------------------


def _append(passages: Sequence[NewPassage]) -> None:
    if not passages:
        return
    workspace_id, now = current_workspace_id(), clock.now()
    with connection.cursor() as cursor:
        for start in range(0, len(passages), INSERT_ROWS):
            rows = orjson.dumps(passages[start : start + INSERT_ROWS]).decode()
            cursor.execute(_INSERT, [workspace_id, now, rows])
    if any(passage.embedding is None for passage in passages):
        defer_embedding(workspace_id, Lane(passages[0].lane))


def _replace(kind: PassageKind, ids: Sequence[uuid.UUID], wanted: Sequence[NewPassage]) -> None:
    """Make `wanted` the passages of the sources `ids`.

    A source whose texts are the same keeps its rows, with the copied columns brought up to date.
    Otherwise its rows are made anew, and a text that was there before keeps its vector.
    """
    column = SOURCES[kind]
    new: dict[uuid.UUID, list[NewPassage]] = {source: [] for source in ids}
    for passage in wanted:
        new[passage.of].append(passage)
    old: dict[uuid.UUID, list[Passage]] = {source: [] for source in ids}
    there = Passage.objects.filter(**{f"{column}__in": list(ids)}).order_by("chunk")
    for row in there.defer("embedding", "tsv"):
        old[getattr(row, column)].append(row)
    inserted: list[NewPassage] = []
    gone: list[uuid.UUID] = []
    for source in ids:
        if [row.text for row in old[source]] == [passage.text for passage in new[source]]:
            for row, passage in zip(old[source], new[source], strict=True):
                _copy(row, passage)
        else:
            gone += [row.id for row in old[source]]
            inserted += new[source]
    if gone:
        kept = _vectors(gone)
        Passage.objects.filter(pk__in=gone).delete()
        inserted = [replace(p, **kept.get((p.of, p.text), {})) for p in inserted]
    _append(inserted)


def _copy(row: Passage, passage: NewPassage) -> None:
    """A row that did not change is not written: its index entries would all be made again."""
    changed = {}
    for name in COPIED:
        value = getattr(passage, name)
        if getattr(row, name) != value:
            changed[name] = value
    if changed:
        Passage.objects.filter(pk=row.pk).update(**changed)


def _vectors(ids: Sequence[uuid.UUID]) -> dict[tuple[uuid.UUID, str], dict[str, Any]]:
    """(source, text) -> the vector's columns, of those rows that have one."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce({', '.join(SOURCES.values())}), text, space_id, embedding::text "  # noqa: S608
            "FROM memory_passage WHERE workspace_id = %s AND id = ANY(%s) "
            "AND embedding IS NOT NULL",
            [current_workspace_id(), list(ids)],
        )
        return {
            (source, text): {"space_id": space_id, "embedding": vector}
            for source, text, space_id, vector in cursor.fetchall()
        }
