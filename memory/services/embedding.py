"""Vectors for passages: taken from the queue, made outside any transaction, written if still due.

The queue is the passages without a vector themselves: first what somebody waits for, then what
imports brought, the newest first. Jobs (memory/tasks.py) only say "look there". Not for the
models (memory/embedding) or the query's vector (search/vectors.py).
"""

import threading
import time
import uuid
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import structlog
from django.db import connection
from django.db.models import Q

from config.lib.scope import current_workspace_id, set_local, workspace_scope
from memory.embedding import Embedder, EmbeddingError, embedder_for, get_embedder
from memory.models import EmbeddingSpace, Passage
from memory.models.passage import COLUMNS, PENDING, Lane, Slot, SpaceState
from memory.search.vectors import as_text
from memory.selectors_spaces import waiting_passages

log = structlog.get_logger()

# At most, and no more characters than the embedder's turn; larger batches are not faster (the
# embedder sorts and splits by length anyway).
BATCH = 64
# Then the next workspace has its turn. A job that only drains bulk is shorter: an interactive
# write of another workspace may find every job slot taken by such jobs.
SLICE_SECONDS = {Lane.INTERACTIVE: 2.0, Lane.BULK: 0.75}
# Each row is written again with all its index entries, so a statement takes about a second.
WRITTEN_AT_ONCE = 500
# Refused texts are looked at one by one; this one every embedder takes.
PROBE = "the quick brown fox"


@dataclass(slots=True)
class Report:
    """What one slice did, and the lane of the most urgent passage that still waits."""

    batches: int = 0
    embedded: int = 0
    refused: int = 0
    skipped: int = 0
    waiting: Lane | None = None


# Workspaces that a thread of this process works on. A second job on one would embed the same
# texts twice; across processes that costs time and nothing else, since writing is conditional.
_busy: set[uuid.UUID] = set()
_again: set[uuid.UUID] = set()
_lock = threading.Lock()


def embed_pending(
    workspace_id: uuid.UUID, *, seconds: float, embedder: Embedder | None = None
) -> Report:
    """Embed what waits, until nothing does or the time is up, but one batch at least. Opens its
    own scopes.

    By the model of the workspace's active space; `embedder`, else the configured one, is for a
    workspace that has none yet. What was written since a second space began to be built gets its
    vector there too, afterwards. Where another thread is at it, that one is told to look again,
    and this call does nothing. Raises EmbeddingError when the active space's provider fails.
    """
    embedder = embedder or get_embedder()
    if embedder is None:
        return Report()
    with _lock:
        if workspace_id in _busy:
            _again.add(workspace_id)
            return Report()
        _busy.add(workspace_id)
    try:
        report = Report()
        end = time.monotonic() + seconds
        while _embed_active(workspace_id, embedder, end, report) or not _leave(
            workspace_id, report
        ):
            pass
    except BaseException:
        with _lock:
            _busy.discard(workspace_id)
            _again.discard(workspace_id)
        raise
    if report.waiting is None and report.embedded:
        _embed_second(workspace_id, embedder, end)
    return report


def _leave(workspace_id: uuid.UUID, report: Report) -> bool:
    """Let go of the workspace, unless somebody asked to look again since nothing was found.

    Afterwards a newcomer finds it free and looks for itself, so nothing falls in between.
    """
    with _lock:
        asked = workspace_id in _again
        _again.discard(workspace_id)
        if asked and report.waiting is None:
            return False
        _busy.discard(workspace_id)
        return True


def provider_of(workspace_id: uuid.UUID) -> str:
    """Which provider embeds for a workspace, as a name to keep failures apart by."""
    with workspace_scope(workspace_id):
        space = EmbeddingSpace.objects.filter(state=SpaceState.ACTIVE).first()
    return f"{space.provider} {space.model}" if space else ""


def embedder_of(space: EmbeddingSpace, configured: Embedder) -> Embedder:
    """Raises EmbeddingError where the settings have none for the space's model."""
    wanted: Any = {"provider": space.provider, "model": space.model}
    return embedder_for(configured, **wanted, dimensions=space.dimensions) or configured


def _embed_active(
    workspace_id: uuid.UUID, configured: Embedder, end: float, report: Report
) -> bool:
    """One batch; False when nothing waits or the time is up."""
    with workspace_scope(workspace_id):
        space = ensure_space(configured)
        embedder = embedder_of(space, configured)
        batch = _next_batch(PENDING[Slot(space.slot)], embedder.turn_characters)
    if not batch:
        return False
    if time.monotonic() >= end and report.batches:
        report.waiting = Lane(batch[0].lane)
        return False
    report.batches += 1
    vectors, refused = make_vectors(embedder, batch)
    with workspace_scope(workspace_id):
        # Lost in a crash, they are made again: nobody was promised them.
        set_local("synchronous_commit", "off")
        written = write_vectors(space, vectors)
        _refuse(refused)
    report.embedded += written
    report.skipped += len(vectors) - written
    report.refused += len(refused)
    return True


def _embed_second(workspace_id: uuid.UUID, configured: Embedder, end: float) -> None:
    """What came since a second space is being built, into that one as well. The rest is the
    command's (services/spaces.py), and so is all that fails here."""
    try:
        while time.monotonic() < end:
            with workspace_scope(workspace_id):
                space = EmbeddingSpace.objects.filter(state=SpaceState.BUILDING).first()
                if space is None:
                    return
                embedder = embedder_of(space, configured)
                # Ids are of their time, the space's own too.
                due = PENDING[Slot(space.slot)] & Q(id__gt=space.id)
                batch = _next_batch(due, embedder.turn_characters)
            if not batch:
                return
            vectors, refused = make_vectors(embedder, batch)
            with workspace_scope(workspace_id):
                set_local("synchronous_commit", "off")
                write_vectors(space, vectors)
                # They have their vector in the active space, where the lane says nothing now.
                _refuse(refused)
    except EmbeddingError as error:
        log.warning("second_space_failed", workspace=str(workspace_id), error=str(error))


@dataclass(frozen=True, slots=True)
class Due:
    id: uuid.UUID
    lane: int
    text: str


def _next_batch(due: Q, characters: int) -> list[Due]:
    """Index passage_pending or passage_second_pending: the most urgent lane, its newest rows, one
    at least and otherwise as many as have `characters` together. Lanes do not mix, so that a lone
    interactive text is not kept back by others."""
    for lane in (Lane.INTERACTIVE, Lane.BULK):
        rows = (
            Passage.objects.filter(due, lane=lane)
            .order_by("-id")
            .values_list("id", "lane", "text")[:BATCH]
        )
        found = [Due(*row) for row in rows]
        if found:
            sums = list(accumulate(len(due.text) for due in found))
            return found[: max(1, bisect_right(sums, characters))]
    return []


def make_vectors(
    embedder: Embedder, batch: Sequence[Due]
) -> tuple[list[tuple[Due, str]], list[tuple[Due, str]]]:
    """(text with vector, text with the reason why it was refused).

    Raises EmbeddingError when it is the provider that fails and not a text.
    """
    try:
        rows = embedder.embed([due.text for due in batch])
    except EmbeddingError as error:
        if error.retryable:
            raise
        # A probe that fails too says that no text would pass (a wrong key, a wrong model).
        embedder.embed([PROBE])
        return _embed_singly(embedder, batch)
    return [(due, as_text(row.tolist())) for due, row in zip(batch, rows, strict=True)], []


def _embed_singly(
    embedder: Embedder, batch: Sequence[Due]
) -> tuple[list[tuple[Due, str]], list[tuple[Due, str]]]:
    made: list[tuple[Due, str]] = []
    refused: list[tuple[Due, str]] = []
    for due in batch:
        try:
            made.append((due, as_text(embedder.embed([due.text])[0].tolist())))
        except EmbeddingError as error:
            if error.retryable:
                raise
            refused.append((due, str(error)))
    return made, refused


def write_vectors(space: EmbeddingSpace, vectors: Sequence[tuple[Due, str]]) -> int:
    """Store the vectors of texts that are still the same and still without one; how many.

    A row that another transaction is writing is left out, not waited for: two that embed the same
    rows would wait for each other in a circle. It is found again while it has none.
    """
    if not vectors:
        return 0
    into = COLUMNS[Slot(space.slot)]
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH free AS MATERIALIZED (SELECT id, text FROM memory_passage "  # noqa: S608
            f"WHERE workspace_id = %s AND id = ANY(%s::uuid[]) AND {into.vector} IS NULL "
            "FOR NO KEY UPDATE SKIP LOCKED) "
            f"UPDATE memory_passage p SET {into.vector} = v.vector::halfvec, {into.space} = %s "
            "FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS v (id, text, vector) "
            "JOIN free ON free.id = v.id AND free.text = v.text "
            "WHERE p.workspace_id = %s AND p.id = free.id",
            [
                current_workspace_id(),
                [due.id for due, _ in vectors],
                space.id,
                [due.id for due, _ in vectors],
                [due.text for due, _ in vectors],
                [vector for _, vector in vectors],
                current_workspace_id(),
            ],
        )
        return int(cursor.rowcount)


def _refuse(refused: Sequence[tuple[Due, str]]) -> None:
    """Out of the queue, so that what follows gets its turn; found by words all the same."""
    for due, reason in refused:
        Passage.objects.filter(pk=due.id, text=due.text).update(lane=Lane.REFUSED)
        log.warning("passage_refused", passage=str(due.id), reason=reason)


def ensure_space(embedder: Embedder) -> EmbeddingSpace:
    """The active space; where there is none, one of the embedder's model, made on first use."""
    space = EmbeddingSpace.objects.filter(state=SpaceState.ACTIVE).first()
    if space is not None:
        return space
    own = {
        "provider": embedder.provider,
        "model": embedder.model,
        "dimensions": embedder.dimensions,
    }
    if not EmbeddingSpace.objects.filter(**own).update(state=SpaceState.ACTIVE):
        taken = set(EmbeddingSpace.objects.values_list("slot", flat=True))
        free = next((slot for slot in Slot if slot not in taken), Slot.FIRST)
        # Two processes may be the first at once; then the other one's row is read.
        EmbeddingSpace.objects.bulk_create(
            [EmbeddingSpace(**own, state=SpaceState.ACTIVE, slot=free)], ignore_conflicts=True
        )
    space = EmbeddingSpace.objects.filter(state=SpaceState.ACTIVE).first()
    if space is None:
        raise EmbeddingError(
            "no embedding space is active, and both slots are taken: `manage.py reembed` makes one "
            "of them the active one"
        )
    return space


def renew_refused(workspace_id: uuid.UUID) -> None:
    """Queue again what the embedder refused. Opens its own scope."""
    with workspace_scope(workspace_id):
        waiting_passages().filter(lane=Lane.REFUSED).update(lane=Lane.BULK)


def has_pending(lane: Lane) -> bool:
    """Index passage_pending or passage_second_pending."""
    return bool(waiting_passages().filter(lane=lane).exists())
