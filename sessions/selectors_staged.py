"""Reads of staged content. Lists are values() rows; each names its index."""

import uuid
from typing import TypedDict

from django.db.models import Q
from django.db.models.functions import Left

from config.lib import clock
from config.lib.db.lookup import find_row
from sessions.models import StagedContent
from sessions.schemas_staged import StagedRow
from sessions.selectors import Rows, columns

# What lists show of a body, which may have a million characters.
BODY_START = 500


class StagedFilter(TypedDict, total=False):
    """What a list can be narrowed by; None and absent ask for nothing."""

    content_type: str | None
    conversation_id: str | None
    session_id: uuid.UUID | None


def list_board(wanted: StagedFilter, *, expired: bool = False) -> Rows:
    """Not dismissed, and not expired unless asked for, in the order ["-pinned", "-position",
    "-id"]. Index stagedcontent_board, or stagedcontent_conversation, stagedcontent_type under that
    filter; a session's few are sorted, by stagedcontent_session."""
    rows = _rows(wanted).filter(dismissed_at=None)
    return rows if expired else rows.filter(_live())


def list_all_staged(wanted: StagedFilter, *, expired: bool = False) -> Rows:
    """Dismissed ones too, in the order ["-created_at", "-id"]. Index stagedcontent_list, or
    stagedcontent_session under that filter; the others are checked on the rows that these give."""
    rows = _rows(wanted)
    return rows if expired else rows.filter(_live())


def _live() -> Q:
    return Q(expires_at=None) | Q(expires_at__gt=clock.now())


def _rows(wanted: StagedFilter) -> Rows:
    given = {k: v for k, v in wanted.items() if v is not None}
    return StagedContent.objects.filter(**given).values(
        *columns(StagedContent, StagedRow), body_start=Left("body", BODY_START)
    )


def get_staged(text: str) -> StagedContent:
    """By a full or shortened id. Or NotFound."""
    return find_row(StagedContent.objects.all(), text)
