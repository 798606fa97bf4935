"""Reads of proposed pairs of memories."""

from django.db.models import QuerySet

from config.lib.db.lookup import find_row
from memory.models import MemoryDuplicate


def list_duplicates(state: str | None) -> QuerySet[MemoryDuplicate]:
    """With both memories, in the order ["-id"]. Index memoryduplicate_state, or the primary key
    for every state."""
    rows = MemoryDuplicate.objects.select_related("older", "newer")
    return rows if state is None else rows.filter(state=state)


def get_duplicate(text: str) -> MemoryDuplicate:
    """By a full or shortened id. Or NotFound."""
    return find_row(MemoryDuplicate.objects.select_related("older", "newer"), text)
