"""Reads of embedding spaces, and of the passages that wait for the vector that search reads."""

from typing import Any

from django.db.models import QuerySet

from memory.models import EmbeddingSpace, Passage
from memory.models.passage import PENDING, Slot, SpaceState


def active_slot() -> Slot:
    """Where the vectors are that search reads. Index embeddingspace_one_active."""
    rows = EmbeddingSpace.objects.filter(state=SpaceState.ACTIVE)
    return Slot(rows.values_list("slot", flat=True).first() or Slot.FIRST)


def waiting_passages() -> QuerySet[Any]:
    """Those without a vector of the active space, whatever their lane. Index passage_pending or
    passage_second_pending."""
    rows: QuerySet[Any] = Passage.objects.filter(PENDING[active_slot()])
    return rows
