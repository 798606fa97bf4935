"""One model's vectors take another's place: a second space is filled beside the active one, and
then search reads that.

All state is in the database: the spaces' states, and the vectors themselves. So whoever fills a
space can be killed at any moment, and the next one goes on. Not for what is written from day to day
(embedding.py), nor for how many and how good (space_report.py).
"""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import IntegrityError, connection

from config.lib import clock
from config.lib.errors import Conflict, NotFound
from config.lib.ids import new_id
from config.lib.scope import current_workspace_id, set_local, workspace_scope
from memory.embedding import Embedder, EmbeddingError
from memory.embedding.backoff import Backoff
from memory.models import EmbeddingSpace
from memory.models.passage import COLUMNS, Lane, Slot, SpaceState
from memory.search.corpus import LEFT_READABLE
from memory.services.embedding import (
    WRITTEN_AT_ONCE,
    Due,
    make_vectors,
    write_vectors,
)
from memory.services.golden import check_job
from memory.services.queue import defer_now

# Texts in one call, and in one transaction.
FILLED_AT_ONCE = 128
# What was written while the last look ran: so few that the job has them in a moment.
NEGLIGIBLE = 20
LOOKS = 20
# Transactions that began before the space was there are waited for.
OLDEST_SECONDS = 300.0
EVERYTHING = uuid.UUID(int=2**128 - 1)

Progress = Callable[[int], None]
Trouble = Callable[[EmbeddingError, float], None]


def begin(workspace_id: uuid.UUID, embedder: Embedder) -> EmbeddingSpace:
    """The space of the embedder's model, building or already active. Opens its own scopes.

    A retired one of that model is built on. A retired one of a third model is given up. Conflict
    (`other_is_building`) where a third model is being built.
    """
    own = (embedder.provider, embedder.model, embedder.dimensions)
    with workspace_scope(workspace_id):
        spaces = _locked()
        other = next((s for s in spaces if s.state != SpaceState.ACTIVE and _key(s) != own), None)
        there = any(_key(space) == own for space in spaces)
        if other is not None and not there and other.state == SpaceState.BUILDING:
            raise Conflict(
                f"{other} is being built: finish that by its own `reembed`, or give it up with "
                "--drop.",
                code="other_is_building",
            )
    if other is not None and not there:
        give_up(workspace_id, other.id)
    with workspace_scope(workspace_id):
        spaces = _locked()
        space = next((one for one in spaces if _key(one) == own), None)
        active = next((one for one in spaces if one.state == SpaceState.ACTIVE), None)
        if space is None:
            slot = Slot.SECOND if active and active.slot == Slot.FIRST else Slot.FIRST
            new = EmbeddingSpace(
                provider=embedder.provider,
                model=embedder.model,
                dimensions=embedder.dimensions,
                state=SpaceState.BUILDING,
                slot=slot,
            )
            # Of two that begin at once, the second reads the first one's row.
            EmbeddingSpace.objects.bulk_create([new], ignore_conflicts=True)
            space = next((one for one in _locked() if _key(one) == own), None)
            if space is None:
                raise Conflict("Another model was begun at this moment.", code="other_is_building")
        elif space.state == SpaceState.RETIRED:
            space.state = SpaceState.BUILDING
            space.save(update_fields=["state"])
    return space


def fill(
    workspace_id: uuid.UUID,
    space: EmbeddingSpace,
    embedder: Embedder,
    *,
    progress: Progress,
    trouble: Trouble,
    sleep: Callable[[float], None] = time.sleep,
) -> set[uuid.UUID]:
    """Give every passage its vector in `space`; the ids of those that the provider refused. Opens
    its own scopes.

    A provider that fails is waited for, longer from time to time, and `trouble` told;
    EmbeddingError is raised where no waiting helps. What has a vector is not embedded again.
    """
    _outwait_writers(workspace_id)
    backoff, refused = Backoff(), set[uuid.UUID]()
    # Ids are of their time. What is older is complete once a look finds nothing; of what is
    # written meanwhile there is always some, which the job embeds as well.
    border = new_id()
    parts = [(uuid.UUID(int=0), border, 0), (border, EVERYTHING, NEGLIGIBLE)]
    for first, last, enough in parts:
        for _ in range(LOOKS):
            found, after = 0, first
            while batch := _missing(workspace_id, space, after, last):
                after = batch[-1].id
                batch = [due for due in batch if due.id not in refused]
                found += len(batch)
                vectors, bad = _vectors(embedder, batch, backoff, trouble, sleep)
                with workspace_scope(workspace_id):
                    set_local("synchronous_commit", "off")
                    write_vectors(space, vectors)
                refused.update(due.id for due, _ in bad)
                progress(len(vectors))
            if found <= enough:
                break
    return refused


def switch(workspace_id: uuid.UUID, space_id: uuid.UUID, *, refused: Iterable[uuid.UUID]) -> None:
    """From now on search reads this space; the other keeps its vectors, for a way back. Opens its
    own scopes.

    `refused` leave the queue. Whatever else has no vector here is queued for the job, and found by
    its words until then. The golden queries are asked by the job behind it.
    """
    with workspace_scope(workspace_id):
        slot = Slot(_space(space_id).slot)
    _queue_missing(workspace_id, space_id, slot, set(refused))
    with workspace_scope(workspace_id):
        now = clock.now()
        spaces = {one.id: one for one in _locked()}
        if space_id not in spaces:
            raise NotFound("embedding space", space_id)
        # The one that is left goes first: there is never more than one active.
        for one in sorted(spaces.values(), key=lambda one: one.id == space_id):
            wanted = SpaceState.ACTIVE if one.id == space_id else SpaceState.RETIRED
            if one.state != wanted and (one.id == space_id or one.state == SpaceState.ACTIVE):
                one.state, one.switched_at = wanted, now
                one.save(update_fields=["state", "switched_at"])
    defer_now(workspace_id, Lane.BULK)
    check_job(workspace_id, "reembed").defer()


def give_up(workspace_id: uuid.UUID, space_id: uuid.UUID) -> int:
    """Forget a space that search does not read, with its vectors; how many there were. Opens its
    own scopes. Conflict (`is_active`) for the active one."""
    with workspace_scope(workspace_id):
        spaces = {one.id: one for one in _locked()}
        space = spaces.get(space_id)
        if space is None:
            raise NotFound("embedding space", space_id)
        if space.state == SpaceState.ACTIVE:
            raise Conflict(f"Search reads {space}.", code="is_active")
        if space.state == SpaceState.BUILDING:
            # New passages name it no more.
            space.state = SpaceState.RETIRED
            space.save(update_fields=["state"])
    if space.switched_at is not None:
        # Until a moment ago queries were embedded for it.
        left = space.switched_at + LEFT_READABLE - clock.now()
        time.sleep(max(timedelta(0), left).total_seconds())
    gone, at = 0, COLUMNS[Slot(space.slot)]
    while True:
        with _patient_scope(workspace_id), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE memory_passage SET {at.vector} = NULL, {at.space} = NULL "  # noqa: S608
                "WHERE workspace_id = %s AND id IN (SELECT id FROM memory_passage "
                f"WHERE workspace_id = %s AND {at.space} = %s LIMIT %s)",
                [workspace_id, workspace_id, space_id, WRITTEN_AT_ONCE],
            )
            gone += cursor.rowcount
            if cursor.rowcount == WRITTEN_AT_ONCE:
                continue
        try:
            with _patient_scope(workspace_id), connection.cursor() as cursor:
                cursor.execute(
                    "DELETE FROM memory_embeddingspace WHERE workspace_id = %s AND id = %s",
                    [workspace_id, space_id],
                )
            return gone
        except IntegrityError:
            continue  # a writer named it in between


def left_space(workspace_id: uuid.UUID) -> EmbeddingSpace:
    """The space that search read before, for a way back. Conflict (`nothing_left`) without one."""
    with workspace_scope(workspace_id):
        rows = EmbeddingSpace.objects.exclude(state=SpaceState.ACTIVE).exclude(switched_at=None)
        space = rows.first()
    if space is None:
        raise Conflict(
            "There is no space to go back to: none was left, or it was given up.",
            code="nothing_left",
        )
    return space


def _key(space: EmbeddingSpace) -> tuple[str, str, int]:
    return space.provider, space.model, space.dimensions


def _locked() -> list[EmbeddingSpace]:
    return list(EmbeddingSpace.objects.select_for_update(no_key=True).order_by("id"))


def _space(space_id: uuid.UUID) -> EmbeddingSpace:
    space = EmbeddingSpace.objects.filter(pk=space_id).first()
    if space is None:
        raise NotFound("embedding space", space_id)
    return space


def _missing(
    workspace_id: uuid.UUID, space: EmbeddingSpace, after: uuid.UUID, last: uuid.UUID
) -> list[Due]:
    """The next passages without a vector in `space`. Index memory_passage_pkey: those that have
    one are read over."""
    at = COLUMNS[Slot(space.slot)]
    with _patient_scope(workspace_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, lane, text FROM memory_passage WHERE workspace_id = %s AND id > %s "  # noqa: S608
            f"AND id <= %s AND {at.vector} IS NULL ORDER BY id LIMIT %s",
            [workspace_id, after, last, FILLED_AT_ONCE],
        )
        return [Due(*row) for row in cursor.fetchall()]


def _vectors(
    embedder: Embedder,
    batch: list[Due],
    backoff: Backoff,
    trouble: Trouble,
    sleep: Callable[[float], None],
) -> tuple[list[tuple[Due, str]], list[tuple[Due, str]]]:
    while batch:
        try:
            made = make_vectors(embedder, batch)
        except EmbeddingError as error:
            if not error.retryable:
                raise
            wait = backoff.failed(embedder.model, error.retry_after)
            trouble(error, wait)
            sleep(wait)
        else:
            backoff.passed(embedder.model)
            return made
    return [], []


def _outwait_writers(workspace_id: uuid.UUID) -> None:
    """Until every transaction that may not have seen the space has ended: what it wrote would be
    looked for before it is there."""
    with workspace_scope(workspace_id), connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        (own,) = cursor.fetchone()
    deadline = time.monotonic() + OLDEST_SECONDS
    while True:
        with workspace_scope(workspace_id), connection.cursor() as cursor:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            (oldest,) = cursor.fetchone()
        if oldest > own:
            return
        if time.monotonic() > deadline:
            raise Conflict(
                "A transaction has been open for minutes; a passage of it might be missed. End it "
                "and run this again.",
                code="old_transaction",
            )
        time.sleep(0.05)


def _queue_missing(
    workspace_id: uuid.UUID, space_id: uuid.UUID, slot: Slot, refused: set[uuid.UUID]
) -> None:
    """What has no vector in the space waits for it, or is out of the queue if it was refused."""
    at = COLUMNS[slot]
    # The first slot's index of what waits is of every row without a vector.
    mark = f", {at.space} = %s" if slot is Slot.SECOND else ""
    last = uuid.UUID(int=0)
    while True:
        with _patient_scope(workspace_id), connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM memory_passage WHERE workspace_id = %s AND id > %s "  # noqa: S608
                f"AND {at.vector} IS NULL ORDER BY id LIMIT %s FOR NO KEY UPDATE",
                [workspace_id, last, WRITTEN_AT_ONCE],
            )
            ids = [row_id for (row_id,) in cursor.fetchall()]
            for lane, which in (
                (Lane.REFUSED, [one for one in ids if one in refused]),
                (Lane.BULK, [one for one in ids if one not in refused]),
            ):
                cursor.execute(
                    f"UPDATE memory_passage SET lane = %s{mark} "  # noqa: S608
                    f"WHERE workspace_id = %s AND id = ANY(%s) AND {at.vector} IS NULL",
                    [lane.value, *([space_id] if mark else []), current_workspace_id(), which],
                )
        if len(ids) < WRITTEN_AT_ONCE:
            return
        last = ids[-1]


@contextmanager
def _patient_scope(workspace_id: uuid.UUID) -> Iterator[None]:
    """A workspace's scope whose statements may take long: they read over all passages."""
    with workspace_scope(workspace_id):
        set_local("statement_timeout", "0")
        yield
