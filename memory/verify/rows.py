"""Rows as other rows say they are: numbered without gaps, counted right, pointing at what is there.

A gap is rows that are lost, so it is told and not mended; a counter follows from the rows that are
there, and is. Not told: the order of lists, which may have gaps; what a Notification or a Revision
names, which may be gone by right (a Revision keeps what was deleted).
"""

# ruff: noqa: S608  (what is put into SQL here is names and constants of our own)
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection

from config.lib.db.models import VersionedRow, WorkspaceRow
from contacts.models import Membership, Revision
from memory.models import ImportRun, Passage
from memory.verify.expected import scoped_keys, scoped_models
from memory.verify.report import MOST_NAMED, Check, Options, fetch, patient_scope
from sessions.models import Message, RawLine, Session, SessionEvent, Thread, Worker, WorkerOutput
from sessions.services.events import ERROR_TYPES, TOOL_TYPES

CATEGORY = "rows"
# Locked and written by one transaction of --fix.
FIXED_AT_ONCE = 2000
# Gaps named of one parent.
MOST_GAPS = 5


@dataclass(frozen=True, slots=True)
class Numbered:
    """Rows of `model` count from `first` in each `parent`, by the column `number`."""

    model: type[WorkspaceRow]
    parent: type[WorkspaceRow]
    key: str
    number: str
    first: int

    @property
    def name(self) -> str:
        return str(self.model._meta.verbose_name)

    @property
    def owner(self) -> str:
        return str(self.parent._meta.verbose_name)

    @property
    def table(self) -> str:
        return self.model._meta.db_table


EVENTS = Numbered(SessionEvent, Session, "session_id", "seq", 1)
MESSAGES = Numbered(Message, Thread, "thread_id", "idx", 0)
OUTPUT = Numbered(WorkerOutput, Worker, "worker_id", "seq", 1)
NUMBERED = (EVENTS, MESSAGES, OUTPUT)


_EVENT, _MESSAGE = SessionEvent._meta.db_table, Message._meta.db_table
# Each thread's length, as the numbers of its messages say it.
_LENGTHS = (
    f"(SELECT workspace_id, session_id, thread_id, max(idx) + 1 AS length FROM {_MESSAGE} "
    "GROUP BY workspace_id, session_id, thread_id)"
)


@dataclass(frozen=True, slots=True)
class Counter:
    """`column` of `model` is `value`, an aggregate over those rows of `source` (a table, or SQL in
    parentheses) whose `key` is its id; 0 where there are none."""

    model: type[WorkspaceRow]
    column: str
    source: str
    key: str
    value: str
    parameters: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.model._meta.verbose_name} {self.column}"


COUNTERS = (
    # Appends go on from these two, so they are the last number and not how many there are.
    Counter(Session, "event_count", _EVENT, "session_id", "max(seq)"),
    Counter(Thread, "message_count", _MESSAGE, "thread_id", "max(idx) + 1"),
    Counter(Session, "message_count", _LENGTHS, "session_id", "sum(length)"),
    Counter(
        Session,
        "tool_count",
        _EVENT,
        "session_id",
        "count(*) FILTER (WHERE event_type = ANY(%s))",
        (sorted(TOOL_TYPES),),
    ),
    Counter(
        Session,
        "error_count",
        _EVENT,
        "session_id",
        "count(*) FILTER (WHERE event_type = ANY(%s) OR data -> 'is_error' = 'true')",
        (sorted(ERROR_TYPES),),
    ),
)


def check(workspace_id: uuid.UUID, options: Options) -> Iterator[Check]:
    """Outside any scope: each check opens its own."""
    for numbered in NUMBERED:
        with patient_scope(workspace_id):
            yield _numbers(workspace_id, numbered)
    for counter in COUNTERS:
        with patient_scope(workspace_id):
            result, wrong = _counter(workspace_id, counter)
        if wrong and options.fix:
            result = _mend_counter(workspace_id, counter)
        yield result
    for part in (_references, _places, _raw_lines, _on_record):
        with patient_scope(workspace_id):
            yield part(workspace_id)


# --- Numbers --------------------------------------------------------------------------------------


def _numbers(workspace_id: uuid.UUID, each: Numbered) -> Check:
    """In one statement, so that what is appended meanwhile does no harm."""
    result = Check(CATEGORY, f"{each.name} numbers")
    ((wanted, there, count, named),) = fetch(
        "SELECT coalesce(sum(hi - %s + 1), 0), coalesce(sum(n), 0), count(*) FILTER (WHERE bad), "
        "(array_agg(parent ORDER BY parent) FILTER (WHERE bad))[:%s] FROM ("
        "SELECT parent, n, hi, n <> hi - %s + 1 OR lo <> %s AS bad FROM ("
        f"SELECT {each.key} AS parent, count(*) AS n, min({each.number}) AS lo, "
        f"max({each.number}) AS hi FROM {each.table} WHERE workspace_id = %s GROUP BY 1) g) b",
        each.first, MOST_NAMED, each.first, each.first, workspace_id,
    )  # fmt: skip
    result.expected, result.found = int(wanted), int(there)
    problems = (
        f"{each.owner} {row_id}: {_gaps(workspace_id, each, row_id)}" for row_id in named or ()
    )
    result.wrong_in_all(problems, count)
    return result


def _gaps(workspace_id: uuid.UUID, each: Numbered, parent: uuid.UUID) -> str:
    gaps = fetch(
        f"SELECT before + 1, number - 1 FROM (SELECT {each.number} AS number, "
        f"lag({each.number}, 1, %s) OVER (ORDER BY {each.number}) AS before "
        f"FROM {each.table} WHERE workspace_id = %s AND {each.key} = %s) g "
        "WHERE number - before > 1 ORDER BY 1 LIMIT %s",
        each.first - 1, workspace_id, parent, MOST_GAPS + 1,
    )  # fmt: skip
    said = [f"{a}" if a == b else f"{a} to {b}" for a, b in gaps[:MOST_GAPS]]
    if not said:
        return f"{each.number} is there twice"
    more = " and more" if len(gaps) > MOST_GAPS else ""
    return f"{each.number} {', '.join(said)}{more} missing"


# --- Counters -------------------------------------------------------------------------------------


def _truth(each: Counter, some: str = "") -> str:
    return (
        f"SELECT {each.key} AS id, {each.value} AS n FROM {each.source} s "
        f"WHERE workspace_id = %s {some} GROUP BY {each.key}"
    )


def _counter(workspace_id: uuid.UUID, each: Counter) -> tuple[Check, int]:
    result = Check(CATEGORY, each.name)
    ((wanted, wrong),) = fetch(
        f"SELECT count(*), count(*) FILTER (WHERE t.{each.column} <> coalesce(c.n, 0)) "
        f"FROM {each.model._meta.db_table} t LEFT JOIN ({_truth(each)}) c ON c.id = t.id "
        "WHERE t.workspace_id = %s",
        *each.parameters, workspace_id, workspace_id,
    )  # fmt: skip
    result.expected, result.found = wanted, wanted - wrong
    if wrong:
        rows = _miscounted(workspace_id, each, MOST_NAMED)
        result.wrong_in_all((_miscount(each, *row) for row in rows), wrong)
    return result, wrong


def _miscounted(
    workspace_id: uuid.UUID, each: Counter, most: int
) -> list[tuple[uuid.UUID, int, int]]:
    """(id, what it says, what its rows say)."""
    return [
        (row_id, said, int(there))
        for row_id, said, there in fetch(
            f"SELECT t.id, t.{each.column}, coalesce(c.n, 0) FROM {each.model._meta.db_table} t "
            f"LEFT JOIN ({_truth(each)}) c ON c.id = t.id "
            f"WHERE t.workspace_id = %s AND t.{each.column} <> coalesce(c.n, 0) "
            "ORDER BY t.id LIMIT %s",
            *each.parameters, workspace_id, workspace_id, most,
        )
    ]  # fmt: skip


def _miscount(each: Counter, row_id: uuid.UUID, said: int, there: int) -> str:
    return f"{each.model._meta.verbose_name} {row_id}: {each.column} {said:,}, not {there:,}"


def _mend_counter(workspace_id: uuid.UUID, each: Counter) -> Check:
    """Batch by batch: who appends holds the parent's lock, so under it nothing moves."""
    mended: list[str] = []
    while True:
        with patient_scope(workspace_id):
            rows = _miscounted(workspace_id, each, FIXED_AT_ONCE)
            ids = [row_id for row_id, _, _ in rows]
            # First the locks, then a statement that sees what was there when they were had.
            locked = each.model.objects.filter(pk__any_of=ids).order_by("pk")
            list(locked.select_for_update(no_key=True).values_list("pk"))
            with connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE {each.model._meta.db_table} t SET {each.column} = coalesce(c.n, 0) "
                    f"FROM unnest(%s::uuid[]) AS i (id) LEFT JOIN "
                    f"({_truth(each, f'AND {each.key} = ANY(%s)')}) c ON c.id = i.id "
                    "WHERE t.workspace_id = %s AND t.id = i.id",
                    [ids, *each.parameters, workspace_id, ids, workspace_id],
                )
        mended += [_miscount(each, *row) for row in rows]
        if len(rows) < FIXED_AT_ONCE:
            break
    with patient_scope(workspace_id):
        result, _ = _counter(workspace_id, each)
    for text in mended:
        result.mended(text)
    return result


# --- References -----------------------------------------------------------------------------------


def _references(workspace_id: uuid.UUID) -> Check:
    """Every key has its row, though the database's own constraints were off for a while. Passages
    have a check of their own."""
    result = Check(CATEGORY, "references")
    for model in scoped_models():
        if model is not Passage:
            for field in scoped_keys(model):
                target = field.remote_field.model._meta.db_table
                _pointing(result, workspace_id, model, str(field.column), target, "o.workspace_id")
    _pointing(
        result,
        workspace_id,
        Membership,
        "user_id",
        get_user_model()._meta.db_table,
        "t.workspace_id",
    )
    return result


def _pointing(
    result: Check,
    workspace_id: uuid.UUID,
    model: type[WorkspaceRow],
    column: str,
    target: str,
    workspace: str,
) -> None:
    """`workspace` is the column that says whose the target is; users are nobody's."""
    table = model._meta.db_table
    ((wanted, there, lost),) = fetch(
        "SELECT count(*), count(o.id), "
        "(array_agg(t.id ORDER BY t.id) FILTER (WHERE o.id IS NULL))[:%s] "
        f"FROM {table} t LEFT JOIN {target} o ON o.id = t.{column} "
        f"AND {workspace} = t.workspace_id WHERE t.workspace_id = %s AND t.{column} IS NOT NULL",
        MOST_NAMED, workspace_id,
    )  # fmt: skip
    result.expected += wanted
    result.found += there
    problems = (
        f"{table} {row_id}: {column} points at nothing in {target}" for row_id in lost or ()
    )
    result.wrong_in_all(problems, wanted - there)


def _places(workspace_id: uuid.UUID) -> Check:
    """Messages and threads under a thread are in its session."""
    result = Check(CATEGORY, "sessions of threads")
    thread = Thread._meta.db_table
    for table, key in ((_MESSAGE, "thread_id"), (thread, "parent_id")):
        ((wanted, wrong, lost),) = fetch(
            "SELECT count(*), count(*) FILTER (WHERE m.session_id <> t.session_id), "
            "(array_agg(m.id ORDER BY m.id) FILTER (WHERE m.session_id <> t.session_id))[:%s] "
            f"FROM {table} m JOIN {thread} t ON t.workspace_id = m.workspace_id "
            f"AND t.id = m.{key} WHERE m.workspace_id = %s",
            MOST_NAMED, workspace_id,
        )  # fmt: skip
        result.expected += wanted
        result.found += wanted - wrong
        problems = (
            f"{table} {row_id} is in another session than its thread" for row_id in lost or ()
        )
        result.wrong_in_all(problems, wrong)
    return result


def _raw_lines(workspace_id: uuid.UUID) -> Check:
    """A kept line is what its digest says; not told of lines with bytes that no text can hold,
    which stand as escapes, nor of those a secret was taken from, since digests are of the file's,
    nor of those that retention emptied."""
    result = Check(CATEGORY, "raw lines")
    ((wanted, wrong, lost),) = fetch(
        "SELECT count(*), count(*) FILTER (WHERE bad), "
        "(array_agg(id ORDER BY id) FILTER (WHERE bad))[:%s] FROM (SELECT id, "
        "sha256(convert_to(raw, 'UTF8')) <> digest AND raw <> '' "
        "AND raw !~ '\\\\x[0-9a-f]{2}|\\[REDACTED:' AS bad "
        f"FROM {RawLine._meta.db_table} WHERE workspace_id = %s) l",
        MOST_NAMED, workspace_id,
    )  # fmt: skip
    result.expected, result.found = wanted, wanted - wrong
    result.wrong_in_all(
        (f"{row_id} is not what was read from the file" for row_id in lost or ()), wrong
    )
    return result


def _on_record(workspace_id: uuid.UUID) -> Check:
    """What people and agents can change has a Revision at least, of its creation."""
    result = Check(CATEGORY, "rows on record")
    for model in scoped_models():
        # An import's run is its own history.
        if not issubclass(model, VersionedRow) or model is ImportRun:
            continue
        table = model._meta.db_table
        ((wanted, there, lost),) = fetch(
            "SELECT count(*), count(r.object_id), "
            "(array_agg(t.id ORDER BY t.id) FILTER (WHERE r.object_id IS NULL))[:%s] "
            f"FROM {table} t LEFT JOIN (SELECT DISTINCT object_id FROM {Revision._meta.db_table} "
            "WHERE workspace_id = %s AND model = %s) r "
            "ON r.object_id = t.id WHERE t.workspace_id = %s",
            MOST_NAMED, workspace_id, model._meta.label_lower, workspace_id,
        )  # fmt: skip
        result.expected += wanted
        result.found += there
        problems = (f"{table} {row_id} is not on record" for row_id in lost or ())
        result.wrong_in_all(problems, wanted - there)
    return result
