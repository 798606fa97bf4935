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

import structlog
from django.db import connection
from django.db.models import QuerySet

from config.lib.scope import current_workspace_id, set_local, workspace_scope
from memory.embedding import Embedder, EmbeddingError, get_embedder
from memory.models import EmbeddingSpace, Passage
from memory.models.passage import Lane, SpaceState
from memory.search.vectors import as_text

log = structlog.get_logger()

# At most, and no more characters than the embedder's turn; larger batches are not faster (the
# embedder sorts and splits by length anyway).
BATCH = 64
# Then the next workspace has its turn. A job that only drains bulk is shorter: an interactive
# write of another workspace may find every job slot taken by such jobs.
SLICE_SECONDS = {Lane.INTERACTIVE: 2.0, Lane.BULK: 0.75}
# Each row is written again with all its index entries, so a statement takes about a second.
RENEWED_AT_ONCE = 500
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


class WrongSpaceError(Exception):
    """The workspace's vectors are of another model than the configured one."""


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

    Where another thread is at it, that one is told to look again, and this call does nothing.
    Raises EmbeddingError when the provider fails, WrongSpaceError when it is not the index's.
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
        while _embed_batch(workspace_id, embedder, end, report) or not _leave(workspace_id, report):
            pass
        return report
    except BaseException:
        with _lock:
            _busy.discard(workspace_id)
            _again.discard(workspace_id)
        raise


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


def _embed_batch(workspace_id: uuid.UUID, embedder: Embedder, end: float, report: Report) -> bool:
    """One batch; False when nothing waits or the time is up."""
    with workspace_scope(workspace_id):
        space = ensure_space(embedder)
        batch = _next_batch(embedder.turn_characters)
    if not batch:
        return False
    if time.monotonic() >= end and report.batches:
        report.waiting = Lane(batch[0].lane)
        return False
    report.batches += 1
    vectors, refused = _embed(embedder, batch)
    with workspace_scope(workspace_id):
        # Lost in a crash, they are made again: nobody was promised them.
        set_local("synchronous_commit", "off")
        written = _write(space.id, vectors)
        _refuse(refused)
    report.embedded += written
    report.skipped += len(vectors) - written
    report.refused += len(refused)
    return True


@dataclass(frozen=True, slots=True)
class Due:
    id: uuid.UUID
    lane: int
    text: str


def _next_batch(characters: int) -> list[Due]:
    """Index passage_pending: the most urgent lane, its newest rows, one at least and otherwise as
    many as have `characters` together. Lanes do not mix, so that a lone interactive text is not
    kept back by others."""
    for lane in (Lane.INTERACTIVE, Lane.BULK):
        rows = (
            Passage.objects.filter(embedding=None, lane=lane)
            .order_by("-id")
            .values_list("id", "lane", "text")[:BATCH]
        )
        found = [Due(*row) for row in rows]
        if found:
            sums = list(accumulate(len(due.text) for due in found))
            return found[: max(1, bisect_right(sums, characters))]
    return []


def _embed(
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


def _write(space_id: uuid.UUID, vectors: Sequence[tuple[Due, str]]) -> int:
    """Store the vectors of texts that are still the same and still without one; how many."""
    if not vectors:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE memory_passage p SET embedding = v.vector::halfvec, space_id = %s "
            "FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS v (id, text, vector) "
            "WHERE p.workspace_id = %s AND p.id = v.id AND p.text = v.text "
            "AND p.embedding IS NULL",
            [
                space_id,
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
    """The active space of the embedder's model, made on first use. Raises WrongSpaceError."""
    space = EmbeddingSpace.objects.filter(state=SpaceState.ACTIVE).first()
    wanted = (embedder.provider, embedder.model, embedder.dimensions)
    if space is None and not _of_model(embedder).update(state=SpaceState.ACTIVE):
        # Two processes may be the first at once; then the other one's row is read.
        EmbeddingSpace.objects.bulk_create(
            [
                EmbeddingSpace(
                    provider=embedder.provider,
                    model=embedder.model,
                    dimensions=embedder.dimensions,
                    state=SpaceState.ACTIVE,
                )
            ],
            ignore_conflicts=True,
        )
    space = space or EmbeddingSpace.objects.get(state=SpaceState.ACTIVE)
    if (space.provider, space.model, space.dimensions) != wanted:
        raise WrongSpaceError(
            f"the index holds vectors of {space}, not of {wanted[0]} {wanted[1]} ({wanted[2]}); "
            "`manage.py reindex` makes them anew"
        )
    return space


def _of_model(embedder: Embedder) -> QuerySet[EmbeddingSpace]:
    """Index embeddingspace_unique."""
    return EmbeddingSpace.objects.filter(
        provider=embedder.provider, model=embedder.model, dimensions=embedder.dimensions
    )


def renew_vectors(workspace_id: uuid.UUID, embedder: Embedder) -> None:
    """Queue again what the embedder refused, and what another model embedded. Opens its own
    scopes, a batch in each.

    Until the job has been through, searches find by words what has no vector.
    """
    with workspace_scope(workspace_id):
        Passage.objects.filter(embedding=None, lane=Lane.REFUSED).update(lane=Lane.BULK)
        active = EmbeddingSpace.objects.filter(state=SpaceState.ACTIVE)
        active.exclude(pk__in=_of_model(embedder).values("pk")).update(state=SpaceState.RETIRED)
        space = ensure_space(embedder)
    while True:
        with workspace_scope(workspace_id):
            stale = Passage.objects.exclude(space=space.id).exclude(embedding=None)
            batch = list(stale.order_by("id").values_list("pk", flat=True)[:RENEWED_AT_ONCE])
            if not batch:
                return
            Passage.objects.filter(pk__in=batch).update(embedding=None, space=None, lane=Lane.BULK)


def has_pending(lane: Lane) -> bool:
    """Index passage_pending."""
    return Passage.objects.filter(embedding=None, lane=lane).exists()
