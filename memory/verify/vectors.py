"""Vectors: there, of the active space, and of its length; and of a second space what is there.

A passage may wait for its vector as long as `Options.waiting`; one that the provider refused has
none. --fix queues what is missing or wrong, and the job makes it. A space that is being built, or
was left, may lack vectors, not have wrong ones.
"""

# ruff: noqa: S608  (what is put into SQL here is conditions of our own)
import uuid
from collections.abc import Iterator

from config.lib import clock
from memory.embedding import Embedder, EmbeddingError, get_embedder
from memory.models import EmbeddingSpace, Passage
from memory.models.passage import COLUMNS, Lane, Slot, SpaceState
from memory.services.embedding import WRITTEN_AT_ONCE, embedder_of, ensure_space, has_pending
from memory.services.queue import PRIORITIES, defer_now
from memory.verify.report import MOST_NAMED, Check, Options, fetch, patient_scope

CATEGORY = "index"


def _wrong(slot: Slot) -> str:
    at = COLUMNS[slot]
    return (
        f"{at.vector} IS NOT NULL AND ({at.space} IS DISTINCT FROM %s "
        f"OR vector_dims({at.vector}) <> %s)"
    )


def check(workspace_id: uuid.UUID, options: Options) -> Iterator[Check]:
    """Outside any scope: each check opens its own."""
    space_check = Check(CATEGORY, "embedding space")
    try:
        embedder = get_embedder()
    except EmbeddingError as error:
        embedder = None
        space_check.saw(False, f"the embedder cannot be made: {error}")
    spaces = _spaces(workspace_id, options, embedder, space_check)
    yield space_check
    active = next((one for one in spaces.values() if one.state == SpaceState.ACTIVE), None)
    slot = Slot(active.slot) if active else Slot.FIRST
    yield _vectors(workspace_id, options, embedder, active, slot)
    other = next(one for one in Slot if one != slot)
    yield _second(workspace_id, options, spaces.get(other), other)


def _spaces(
    workspace_id: uuid.UUID, options: Options, embedder: Embedder | None, result: Check
) -> dict[Slot, EmbeddingSpace]:
    with patient_scope(workspace_id):
        held = Passage.objects.exclude(embedding=None, second_embedding=None).exists()
        space = EmbeddingSpace.objects.filter(state=SpaceState.ACTIVE).first()
        if space is None and held and options.fix and embedder is not None:
            space = ensure_space(embedder)
            result.saw(True, "")
            result.mended("no space was active")
        elif space is not None or held:
            result.saw(space is not None, "there are vectors, and no space is active")
        if space is not None and embedder is not None:
            try:
                own = embedder_of(space, embedder)
            except EmbeddingError as error:
                result.saw(False, f"the index holds vectors of {space}: {error}")
            else:
                if own is not embedder:
                    result.notes.append(
                        f"the index is of {space}, the settings name {embedder.provider} "
                        f"{embedder.model} ({embedder.dimensions}) for new workspaces"
                    )
        return {Slot(one.slot): one for one in EmbeddingSpace.objects.all()}


def _vectors(
    workspace_id: uuid.UUID,
    options: Options,
    embedder: Embedder | None,
    space: EmbeddingSpace | None,
    slot: Slot,
) -> Check:
    result = Check(CATEGORY, "vectors")
    before = clock.now() - options.waiting
    of = (space.id, space.dimensions) if space else (None, 0)
    vector, wrongly = COLUMNS[slot].vector, _wrong(slot)
    refused_is = f"{vector} IS NULL AND lane = {Lane.REFUSED.value}"
    missing_is = f"{vector} IS NULL AND lane <> {Lane.REFUSED.value} AND created_at < %s"
    with patient_scope(workspace_id):
        ((total, there, refused, missing, wrong, none, others),) = fetch(
            f"SELECT count(*), count({vector}), "
            f"count(*) FILTER (WHERE {refused_is}), "
            f"count(*) FILTER (WHERE {missing_is}), count(*) FILTER (WHERE {wrongly}), "
            f"(array_agg(id ORDER BY id DESC) FILTER (WHERE {missing_is}))[:%s], "
            f"(array_agg(id ORDER BY id DESC) FILTER (WHERE {wrongly}))[:%s] "
            "FROM memory_passage WHERE workspace_id = %s",
            before, *of, before, MOST_NAMED, *of, MOST_NAMED, workspace_id,
        )  # fmt: skip
    result.expected, result.found = total - refused, there - wrong
    waiting = total - there - refused
    if refused:
        result.notes.append(f"{refused:,} refused by the provider; `reindex` tries them again")
    lost = [f"passage {row_id} has a vector of another space or length" for row_id in others or ()]
    if wrong and options.fix and embedder is not None:
        _forget(workspace_id, slot, of)
        result.fixed += wrong
        result.notes += [f"fixed: {text}, which is queued" for text in lost]
    else:
        result.wrong_in_all(lost, wrong)
    lost = [f"passage {row_id} has no vector" for row_id in none or ()]
    if embedder is None:
        if waiting:
            result.notes.append(f"{waiting:,} without a vector: no embedding provider is set")
    elif missing and options.fix:
        if space is not None and slot is Slot.SECOND:
            _mark(workspace_id, space.id)
        result.fixed += missing
        result.notes += [f"fixed: {text}; it is queued" for text in lost]
    else:
        result.wrong_in_all(lost, missing)
        if waiting > missing:
            result.notes.append(f"{waiting - missing:,} wait for their vectors")
    if options.fix and embedder is not None:
        _queue(workspace_id)
    return result


def _second(
    workspace_id: uuid.UUID, options: Options, space: EmbeddingSpace | None, slot: Slot
) -> Check:
    result = Check(CATEGORY, "vectors of a second space")
    of = (space.id, space.dimensions) if space else (None, 0)
    with patient_scope(workspace_id):
        ((there, wrong, others),) = fetch(
            f"SELECT count({COLUMNS[slot].vector}), count(*) FILTER (WHERE {_wrong(slot)}), "
            f"(array_agg(id ORDER BY id DESC) FILTER (WHERE {_wrong(slot)}))[:%s] "
            "FROM memory_passage WHERE workspace_id = %s",
            *of, *of, MOST_NAMED, workspace_id,
        )  # fmt: skip
    result.expected, result.found = there, there - wrong
    lost = [f"passage {row_id} has a second vector of no space" for row_id in others or ()]
    if wrong and options.fix:
        _forget(workspace_id, slot, of)
        result.expected = there - wrong
        result.fixed += wrong
        result.notes += [f"fixed: {text}" for text in lost]
    else:
        result.wrong_in_all(lost, wrong)
    return result


def _forget(workspace_id: uuid.UUID, slot: Slot, of: tuple[uuid.UUID | None, int]) -> None:
    """As for a new model: until the job has been through, these are found by their words."""
    at, mark = COLUMNS[slot], of[0] if slot is Slot.SECOND else None
    while True:
        with patient_scope(workspace_id):
            rows = fetch(
                f"UPDATE memory_passage SET {at.vector} = NULL, {at.space} = %s, lane = %s "
                "WHERE workspace_id = %s AND id IN (SELECT id FROM memory_passage "
                f"WHERE workspace_id = %s AND {_wrong(slot)} LIMIT %s) RETURNING id",
                mark, Lane.BULK.value, workspace_id, workspace_id, *of, WRITTEN_AT_ONCE,
            )  # fmt: skip
        if len(rows) < WRITTEN_AT_ONCE:
            return


def _mark(workspace_id: uuid.UUID, space_id: uuid.UUID) -> None:
    """In the second slot what waits for its vector names the space: see COLUMNS."""
    while True:
        with patient_scope(workspace_id):
            rows = fetch(
                "UPDATE memory_passage SET second_space_id = %s WHERE workspace_id = %s AND id IN "
                "(SELECT id FROM memory_passage WHERE workspace_id = %s "
                "AND second_embedding IS NULL AND second_space_id IS DISTINCT FROM %s LIMIT %s) "
                "RETURNING id",
                space_id, workspace_id, workspace_id, space_id, WRITTEN_AT_ONCE,
            )  # fmt: skip
        if len(rows) < WRITTEN_AT_ONCE:
            return


def _queue(workspace_id: uuid.UUID) -> None:
    with patient_scope(workspace_id):
        lanes = [lane for lane in PRIORITIES if has_pending(lane)]
    for lane in lanes:
        defer_now(workspace_id, lane)
