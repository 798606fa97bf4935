"""Memories that say nearly the same: found after they are embedded, proposed, merged by somebody.

Nothing is merged by itself. A merge keeps one of the two; the other is superseded by it, keeps its
row, links and evidence, and comes back by an undo. An exact repeat is never saved twice
(repeats.py).
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Stale
from config.lib.scope import current_workspace_id, workspace_scope
from contacts.services import funnel
from memory.models import Memory, MemoryDuplicate, MemoryLink, Passage
from memory.models.duplicates import DuplicateState, Kept
from memory.models.links import Relation
from memory.models.memory import MemoryState
from memory.models.passage import Lane, PassageKind
from memory.search.corpus import active_space, corpus
from memory.search.dense import nearest, place_of
from memory.search.filters import Filter
from memory.search.words import lexical_text
from memory.services import contradictions, judgements, supersession
from memory.services.authority import check_authority, check_release, check_replacing

# Measured with MiniLM on 32 pairs of sentences as agents write them: of 14 that say the same in
# other words the cosine is .932 to .994, and .58 to 1 of the words are shared; of 18 that differ
# in what they say ("enabled" and "disabled", another name, host, number) it is up to .994. Of
# those, two conditions more leave one: the same numbers, and as many negations.
SIMILAR = 0.93
OVERLAPPING = 0.55
# What may speak of the same and say something else.
NEAR = 0.6
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")
_NEGATIONS = frozenset(
    {
        "not", "no", "never", "none", "without", "cannot", "nothing", "neither", "nor",
        "nicht", "kein", "keine", "keinen", "nie", "niemals", "ohne",
        "ne", "pas", "jamais", "sans", "aucun", "aucune", "nunca", "sin",
    }
)  # fmt: skip
# "isn't" is read as "isn" and "t".
_SHORT_NEGATION = re.compile(r"\w+n['\u2019]t\b", re.IGNORECASE)
# Looked at in one transaction; each is a search.
COMPARED_AT_ONCE = 20
NEIGHBOURS = 30
# A memory like a hundred others is not a hundred decisions.
MOST_PROPOSED = 3
JOB = Actor("system", "duplicates", "near duplicates", "job")


@dataclass(frozen=True, slots=True)
class Merged:
    """`kept` stays in use; `lost` is superseded by it (after an undo: both are in use)."""

    duplicate: MemoryDuplicate
    kept: Memory
    lost: Memory


# --- Finding ----------------------------------------------------------------------------------


def propose(workspace_id: uuid.UUID) -> tuple[int, bool]:
    """Compare some memories that were not compared yet with what is near them, and look for what
    contradicts them; (how many pairs were proposed, whether there are more to compare). Opens its
    own scope. Index memory_uncompared."""
    with workspace_scope(workspace_id):
        space = active_space()
        if space is None and settings.EMBEDDING_PROVIDER != "none":
            return 0, False
        rows = _uncompared(space.id) if space is not None else _uncompared_by_words()
        proposed = 0
        for row, vector in rows:
            near = _near(row, vector, space.id) if vector and space is not None else []
            proposed += _propose_for(row, near)
            contradictions.propose_for(row, [other for other, _ in near])
            same = {other.pk for other, cosine in near if _is_same(row, other, cosine)}
            judgements.note_pairs(row, near, same)
        now = clock.now()
        Memory.objects.filter(pk__in=[row.pk for row, _ in rows]).update(compared_at=now)
        return proposed, len(rows) == COMPARED_AT_ONCE


def has_uncompared() -> bool:
    """Index memory_uncompared."""
    return Memory.objects.filter(compared_at=None, state=MemoryState.ACTIVE).exists()


def _uncompared(space_id: uuid.UUID) -> list[tuple[Memory, str]]:
    """(memory, its first chunk's vector), the newest first. A vector that the provider refused is
    not waited for: it is empty."""
    at = place_of(space_id).columns
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT m.id, coalesce(p.{at.vector}::text, '') FROM memory_memory m "  # noqa: S608
            "JOIN memory_passage p ON p.workspace_id = m.workspace_id AND p.of_memory_id = m.id "
            "AND p.chunk = 0 "
            "WHERE m.workspace_id = %s AND m.compared_at IS NULL AND m.state = 'active' "
            f"AND (p.{at.vector} IS NOT NULL OR p.lane = %s) ORDER BY m.id DESC LIMIT %s",
            [current_workspace_id(), Lane.REFUSED.value, COMPARED_AT_ONCE],
        )
        vectors = dict(cursor.fetchall())
    memories = Memory.objects.filter(pk__any_of=list(vectors)).order_by("-id")
    return [(memory, vectors[memory.pk]) for memory in memories]


def _uncompared_by_words() -> list[tuple[Memory, str]]:
    """The same where nothing is ever embedded: there is their words to go by."""
    rows = Memory.objects.filter(compared_at=None, state=MemoryState.ACTIVE)
    return [(row, "") for row in rows.order_by("-id")[:COMPARED_AT_ONCE]]


def _propose_for(memory: Memory, near: Sequence[tuple[Memory, float]]) -> int:
    proposed = 0
    for other, cosine in near:
        if cosine < SIMILAR or other.agent_id != memory.agent_id:
            continue
        overlap = alike(memory.text, other.text)
        if overlap is None or _is_decided(memory, other):
            continue
        older, newer = sorted((memory, other), key=lambda one: one.pk)
        _, new = funnel.once(
            lambda older=older, newer=newer: MemoryDuplicate.objects.filter(  # type: ignore[misc]
                older=older, newer=newer
            ).first(),
            lambda older=older, newer=newer, cosine=cosine, overlap=overlap: funnel.create(  # type: ignore[misc]
                MemoryDuplicate(
                    older=older,
                    newer=newer,
                    similarity=round(cosine, 4),
                    overlap=round(overlap, 4),
                ),
                actor=JOB,
            ),
        )
        proposed += new
        if proposed == MOST_PROPOSED:
            break
    return proposed


def _near(memory: Memory, vector: str, space_id: uuid.UUID) -> list[tuple[Memory, float]]:
    """Active memories of the same project, the nearest first."""
    found = nearest(
        vector,
        space_id=space_id,
        figures=corpus(),
        narrowed=Filter(
            kinds=[PassageKind.MEMORY.value],
            states=[MemoryState.ACTIVE.value],
            projects=[memory.project_id] if memory.project_id else None,
        ),
        condition="",
        most=NEIGHBOURS,
        # One that is overlooked does no harm; an import compares thousands.
        beside=True,
        thorough=False,
    )
    close = {passage: cosine for passage, cosine in found.items() if cosine >= NEAR}
    passages = Passage.objects.filter(pk__any_of=list(close), chunk=0)
    of = {row.of_memory_id: close[str(row.pk)] for row in passages.only("of_memory")}
    of.pop(memory.pk, None)
    rows = Memory.objects.filter(
        pk__any_of=list(of),
        project_id=memory.project_id,
        state=MemoryState.ACTIVE,
    )
    return sorted(((row, of[row.pk]) for row in rows), key=lambda one: -one[1])


def _is_same(memory: Memory, other: Memory, cosine: float) -> bool:
    return cosine >= SIMILAR and alike(memory.text, other.text) is not None


def _is_decided(one: Memory, other: Memory) -> bool:
    """Somebody linked the two and so knows both. Index memorylink_unique."""
    ids = [one.pk, other.pk]
    return MemoryLink.objects.filter(source_id__in=ids, target_id__in=ids).exists()


def alike(one: str, other: str) -> float | None:
    """The share of words that both have, 0 to 1; None where they do not say the same: too few
    words, other numbers, one negation more."""
    if sorted(_NUMBER.findall(one)) != sorted(_NUMBER.findall(other)):
        return None
    first, second = (_words(text) for text in (one, other))
    if _negations(one) != _negations(other):
        return None
    both = len(first & second) / max(len(first | second), 1)
    return both if both >= OVERLAPPING else None


def _words(text: str) -> set[str]:
    return set(_WORD.findall(lexical_text(text).lower()))


def _negations(text: str) -> int:
    words = _WORD.findall(text.lower())
    return sum(word in _NEGATIONS for word in words) + len(_SHORT_NEGATION.findall(text))


# --- Deciding ---------------------------------------------------------------------------------


def merge_duplicate(
    *,
    actor: Actor,
    duplicate_id: uuid.UUID,
    keep: Kept,
    expected_version: int | None = None,
    reason: str = "",
) -> Merged:
    """Keep one of the two. The other is superseded by it and linked from it; its tags and its
    count go to the one that stays. Conflict (`decided`) where that was done before, (`not_active`)
    where one of the two is not in use any more."""
    row, older, newer = _open(duplicate_id, expected_version)
    kept, lost = (older, newer) if keep == Kept.OLDER else (newer, older)
    check_replacing(actor, kept, lost)
    added = [tag for tag in lost.tags if tag not in kept.tags]
    if added:
        check_authority(actor, kept)
        funnel.update(
            kept, {"tags": [*kept.tags, *added]}, actor=actor, action="merge", reason=reason
        )
    supersession.replace(
        kept,
        lost,
        actor=actor,
        action="merge",
        reason=reason,
        metadata={"duplicate": str(row.pk), "similarity": row.similarity, "tags": added},
        # They say the same: what it told goes on.
        closes=False,
    )
    funnel.touch(kept, repeat_count=kept.repeat_count + lost.repeat_count + 1, repeat_key="")
    _decide(row, DuplicateState.MERGED, actor, reason, kept=keep)
    return Merged(row, kept, lost)


def dismiss_duplicate(
    *,
    actor: Actor,
    duplicate_id: uuid.UUID,
    expected_version: int | None = None,
    reason: str = "",
) -> MemoryDuplicate:
    """They are two: this pair is not proposed again. Conflict (`decided`)."""
    row, _, _ = _open(duplicate_id, expected_version)
    _decide(row, DuplicateState.DISMISSED, actor, reason)
    return row


def unmerge_duplicate(*, actor: Actor, duplicate_id: uuid.UUID, reason: str = "") -> Merged:
    """Undo a merge: both are in use again, and proposed. Conflict (`not_merged`), or
    (`changed_since`) where the one that was superseded is not any more as the merge left it."""
    row = funnel.get_row(MemoryDuplicate, duplicate_id, lock=True, what="near duplicate")
    if row.state != DuplicateState.MERGED:
        raise Conflict("This pair is not merged.", code="not_merged")
    older, newer = _locked(row)
    kept, lost = (older, newer) if row.kept == Kept.OLDER else (newer, older)
    check_authority(actor, lost)
    check_release(actor, lost)
    link = MemoryLink.objects.filter(
        source=kept, target=lost, relation=Relation.SUPERSEDES, metadata__duplicate=str(row.pk)
    ).first()
    if link is None:
        raise Conflict(f"The memory {lost.pk} was changed since the merge.", code="changed_since")
    # What came with the merge goes with it.
    mine = set(link.metadata.get("tags") or ())
    left = [tag for tag in kept.tags if tag not in mine]
    if left != kept.tags:
        check_authority(actor, kept)
    supersession.put_back(kept, lost, link, actor=actor, action="unmerge", reason=reason)
    funnel.update(kept, {"tags": left}, actor=actor, action="unmerge", reason=reason)
    funnel.touch(kept, repeat_count=max(0, kept.repeat_count - lost.repeat_count - 1))
    _decide(row, DuplicateState.OPEN, actor, reason)
    return Merged(row, kept, lost)


def _open(
    duplicate_id: uuid.UUID, expected_version: int | None
) -> tuple[MemoryDuplicate, Memory, Memory]:
    row = funnel.get_row(MemoryDuplicate, duplicate_id, lock=True, what="near duplicate")
    if expected_version is not None and expected_version != row.version:
        raise Stale("near duplicate", expected=expected_version, actual=row.version)
    if row.state != DuplicateState.OPEN:
        raise Conflict(f"This pair is {row.state} already.", code="decided")
    return row, *_locked(row)


def _locked(row: MemoryDuplicate) -> tuple[Memory, Memory]:
    """In one order whichever pair they are of: the older first."""
    older, newer = (funnel.get_row(Memory, pk, lock=True) for pk in (row.older_id, row.newer_id))
    return older, newer


def _decide(
    row: MemoryDuplicate, state: DuplicateState, actor: Actor, reason: str, kept: str = ""
) -> None:
    decided = None if state == DuplicateState.OPEN else clock.now()
    funnel.update(
        row,
        {"state": state, "kept": kept, "decided_at": decided},
        actor=actor,
        action={"merged": "merge", "dismissed": "dismiss", "open": "unmerge"}[state.value],
        reason=reason,
    )
