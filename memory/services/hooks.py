"""Payloads of hooks: kept raw at once, mapped in order, mapped again where that failed.

A request only keeps the payload. It is mapped under the stream's lock, in the order in which the
session's payloads came: right after the answer was sent, or before it where the agent waits for
context. What that leaves (somebody else holds the stream, too much comes at once, the database
would not) the job maps. Not for what a payload says (memory/hooks) nor what is written of it
(hook_mapping.py).
"""

import hashlib
import threading
import time
import uuid
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction

from config.lib import clock
from config.lib.body import UnreadableBody, parse_json
from config.lib.errors import DomainError, NoRoom, NotFound
from config.lib.ids import new_id
from config.lib.jobs import Job
from config.lib.redact import redact, redact_text
from config.lib.scope import current_workspace_id, workspace_scope
from config.lib.writing import admit
from contacts.models import ApiKey
from contacts.services import funnel
from memory.hooks.dialects import DIALECTS, Dialect
from memory.hooks.forms import Form, Kind, Payload, Unmapped
from memory.importers.storable import Storable
from memory.models import HookPayload, HookStream
from memory.models.hooks import PayloadState
from memory.services.hook_mapping import apply
from memory.services.hook_streams import is_erased, lock_stream

log = structlog.get_logger()

MAP_TASK, QUEUE = "memory.map_hooks", "hooks"
# Before vectors and everything else: an operator watches a session as it goes.
PRIORITY = 10
BATCH = 50
REQUEST_BATCH = 10
MOST_ENDS = 5
HEADS = 500
ATTEMPTS = 3
# A machine's clock may be wrong by any amount; the time between two of its readings is not.
LONGEST_AGE = timedelta(days=30)
_PLAIN_ID = 120

_one_at_a_time = threading.Lock()

_INSERT = """
    INSERT INTO memory_hookpayload
           (id, workspace_id, created_at, agent_id, key_id, dialect, session_name, event,
            dedupe_key, payload, raw, host, occurred_at, claimed_at, state, reason, attempts,
            repeats, answer, answered)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, '', 0,
            0, '{}', false)
    ON CONFLICT (workspace_id, dialect, session_name, event, dedupe_key)
    DO UPDATE SET repeats = memory_hookpayload.repeats + 1
    RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sender says beside the payload. `fired_at` and `sent_at` are by its own clock."""

    delivery: str = ""
    host: str = ""
    fired_at: datetime | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A payload that is on disk. `form` is None where nothing could be read from it."""

    id: uuid.UUID
    is_new: bool
    dialect: Dialect
    session_name: str
    event: str
    form: Form | None


def find_dialect(name: str) -> Dialect:
    """Or NotFound, naming those there are."""
    dialect = DIALECTS.get(name)
    if dialect is None:
        raise NotFound("agent", name, where=f"; there are {', '.join(DIALECTS)}")
    return dialect


# --- Keeping ----------------------------------------------------------------------------------


def keep_payload(*, key: ApiKey, dialect: Dialect, event: str, body: bytes, sent: Sent) -> Kept:
    """Store a body as it came, without its secrets; once, however often it is sent.

    In a scope. What is no JSON object is stored as text, to be seen by the operator. Of a session
    that was erased nothing is.
    """
    value, raw = _read(body)
    payload = Payload(value)
    session_name, name = dialect.names(payload, redact_text(event))
    if session_name and is_erased(dialect.name, session_name):
        # The agent is told nothing: its hook must not fail for it.
        return Kept(new_id(), False, dialect, session_name, name, None)
    form = None if raw else _form_of(dialect, payload, name)
    fired_at = sent.fired_at or (form.claimed_at if form is not None else None)
    now = clock.now()
    payload_id = new_id()
    admit()
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                payload_id, current_workspace_id(), now, key.agent_id, key.pk, dialect.name,
                session_name, name, _dedupe_key(form, value, raw, sent),
                orjson.dumps(value).decode(), raw, redact_text(sent.host),
                _occurred_at(fired_at, sent.sent_at, now), fired_at, PayloadState.WAITING.value,
            ],
        )  # fmt: skip
        (stored,) = cursor.fetchone()
    return Kept(stored, stored == payload_id, dialect, session_name, name, form)


def _form_of(dialect: Dialect, payload: Payload, event: str) -> Form | None:
    try:
        return dialect.read(payload, event)
    except Unmapped:
        pass  # the mapping will say why
    except Exception:
        log.exception("hook_not_read", dialect=dialect.name, hook=event)
    return None


def _read(body: bytes) -> tuple[dict[str, Any], str]:
    """(the object in `body`, ''), or ({}, the body as text); both storable, without secrets."""
    try:
        # PowerShell begins what it pipes with the mark.
        value = parse_json(body.removeprefix(BOM_UTF8))
    except UnreadableBody:
        value = None
    if isinstance(value, dict):
        clean: dict[str, Any] = Storable().json(
            redact(value, personal=True), settings.MAX_BODY_BYTES
        )
        return clean, ""
    text = body.decode("utf-8", errors="backslashreplace").replace("\x00", "\\x00")
    return {}, redact_text(text, personal=True)


def _dedupe_key(form: Form | None, value: dict[str, Any], raw: str, sent: Sent) -> str:
    """What makes the payload one of its session and event: the tool call's id; a prompt's id and
    text; else its content, with the delivery's own name where it has one, since an agent may well
    say the same thing twice."""
    if form is not None and form.kind in (Kind.TOOL_USE, Kind.TOOL_RESULT) and form.tool_use_id:
        return f"tool:{_short_id(form.tool_use_id)}"
    if form is not None and form.kind is Kind.PROMPT and form.prompt_id:
        digest = hashlib.sha256(form.text.encode()).hexdigest()[:16]
        return f"prompt:{_short_id(form.prompt_id)}:{digest}"
    fired = sent.fired_at.isoformat() if sent.fired_at else ""
    content = raw.encode() if raw else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    named = f"\n{sent.delivery or fired}".encode()
    return f"hash:{hashlib.sha256(content + named).hexdigest()}"


def _short_id(text: str) -> str:
    plain = text.isascii() and text.isprintable() and len(text) <= _PLAIN_ID
    return text if plain else hashlib.sha256(text.encode()).hexdigest()


def _occurred_at(fired_at: datetime | None, sent_at: datetime | None, now: datetime) -> datetime:
    """Our clock rules; what the sender's says is how long the payload was on its way."""
    if fired_at is None or sent_at is None:
        return now
    return now - min(max(sent_at - fired_at, timedelta(0)), LONGEST_AGE)


def map_job(workspace_id: uuid.UUID) -> Job:
    return Job(
        task=MAP_TASK,
        queue=QUEUE,
        lock=f"hooks:{workspace_id}",
        arguments={"workspace_id": str(workspace_id)},
        priority=PRIORITY,
        # A stream of payloads must not take every place that jobs run in.
        alone=True,
    )


# --- Mapping ----------------------------------------------------------------------------------


def map_now(kept: Kept) -> None:
    """Map what the payload's session has waiting, in the scope that kept it. What cannot be mapped
    now is left to the job, and never undoes the keeping."""
    left = True
    try:
        with transaction.atomic():
            if kept.form is not None and kept.form.detail == "clear":
                _map_ends(kept)
            stream = lock_stream(kept.dialect.name, kept.session_name, wait=False)
            # One of more than a batch has its turn with the job.
            left = stream is None or _map_stream(stream, limit=REQUEST_BATCH) == REQUEST_BATCH
    except (IntegrityError, OperationalError) as error:
        log.warning("hook_mapped_later", payload=str(kept.id), error=type(error).__name__)
    if left:
        map_job(current_workspace_id()).defer_on_commit()


def _map_ends(kept: Kept) -> None:
    """The end of the session that was cleared says which conversation goes on; it may wait yet."""
    waiting = HookPayload.objects.filter(state=PayloadState.WAITING, dialect=kept.dialect.name)
    others = waiting.exclude(session_name=kept.session_name).order_by("id")
    names = list(others.values_list("session_name", flat=True)[:HEADS])
    for name in dict.fromkeys(names[-MOST_ENDS:]):
        stream = lock_stream(kept.dialect.name, name, wait=False)
        if stream is not None:
            _map_stream(stream, limit=REQUEST_BATCH)


def map_after(workspace_id: uuid.UUID, kept: Kept) -> None:
    """As `map_now`, once the payload is committed, outside any scope. Never raises.

    One thread of a process at a time: where more comes than can be mapped at once, the job does it,
    and the other threads go on answering.
    """
    mapped: int | None = None
    if _one_at_a_time.acquire(blocking=False):
        try:
            mapped = map_session(workspace_id, kept.dialect.name, kept.session_name)
        except Exception as error:
            log.warning("hook_mapped_later", payload=str(kept.id), error=repr(error))
        finally:
            _one_at_a_time.release()
    if mapped is None or mapped == BATCH:
        map_job(workspace_id).defer()


def map_waiting(workspace_id: uuid.UUID, *, seconds: float) -> bool:
    """Map what waits in a workspace, for so long; whether something still does. Outside any scope.

    A session that somebody else is mapping is left to them. Index hookpayload_waiting.
    """
    end = time.monotonic() + seconds
    while True:
        with workspace_scope(workspace_id):
            waiting = HookPayload.objects.filter(state=PayloadState.WAITING).order_by("id")
            heads = list(waiting.values_list("dialect", "session_name")[:HEADS])
        if not heads:
            return False
        done = 0
        for dialect, session_name in dict.fromkeys(heads):
            done += map_session(workspace_id, dialect, session_name) or 0
            if time.monotonic() > end:
                return True
        if not done:
            return False


def map_session(workspace_id: uuid.UUID, dialect: str, session_name: str) -> int | None:
    """Map what waits of one session, up to a batch, in one transaction; how many. Outside any
    scope. None while somebody else holds the session's stream."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with workspace_scope(workspace_id):
                stream = lock_stream(dialect, session_name, wait=False)
                return None if stream is None else _map_stream(stream)
        except (IntegrityError, OperationalError):
            # Somebody wrote the same rows meanwhile, or a deadlock chose us.
            if attempt == ATTEMPTS:
                raise
    return None


def _map_stream(stream: HookStream, *, limit: int = BATCH) -> int:
    waiting = HookPayload.objects.select_related("agent").filter(
        state=PayloadState.WAITING, dialect=stream.dialect, session_name=stream.session_name
    )
    rows = list(waiting.order_by("id")[:limit])
    for row in rows:
        _map_one(stream, row)
    return len(rows)


def _map_one(stream: HookStream, row: HookPayload) -> None:
    """Map a payload; what goes wrong is written down with it and stops nothing else."""
    told: dict[str, Any]
    try:
        if row.raw:
            raise Unmapped("is no JSON object")
        form = find_dialect(row.dialect).read(Payload(row.payload), row.event)
        with transaction.atomic():
            session = apply(stream=stream, row=row, form=form)
        if form.fresh and row.created_at > (stream.fresh_since or row.created_at - LONGEST_AGE):
            funnel.touch(stream, fresh_since=row.created_at)
        told = {"state": PayloadState.MAPPED, "reason": "", "mapped_at": clock.now()}
        if session is not None:
            told["session_id"] = session.pk
    except Unmapped as error:
        told = {"state": PayloadState.UNMAPPED, "reason": str(error)[:500]}
    except (IntegrityError, OperationalError, NoRoom):
        raise
    except DomainError as error:
        told = {"state": PayloadState.FAILED, "reason": error.detail[:500]}
    except Exception as error:
        log.exception("hook_not_mapped", payload=str(row.pk), dialect=row.dialect)
        told = {"state": PayloadState.FAILED, "reason": f"{type(error).__name__}: {error}"[:500]}
    told["reason"] = Storable().text(told["reason"])[:500]
    # The stream may have changed in a savepoint that was undone.
    if told["state"] is PayloadState.FAILED:
        stream.refresh_from_db()
    funnel.touch(row, attempts=row.attempts + 1, **told)


def remap(workspace_id: uuid.UUID, *, states: Sequence[str], dialect: str = "") -> dict[str, int]:
    """Map again what is in one of `states`, oldest first; how many came to be in which state.

    Outside any scope. Nothing is written twice: what a payload writes has the payload's name.
    """
    counts: dict[str, int] = {}
    last: uuid.UUID | None = None
    while True:
        with workspace_scope(workspace_id):
            rows = HookPayload.objects.filter(state__in=states).order_by("id")
            if dialect:
                rows = rows.filter(dialect=dialect)
            if last is not None:
                rows = rows.filter(id__gt=last)
            batch = list(rows[:BATCH])
            if not batch:
                return counts
            for row in batch:
                if row.raw:
                    _read_again(row)
            ids = [row.pk for row in batch]
            streams = dict.fromkeys((row.dialect, row.session_name) for row in batch)
            HookPayload.objects.filter(pk__in=ids).update(state=PayloadState.WAITING)
            last = ids[-1]
        for name, session_name in streams:
            while map_session(workspace_id, name, session_name):
                pass
        with workspace_scope(workspace_id):
            found = HookPayload.objects.filter(pk__in=ids).values_list("state", flat=True)
            for state in found:
                counts[state] = counts.get(state, 0) + 1


def _read_again(row: HookPayload) -> None:
    """A body that an earlier version read as no object, where this one does: under the names that
    it has. Left as it is where the same has come again since."""
    value, raw = _read(row.raw.encode())
    if raw:
        return
    dialect, payload = find_dialect(row.dialect), Payload(value)
    session_name, event = dialect.names(payload, row.event)
    form = _form_of(dialect, payload, event)
    # What had no id of its own stays told apart by its delivery.
    key = _dedupe_key(form, value, "", Sent(delivery=row.dedupe_key))
    try:
        with transaction.atomic():
            funnel.touch(
                row, payload=value, raw="", session_name=session_name, event=event, dedupe_key=key
            )
    except IntegrityError:
        row.refresh_from_db()


def map_again(*, row: HookPayload) -> HookPayload:
    """One payload, in a scope (an operator's button)."""
    if row.raw:
        _read_again(row)
    stream = lock_stream(row.dialect, row.session_name, wait=True)
    assert stream is not None  # waited for
    fresh = HookPayload.objects.select_related("agent").get(pk=row.pk)
    _map_one(stream, fresh)
    return fresh
