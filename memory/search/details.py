"""What a hit may show beside its passage: what was said around it, and what it rests on."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from config.lib.scope import current_workspace_id
from memory.models import Evidence
from memory.models.passage import PassageKind
from memory.search.schemas import EvidenceOut, Hit, NeighbourOut

# A longer message around a hit is cut; GET /messages/{id} has the whole.
MOST_CHARACTERS = 2000
MOST_EVIDENCE = 10


def add_neighbours(hits: Sequence[Hit], reach: int, *, as_of: datetime | None) -> None:
    """To hits on messages, up to `reach` messages before and after each, as far as they were
    recorded by `as_of`. Index message_idx_unique."""
    placed = [hit for hit in hits if hit.kind is PassageKind.MESSAGE and hit.idx is not None]
    if not placed or not reach:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT wanted.hit, m.id, m.idx, m.role, left(m.content, %s), m.occurred_at "
            "FROM unnest(%s::uuid[], %s::uuid[], %s::int[]) AS wanted (hit, thread, idx) "
            "JOIN agent_sessions_message m ON m.workspace_id = %s "
            "AND m.thread_id = wanted.thread AND m.idx <> wanted.idx "
            "AND m.idx BETWEEN wanted.idx - %s AND wanted.idx + %s "
            "AND (%s::timestamptz IS NULL OR m.created_at <= %s) ORDER BY m.idx",
            [
                MOST_CHARACTERS,
                [hit.id for hit in placed],
                [hit.thread_id for hit in placed],
                [hit.idx for hit in placed],
                current_workspace_id(),
                reach,
                reach,
                as_of,
                as_of,
            ],
        )
        by_id = {hit.id: hit for hit in placed}
        for hit, message, idx, role, text, occurred_at in cursor.fetchall():
            by_id[hit].neighbours.append(
                NeighbourOut(id=message, idx=idx, role=role, text=text, occurred_at=occurred_at)
            )


def add_evidence(hits: Sequence[Hit]) -> None:
    """To hits on memories, the first of what each rests on. Index evidence_memory."""
    found: dict[uuid.UUID, list[EvidenceOut]] = {
        hit.id: hit.evidence for hit in hits if hit.kind is PassageKind.MEMORY
    }
    if not found:
        return
    for row in Evidence.objects.filter(memory__in=list(found)).order_by("memory_id", "id"):
        of = found[row.memory_id]
        if len(of) < MOST_EVIDENCE:
            of.append(EvidenceOut.model_validate(row))
