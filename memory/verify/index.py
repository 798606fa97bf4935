"""The search index against the rows it was made from: all there, nothing beside, as they are now.

Passages are compared by statements over whole tables, not cut and made again one by one: for that
there is `manage.py reindex`, which --fix calls for the rows that are told here.
"""

# ruff: noqa: S608  (what is put into SQL here is names and constants of our own)
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from config.lib.db.models import VersionedRow
from contacts.models import Contact
from memory.models import Memory, Passage
from memory.models.passage import Lane
from memory.search.metadata import searchable
from memory.services.passages import SOURCES, reindex
from memory.services.sources import MAKERS
from memory.verify.report import MOST_NAMED, Check, Options, fetch, patient_scope
from sessions.models import Message, Project, Session, SessionEvent, Task

CATEGORY = "index"
BATCH = 500
# Longer texts are not searched for each of their passages: that takes the square of the time.
COMPARED_CHARACTERS = 200_000

# Which rows of a table `s` may have passages; all, where nothing is said here. Of those that have
# none, the code that makes passages says whether they should.
SEARCHED = {
    Memory: "s.state <> 'erased'",
    Message: "s.content <> ''",
    SessionEvent: (
        "s.text <> '' AND coalesce(s.data ->> 'message_uuid', '') "
        "IN ('', 'false', '0', '0.0', '[]', '{}')"
    ),
    Contact: "s.merged_into_id IS NULL",
}
# Which of these must have some. A session's prompt is searched for while it has no messages; what
# it was when it was last written is not known, so a prompt alone proves nothing.
REQUIRED = {Session: "s.name <> '' OR s.summary <> '' OR s.summary_data <> '{}'"}
# A passage's copies: column -> the source's. A source's key that became null is not compared:
# deleting what it pointed at leaves the copy, which then names nothing that could be asked for.
_OF_SESSION = {
    "session_id": "s.session_id",
    "occurred_at": "s.occurred_at",
    "recorded_at": "s.created_at",
}
COPIES: dict[type[Any], dict[str, str]] = {
    Memory: {
        "memory_kind": "s.kind",
        "tags": "s.tags",
        "session_id": "s.session_id",
        "agent_id": "s.agent_id",
        "project_id": "s.project_id",
        "occurred_at": "s.recorded_at",
        "trust": "s.trust",
        "state": "CASE WHEN s.expired_at IS NULL THEN s.state ELSE 'expired' END",
        "valid_from": "s.valid_from",
        "valid_to": "s.valid_to",
        "expires_at": "s.expires_at",
    },
    Session: {"session_id": "s.id", "agent_id": "s.agent_id", "project_id": "s.project_id"},
    SessionEvent: {**_OF_SESSION, "agent_id": "o.agent_id", "project_id": "o.project_id"},
    Message: {
        **_OF_SESSION,
        "thread_id": "s.thread_id",
        "idx": "s.idx",
        "agent_id": "o.agent_id",
        "project_id": "o.project_id",
    },
    Project: {"project_id": "s.id"},
    Task: {"project_id": "s.project_id"},
}
# Where a row has what it says of itself; compared in Python, since it is kept flat and in part.
METADATA = dict.fromkeys(MAKERS, "metadata") | {SessionEvent: "data"}
# The source's text, where a passage is a part of it as it stands.
TEXTS = {Memory: "s.text", Message: "s.content", SessionEvent: "s.text"}
_NULLED = ("session_id", "agent_id", "project_id")

Found = Callable[[uuid.UUID, type[Any], int], list[uuid.UUID]]


def check(workspace_id: uuid.UUID, options: Options) -> Iterator[Check]:
    """Outside any scope: each check opens its own. What points at nothing goes first, so that its
    place is free for what is missing."""
    yield _dangling(workspace_id, options)
    yield _sources(workspace_id, options)
    yield _current(workspace_id, options)


# --- Passages without source ----------------------------------------------------------------------

_KEYS = ", ".join(f"p.{column}" for column in SOURCES.values())
_KIND = " ".join(f"WHEN p.{column} IS NOT NULL THEN '{kind}'" for kind, column in SOURCES.items())
_LOST = " OR ".join(
    f"(p.{SOURCES[kind]} IS NOT NULL AND NOT EXISTS (SELECT FROM {model._meta.db_table} s "
    f"WHERE s.workspace_id = p.workspace_id AND s.id = p.{SOURCES[kind]}))"
    for model, (kind, _) in MAKERS.items()
)
_DANGLING = f"num_nonnulls({_KEYS}) <> 1 OR p.kind <> CASE {_KIND} ELSE '' END OR {_LOST}"


def _dangling(workspace_id: uuid.UUID, options: Options) -> Check:
    result = Check(CATEGORY, "passages with a source")
    with patient_scope(workspace_id):
        ((total, wrong),) = fetch(
            f"SELECT count(*), count(*) FILTER (WHERE {_DANGLING}) FROM memory_passage p "
            "WHERE p.workspace_id = %s",
            workspace_id,
        )
        rows = _dangling_rows(workspace_id, MOST_NAMED) if wrong else []
    result.expected, result.found = total, total - wrong
    if not (wrong and options.fix):
        result.wrong_in_all((_orphan(*row) for row in rows), wrong)
        return result
    while True:
        with patient_scope(workspace_id):
            rows = _dangling_rows(workspace_id, BATCH)
            Passage.objects.filter(pk__any_of=[row_id for row_id, *_ in rows]).delete()
        for row in rows:
            result.mended(_orphan(*row))
        if len(rows) < BATCH:
            break
    result.expected = result.found
    return result


def _dangling_rows(workspace_id: uuid.UUID, most: int) -> list[tuple[Any, ...]]:
    return fetch(
        f"SELECT p.id, p.kind, coalesce({_KEYS}) FROM memory_passage p "
        f"WHERE p.workspace_id = %s AND ({_DANGLING}) ORDER BY p.id LIMIT %s",
        workspace_id, most,
    )  # fmt: skip


def _orphan(row_id: uuid.UUID, kind: str, source: uuid.UUID | None) -> str:
    return f"passage {row_id} is of no {kind}{f' {source}' if source else ''}"


# --- Sources without passages ---------------------------------------------------------------------


def _sources(workspace_id: uuid.UUID, options: Options) -> Check:
    result = Check(CATEGORY, "sources with passages")
    for model, (kind, make) in MAKERS.items():
        with patient_scope(workspace_id):
            ((there,),) = fetch(
                f"SELECT count(DISTINCT p.{SOURCES[kind]}) FROM memory_passage p "
                f"WHERE p.workspace_id = %s AND p.{SOURCES[kind]} IS NOT NULL",
                workspace_id,
            )
        result.expected += there
        result.found += there
        last = uuid.UUID(int=0)
        while True:
            with patient_scope(workspace_id):
                ids = _without_passages(workspace_id, model, last)
                rows = _rows(model, ids, lock=options.fix)
                due = {passage["of"] for passage in make(rows, Lane.BULK)}
                wanting = [row for row in rows if row.pk in due]
                if options.fix and wanting:
                    reindex(model, wanting)
            result.expected += len(wanting)
            for row in wanting:
                problem = f"{kind} {row.pk} has no passages"
                if options.fix:
                    result.found += 1
                    result.mended(problem)
                else:
                    result.wrong(problem)
            if len(ids) < BATCH:
                break
            last = ids[-1]
    return result


def _without_passages(
    workspace_id: uuid.UUID, model: type[Any], after: uuid.UUID
) -> list[uuid.UUID]:
    column = SOURCES[MAKERS[model][0]]
    rows = fetch(
        f"SELECT s.id FROM {model._meta.db_table} s WHERE s.workspace_id = %s AND s.id > %s "
        f"AND ({SEARCHED.get(model, 'true')}) AND ({REQUIRED.get(model, 'true')}) "
        f"AND NOT EXISTS (SELECT FROM memory_passage p "
        f"WHERE p.workspace_id = s.workspace_id AND p.{column} = s.id) ORDER BY s.id LIMIT %s",
        workspace_id, after, BATCH,
    )  # fmt: skip
    return [row_id for (row_id,) in rows]


def _rows(model: type[Any], ids: Iterable[uuid.UUID], *, lock: bool) -> list[Any]:
    rows = model.objects.filter(pk__any_of=list(ids)).order_by("pk")
    if lock and issubclass(model, VersionedRow):
        rows = rows.select_for_update(no_key=True)
    return list(rows)


# --- Passages of another text ---------------------------------------------------------------------


def _current(workspace_id: uuid.UUID, options: Options) -> Check:
    result = Check(CATEGORY, "passages as their source")
    for model, (kind, _) in MAKERS.items():
        with patient_scope(workspace_id):
            ((total,),) = fetch(
                f"SELECT count(DISTINCT p.{SOURCES[kind]}) FROM memory_passage p "
                f"WHERE p.workspace_id = %s AND p.{SOURCES[kind]} IS NOT NULL",
                workspace_id,
            )
            stale = _stale(workspace_id, model)
        problems = {row_id: f"{kind} {row_id} is not what its passages say" for row_id in stale}
        if options.fix:
            left = _renew(workspace_id, model, stale)
            for row_id in stale:
                if row_id not in left:
                    result.mended(problems[row_id])
        else:
            left = set(stale)
        result.expected += total
        result.found += total - len(left)
        result.wrong_in_all((problems[row_id] for row_id in sorted(left)), len(left))
    return result


def _stale(
    workspace_id: uuid.UUID, model: type[Any], among: list[uuid.UUID] | None = None
) -> list[uuid.UUID]:
    """Sources with a passage whose copies, text or chunks are not theirs, or that should have
    none."""
    column, table = SOURCES[MAKERS[model][0]], model._meta.db_table
    differing = [f"NOT ({SEARCHED.get(model, 'true')})"]
    for name, value in COPIES.get(model, {}).items():
        there = f"{value} IS NOT NULL AND " if name in _NULLED else ""
        differing.append(f"({there}p.{name} IS DISTINCT FROM {value})")
    text = TEXTS.get(model)
    if text:
        differing.append(f"(length({text}) < {COMPARED_CHARACTERS} AND strpos({text}, p.text) = 0)")
    of_session = any(value.startswith("o.") for value in COPIES.get(model, {}).values())
    session = (
        f"JOIN {Session._meta.db_table} o "
        "ON o.workspace_id = s.workspace_id AND o.id = s.session_id"
        if of_session
        else ""
    )
    some, ids = ("", []) if among is None else (f"AND p.{column} = ANY(%s)", [among])
    rows = fetch(
        f"SELECT p.{column} FROM memory_passage p JOIN {table} s "
        f"ON s.workspace_id = p.workspace_id AND s.id = p.{column} {session} "
        f"WHERE p.workspace_id = %s {some} AND ({' OR '.join(differing)}) "
        f"UNION SELECT p.{column} FROM memory_passage p WHERE p.workspace_id = %s "
        f"AND p.{column} IS NOT NULL {some} GROUP BY 1 HAVING count(*) <> max(p.chunk) + 1 "
        "ORDER BY 1",
        workspace_id, *ids, workspace_id, *ids,
    )  # fmt: skip
    stale = {row_id for (row_id,) in rows}
    return sorted(stale | _of_other_metadata(workspace_id, model, among))


def _of_other_metadata(
    workspace_id: uuid.UUID, model: type[Any], among: list[uuid.UUID] | None
) -> set[uuid.UUID]:
    """Sources with a passage that keeps other metadata than theirs. Those that have none and keep
    none are not read."""
    column, table = SOURCES[MAKERS[model][0]], model._meta.db_table
    some, ids = ("", []) if among is None else (f"AND p.{column} = ANY(%s)", [among])
    stale: set[uuid.UUID] = set()
    last = uuid.UUID(int=0)
    while True:
        rows = fetch(
            f"SELECT p.id, p.{column}, p.metadata, s.{METADATA[model]} FROM memory_passage p "
            f"JOIN {table} s ON s.workspace_id = p.workspace_id AND s.id = p.{column} "
            f"WHERE p.workspace_id = %s AND p.id > %s {some} "
            f"AND (p.metadata <> '{{}}' OR s.{METADATA[model]} <> '{{}}') ORDER BY p.id LIMIT %s",
            workspace_id, last, *ids, BATCH,
        )  # fmt: skip
        stale.update(of for _, of, kept, own in rows if _json(kept) != searchable(_json(own)))
        if len(rows) < BATCH:
            return stale
        last = rows[-1][0]


def _json(value: Any) -> Any:
    """jsonb as a cursor gives it, which Django leaves as text."""
    return json.loads(value) if isinstance(value, str) else value


def _renew(workspace_id: uuid.UUID, model: type[Any], stale: list[uuid.UUID]) -> set[uuid.UUID]:
    """Make the passages of these again; those that are stale even so."""
    left: set[uuid.UUID] = set()
    column = SOURCES[MAKERS[model][0]]
    for start in range(0, len(stale), BATCH):
        ids = stale[start : start + BATCH]
        with patient_scope(workspace_id):
            rows = _rows(model, ids, lock=True)
            reindex(model, rows)
            still = _stale(workspace_id, model, ids)
            if still:
                # What no writer ever changes is not brought up to date: these are made anew.
                Passage.objects.filter(**{f"{column}__in": still}).delete()
                reindex(model, [row for row in rows if row.pk in set(still)])
                left |= set(_stale(workspace_id, model, still))
    return left
