"""Vectors: there, of the active space, and of its length.

A passage may wait for its vector as long as `Options.waiting`; one that the provider refused has
none. --fix queues what is missing or wrong, and the job makes it.
"""

# ruff: noqa: S608  (what is put into SQL here is conditions of our own)
import uuid
from collections.abc import Iterator

from config.lib import clock
from memory.embedding import Embedder, EmbeddingError, get_embedder
from memory.models import EmbeddingSpace, Passage
from memory.models.passage import Lane, SpaceState
from memory.services.embedding import RENEWED_AT_ONCE, WrongSpaceError, ensure_space, has_pending
from memory.services.queue import PRIORITIES, defer_now
from memory.verify.report import MOST_NAMED, Check, Options, fetch, patient_scope

CATEGORY = "index"
_WRONG = "embedding IS NOT NULL AND (space_id IS DISTINCT FROM %s OR vector_dims(embedding) <> %s)"
_REFUSED = f"embedding IS NULL AND lane = {Lane.REFUSED.value}"
_MISSING = f"embedding IS NULL AND lane <> {Lane.REFUSED.value} AND created_at < %s"


def check(workspace_id: uuid.UUID, options: Options) -> Iterator[Check]:
    """Outside any scope: each check opens its own."""
    space_check = Check(CATEGORY, "embedding space")
    try:
        embedder = get_embedder()
    except EmbeddingError as error:
        embedder = None
        space_check.saw(False, f"the embedder cannot be made: {error}")
    space = _space(workspace_id, options, embedder, space_check)
    yield space_check
    yield _vectors(workspace_id, options, embedder, space)


def _space(
    workspace_id: uuid.UUID, options: Options, embedder: Embedder | None, result: Check
) -> EmbeddingSpace | None:
    with patient_scope(workspace_id):
        space = EmbeddingSpace.objects.filter(state=SpaceState.ACTIVE).first()
        held = Passage.objects.exclude(embedding=None).exists()
        if embedder is None:
            result.saw(space is not None or not held, "there are vectors, and no space is active")
        elif space is None and held and options.fix:
            space = ensure_space(embedder)
            result.saw(True, "")
            result.mended("no space was active")
        elif space is not None or held:
            try:
                problem = "there are vectors, and no space is active"
                if space is not None:
                    ensure_space(embedder)
                result.saw(space is not None, problem)
            except WrongSpaceError as error:
                result.saw(False, str(error))
    return space


def _vectors(
    workspace_id: uuid.UUID,
    options: Options,
    embedder: Embedder | None,
    space: EmbeddingSpace | None,
) -> Check:
    result = Check(CATEGORY, "vectors")
    before = clock.now() - options.waiting
    of = (space.id, space.dimensions) if space else (None, 0)
    with patient_scope(workspace_id):
        ((total, there, refused, missing, wrong, none, others),) = fetch(
            "SELECT count(*), count(embedding), "
            f"count(*) FILTER (WHERE {_REFUSED}), "
            f"count(*) FILTER (WHERE {_MISSING}), count(*) FILTER (WHERE {_WRONG}), "
            f"(array_agg(id ORDER BY id DESC) FILTER (WHERE {_MISSING}))[:%s], "
            f"(array_agg(id ORDER BY id DESC) FILTER (WHERE {_WRONG}))[:%s] "
            "FROM memory_passage WHERE workspace_id = %s",
            before, *of, before, MOST_NAMED, *of, MOST_NAMED, workspace_id,
        )  # fmt: skip
    result.expected, result.found = total - refused, there - wrong
    waiting = total - there - refused
    if refused:
        result.notes.append(f"{refused:,} refused by the provider; `reindex` tries them again")
    lost = [f"passage {row_id} has a vector of another space or length" for row_id in others or ()]
    if wrong and options.fix and embedder is not None:
        _forget(workspace_id, of)
        result.fixed += wrong
        result.notes += [f"fixed: {text}, which is queued" for text in lost]
    else:
        result.wrong_in_all(lost, wrong)
    lost = [f"passage {row_id} has no vector" for row_id in none or ()]
    if embedder is None:
        if waiting:
            result.notes.append(f"{waiting:,} without a vector: no embedding provider is set")
    elif missing and options.fix:
        result.fixed += missing
        result.notes += [f"fixed: {text}; it is queued" for text in lost]
    else:
        result.wrong_in_all(lost, missing)
        if waiting > missing:
            result.notes.append(f"{waiting - missing:,} wait for their vectors")
    if options.fix and embedder is not None:
        _queue(workspace_id)
    return result


def _forget(workspace_id: uuid.UUID, of: tuple[uuid.UUID | None, int]) -> None:
    """As for a new model: until the job has been through, these are found by their words."""
    while True:
        with patient_scope(workspace_id):
            rows = fetch(
                "UPDATE memory_passage SET embedding = NULL, space_id = NULL, lane = %s "
                "WHERE workspace_id = %s AND id IN (SELECT id FROM memory_passage "
                f"WHERE workspace_id = %s AND {_WRONG} LIMIT %s) RETURNING id",
                Lane.BULK.value, workspace_id, workspace_id, *of, RENEWED_AT_ONCE,
            )  # fmt: skip
        if len(rows) < RENEWED_AT_ONCE:
            return


def _queue(workspace_id: uuid.UUID) -> None:
    with patient_scope(workspace_id):
        lanes = [lane for lane in PRIORITIES if has_pending(lane)]
    for lane in lanes:
        defer_now(workspace_id, lane)
