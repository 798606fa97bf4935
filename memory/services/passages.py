"""The search index's rows: made from other rows in the writer's own transaction.

Handlers (memory/handlers.py) call the index_ functions with what was written; nobody else writes
passages, except for their vectors (embedding.py). Everything here can be made again from the
sources (`manage.py reindex`). Not for what a passage says (sources.py).
"""

import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.db import IntegrityError, connection
from django.db.models import Q

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.bulk import as_json, bound_cursor, update_values
from config.lib.db.models import VersionedRow
from config.lib.errors import Conflict
from config.lib.scope import current_workspace_id, workspace_scope
from contacts.models import Contact
from contacts.services import erasing
from memory.models import Memory, Passage
from memory.models.passage import COLUMNS, Lane, PassageKind, Slot
from memory.services import sources
from memory.services.queue import defer_embedding
from memory.services.sources import NewPassage
from sessions.models import Message, Project, Session, SessionEvent, Task

# More rows than a person or an agent writes by hand: nobody waits for their vectors.
BULK_ROWS = 50
INSERT_ROWS = 1000
# Between two looks whether an erasure is over.
ERASING_SECONDS = 1.0
# What a change of the source copies onto its passages, where the text stays the same.
COPIED = (
    "lexical", "token_count", "asks", "memory_kind", "tags", "session_id", "agent_id", "project_id",
    "occurred_at", "recorded_at", "metadata", "trust", "state", "valid_from", "valid_to",
    "superseded_at", "expires_at",
)  # fmt: skip
SOURCES = {
    PassageKind.MEMORY: "of_memory_id",
    PassageKind.SUMMARY: "of_summary_id",
    PassageKind.EVENT: "of_event_id",
    PassageKind.MESSAGE: "of_message_id",
    PassageKind.PROJECT: "of_project_id",
    PassageKind.TASK: "of_task_id",
    PassageKind.CONTACT: "of_contact_id",
}
# One statement and one parameter for any number of rows: COPY is refused under row-level
# security, and a statement with thirty parameters a row takes longer to write than to run.
_INSERT = f"""
    INSERT INTO memory_passage (
        id, workspace_id, created_at, {", ".join(SOURCES.values())}, kind, chunk, memory_kind,
        tags, session_id, thread_id, idx, agent_id, project_id, occurred_at, recorded_at,
        metadata, trust, state, valid_from, valid_to, superseded_at, expires_at, text, lexical,
        token_count, asks, lane, space_id, embedding, second_space_id, second_embedding)
    SELECT x.id, %s, %s,
           {", ".join(f"CASE WHEN x.kind = '{kind.value}' THEN x.of END" for kind in SOURCES)},
           x.kind, x.chunk, x.memory_kind, x.tags, x.session_id, x.thread_id, x.idx, x.agent_id,
           x.project_id, x.occurred_at, x.recorded_at, x.metadata, x.trust, x.state,
           x.valid_from, x.valid_to, x.superseded_at, x.expires_at, x.text,
           coalesce(x.lexical, x.text),
           x.token_count, x.asks, x.lane, x.space_id, x.embedding::halfvec,
           coalesce(x.second_space_id, (SELECT e.id FROM memory_embeddingspace e
                WHERE e.workspace_id = %s AND e.slot = {Slot.SECOND.value}
                  AND e.state IN ('building', 'active'))),
           x.second_embedding::halfvec
      FROM json_to_recordset(%s::json) AS x (
           id uuid, of uuid, kind text, chunk smallint, memory_kind text, tags varchar[],
           session_id uuid, thread_id uuid, idx integer, agent_id uuid, project_id uuid,
           occurred_at timestamptz, recorded_at timestamptz, metadata jsonb, trust text,
           state text, valid_from timestamptz, valid_to timestamptz, superseded_at timestamptz,
           expires_at timestamptz, text text, lexical text, token_count integer,
           asks boolean, lane smallint, space_id uuid, embedding text, second_space_id uuid,
           second_embedding text)
    ON CONFLICT DO NOTHING
"""  # noqa: S608  (constants of this module)


def index_messages(rows: Sequence[Message], actor: Actor) -> None:
    """New messages, which never change."""
    _append(sources.of_messages(rows, lane_of(rows, actor)))


def index_events(rows: Sequence[SessionEvent], actor: Actor) -> None:
    """New events, which never change; those without a text are not searched for."""
    _append(sources.of_events(rows, lane_of(rows, actor)))


def index_memories(rows: Sequence[Memory], actor: Actor) -> None:
    """Their text, and their state, trust and validity, which searches filter by."""
    _follow(PassageKind.MEMORY, rows, sources.of_memories(rows, lane_of(rows, actor)))


def index_projects(rows: Sequence[Project], actor: Actor) -> None:
    _follow(PassageKind.PROJECT, rows, sources.of_projects(rows, lane_of(rows, actor)))


def index_tasks(rows: Sequence[Task], actor: Actor) -> None:
    _follow(PassageKind.TASK, rows, sources.of_tasks(rows, lane_of(rows, actor)))


def index_contacts(rows: Sequence[Contact], actor: Actor) -> None:
    """Their version says nothing: what is found of them is also what their tags are called."""
    wanted = sources.of_contacts(rows, lane_of(rows, actor))
    if all(row.parts_made is not None for row in rows):
        _append(wanted)
    else:
        _replace(PassageKind.CONTACT, [row.id for row in rows], wanted)


def index_sessions(rows: Sequence[Session], actor: Actor) -> None:
    """A session's name and summary, and the project it moved to on all that it holds."""
    _follow(PassageKind.SUMMARY, rows, sources.of_sessions(rows, lane_of(rows, actor)))
    moved: dict[tuple[uuid.UUID | None, uuid.UUID], list[uuid.UUID]] = defaultdict(list)
    for row in rows:
        if row.version > 1:
            moved[row.project_id, row.agent_id].append(row.id)
    for (project_id, agent_id), ids in moved.items():
        inside = Passage.objects.filter(
            session_id__in=ids, kind__in=[PassageKind.EVENT, PassageKind.MESSAGE]
        )
        same_project = Q(project_id=project_id) if project_id else Q(project_id__isnull=True)
        stale = inside.exclude(same_project & Q(agent_id=agent_id))
        stale.update(project_id=project_id, agent_id=agent_id)


def reindex(model: type[Any], rows: Sequence[Any], lane: Lane = Lane.BULK) -> int:
    """Make the passages of `rows` again, all of one model; the number of passages they have now.

    Vectors of unchanged texts stay. The caller has locked rows that can change meanwhile.
    """
    kind, make = sources.MAKERS[model]
    wanted = list(make(rows, lane))
    _replace(kind, [row.id for row in rows], wanted)
    return len(wanted)


def reindex_workspace(workspace_id: uuid.UUID, *, batch: int = 500) -> int:
    """Make every passage of a workspace again, a transaction for each batch; how many there are.

    Outside any scope. Rows are taken in the order of their ids; what is written meanwhile is
    indexed by its own writer. It waits while something is being erased, since append-only rows
    cannot be locked by this role: what they said before would be written again.
    """
    total = 0
    for model in sources.MAKERS:
        last: uuid.UUID | None = None
        while True:
            try:
                with workspace_scope(workspace_id):
                    erasing.require_nothing_erasing()
                    rows = model.objects.order_by("id")
                    if issubclass(model, VersionedRow):
                        rows = rows.select_for_update(no_key=True)
                    if last is not None:
                        rows = rows.filter(id__gt=last)
                    found = list(rows[:batch])
                    if not found:
                        break
                    made = reindex(model, found)
            except IntegrityError:
                # One of the append-only rows went meanwhile.
                continue
            except Conflict as error:
                if error.code != "erased_meanwhile":
                    raise
                time.sleep(ERASING_SECONDS)
                continue
            total += made
            last = found[-1].id
    return total


def lane_of(rows: Sequence[Any], actor: Actor) -> Lane:
    """Which queue for vectors: an import or a large batch must not delay what somebody awaits."""
    return Lane.BULK if actor.channel == "import" or len(rows) > BULK_ROWS else Lane.INTERACTIVE


# --- Writing ----------------------------------------------------------------------------------


def _append(passages: Sequence[NewPassage]) -> None:
    if not passages:
        return
    workspace_id, now = current_workspace_id(), clock.now()
    with bound_cursor() as cursor:
        for start in range(0, len(passages), INSERT_ROWS):
            rows = as_json([_said(one) for one in passages[start : start + INSERT_ROWS]])
            cursor.execute(_INSERT, [workspace_id, now, workspace_id, rows])
    if any(None in (one["embedding"], one["second_embedding"]) for one in passages):
        defer_embedding(workspace_id, Lane(passages[0]["lane"]))


def _said(passage: NewPassage) -> dict[str, Any]:
    """What the server has to read of it: not that something is null, and no text twice."""
    said = {name: value for name, value in passage.items() if value is not None}
    if passage["lexical"] == passage["text"]:
        del said["lexical"]
    return said


def _follow(kind: PassageKind, rows: Sequence[VersionedRow], wanted: Sequence[NewPassage]) -> None:
    """Make `wanted` the passages of rows that were written: new ones have none yet."""
    older = {row.pk for row in rows if row.version > 1}
    if older:
        _replace(kind, list(older), [one for one in wanted if one["of"] in older])
    _append([one for one in wanted if one["of"] not in older])


def _replace(kind: PassageKind, ids: Sequence[uuid.UUID], wanted: Sequence[NewPassage]) -> None:
    """Make `wanted` the passages of the sources `ids`.

    A source whose texts are the same keeps its rows, with the copied columns brought up to date.
    Otherwise its rows are made anew, and a text that was there before keeps its vector.
    """
    column = SOURCES[kind]
    new: dict[uuid.UUID, list[NewPassage]] = {source: [] for source in ids}
    for passage in wanted:
        new[passage["of"]].append(passage)
    old: dict[uuid.UUID, list[Passage]] = {source: [] for source in ids}
    there = Passage.objects.filter(**{f"{column}__in": list(ids)}).order_by("chunk")
    for row in there.defer("embedding", "second_embedding", "tsv"):
        old[getattr(row, column)].append(row)
    inserted: list[NewPassage] = []
    gone: list[uuid.UUID] = []
    copied: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for source in ids:
        if [row.text for row in old[source]] == [passage["text"] for passage in new[source]]:
            for row, passage in zip(old[source], new[source], strict=True):
                changed = _changed(row, passage)
                if changed:
                    copied.setdefault(tuple(changed), []).append({"id": row.pk, **changed})
        else:
            gone += [row.id for row in old[source]]
            inserted += new[source]
    for names, rows in copied.items():
        update_values(Passage, names, rows)
    if gone:
        kept = _vectors(gone)
        Passage.objects.filter(pk__in=gone).delete()
        inserted = [_with_vectors(one, kept) for one in inserted]
    _append(inserted)


def _changed(row: Passage, passage: NewPassage) -> dict[str, Any]:
    """What of a row is to be written; a row that did not change is not: its index entries would
    all be made again."""
    values: Mapping[str, Any] = passage
    return {name: values[name] for name in COPIED if getattr(row, name) != values[name]}


def _with_vectors(
    passage: NewPassage, kept: Mapping[tuple[uuid.UUID, str], Mapping[str, Any]]
) -> NewPassage:
    made: Any = {**passage, **kept.get((passage["of"], passage["text"]), {})}
    return cast(NewPassage, made)


def _vectors(ids: Sequence[uuid.UUID]) -> dict[tuple[uuid.UUID, str], dict[str, Any]]:
    """(source, text) -> the vectors' columns, of those rows that have one. The rows are locked: a
    space that is given up at this moment is given up by these too, or not yet."""
    columns = [name for at in COLUMNS.values() for name in (at.space, at.vector)]
    shown = [f"{name}::text" if "embedding" in name else name for name in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce({', '.join(SOURCES.values())}), text, {', '.join(shown)} "  # noqa: S608
            "FROM memory_passage WHERE workspace_id = %s AND id = ANY(%s) "
            "AND num_nonnulls(embedding, second_embedding) > 0 FOR NO KEY UPDATE",
            [current_workspace_id(), list(ids)],
        )
        return {
            (source, text): dict(zip(columns, values, strict=True))
            for source, text, *values in cursor.fetchall()
        }
