"""Staged content: put before a person, ordered, pinned, dismissed, restored, expiring."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from config.lib.schema import MAX_INT
from config.lib.scope import current_workspace_id
from contacts.models import Workspace
from contacts.services import funnel
from sessions.models import Session, StagedContent

EDITABLE = frozenset({"title", "body", "payload", "pinned", "expires_at", "metadata"})
# Room between neighbours, so that most moves write one row.
STEP = 64


def stage_content(
    *,
    actor: Actor,
    content_type: str,
    title: str = "",
    body: str = "",
    payload: dict[str, Any] | None = None,
    session_id: uuid.UUID | None = None,
    conversation_id: str = "",
    pinned: bool = False,
    expires_at: datetime | None = None,
    source: str = "",
    external_id: str = "",
    metadata: dict[str, Any] | None = None,
) -> tuple[StagedContent, bool]:
    """Put something on top of the board; (row, whether it is new).

    With `external_id` (and `source`) set, a row of that identity is returned as it is instead of
    made again. Two at once may get one position; the later id is then above.
    """
    if external_id:
        source = source or "api"
        found = StagedContent.objects.filter(source=source, external_id=external_id).first()
        if found is not None:
            return found, False
    if session_id is not None:
        session = funnel.get_row(Session, session_id)
        conversation_id = conversation_id or session.conversation_id
    if not (title or body or payload):
        raise Invalid({"body": "must not be empty where there is neither title nor payload"})
    top = _group(pinned).order_by("-position", "-id").values_list("position", flat=True).first()
    row = StagedContent(
        content_type=content_type,
        title=title,
        body=body,
        payload=payload or {},
        session_id=session_id,
        conversation_id=conversation_id,
        position=STEP if top is None else min(top + STEP, MAX_INT),
        pinned=pinned,
        expires_at=expires_at,
        source=source,
        external_id=external_id,
        metadata=metadata or {},
    )
    return funnel.create(row, actor=actor), True


def _group(pinned: bool) -> QuerySet[StagedContent]:
    """The pinned or the other rows of the board. Index stagedcontent_board."""
    return StagedContent.objects.filter(dismissed_at=None, pinned=pinned)


def update_staged(
    *,
    actor: Actor,
    staged_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> StagedContent:
    """Change what it says, pin it or let it go, put its end off. Its position stays."""
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on staged content"))
    row = funnel.get_row(StagedContent, staged_id, lock=True)
    return funnel.update(
        row, changes, actor=actor, expected_version=expected_version, reason=reason
    )


def move_staged(
    *,
    actor: Actor,
    staged_id: uuid.UUID,
    before: uuid.UUID | None = None,
    after: uuid.UUID | None = None,
    position: int | None = None,
    reason: str = "",
) -> StagedContent:
    """Right above `before`, right below `after`, or at `position`: exactly one is given.

    Moves of one board take turns, so that of two at once both hold. Conflict where either is not
    on the board, or one is pinned and the other is not.
    """
    if sum(one is not None for one in (before, after, position)) != 1:
        raise Invalid({"": "give exactly one of before, after and position"})
    # The board has no row of its own; the workspace's stands for it.
    Workspace.objects.select_for_update(no_key=True).get(pk=current_workspace_id())
    row = funnel.get_row(StagedContent, staged_id, lock=True)
    if position is None:
        position = _place(row, before=before, after=after)
    return funnel.update(row, {"position": position}, actor=actor, action="move", reason=reason)


def _place(row: StagedContent, *, before: uuid.UUID | None, after: uuid.UUID | None) -> int:
    """The position between the anchor and its neighbour; makes room where there is none."""
    field, anchor_id = ("before", before) if before is not None else ("after", after)
    if anchor_id == row.id:
        raise Invalid({field: "is the row itself"})
    assert anchor_id is not None
    anchor = funnel.get_row(StagedContent, anchor_id)
    if row.dismissed_at is not None or anchor.dismissed_at is not None:
        raise Conflict("Dismissed content has no place on the board.", code="dismissed")
    if row.pinned != anchor.pinned:
        raise Conflict("One of them is pinned and the other is not.", code="other_group")
    others = _group(row.pinned).exclude(pk=row.pk)
    here = Q(position=anchor.position)
    upper: StagedContent | None
    lower: StagedContent | None
    if before is not None:
        above = others.filter(Q(position__gt=anchor.position) | here & Q(id__gt=anchor.id))
        lower, upper = anchor, above.order_by("position", "id").first()
    else:
        below = others.filter(Q(position__lt=anchor.position) | here & Q(id__lt=anchor.id))
        lower, upper = below.order_by("-position", "-id").first(), anchor
    floor = -1 if lower is None else lower.position
    if upper is None:
        return min(floor + STEP, MAX_INT)
    if upper.position - floor < 2:
        _lift(others, upper)
        return floor + STEP
    return (floor + upper.position) // 2


def _lift(rows: QuerySet[StagedContent], lowest: StagedContent) -> None:
    """Lift `lowest` and all above it. Their order among themselves is what it was, so nobody's
    change is undone, and neither version nor Revision follows."""
    top = rows.order_by("-position").values_list("position", flat=True)[0]
    if top + 2 * STEP > MAX_INT:
        raise Conflict("There is no room above; give it a position.", code="board_full")
    lifted = Q(position__gt=lowest.position) | Q(position=lowest.position, id__gte=lowest.id)
    rows.filter(lifted).update(position=F("position") + 2 * STEP)


def dismiss_staged(*, actor: Actor, staged_id: uuid.UUID, reason: str = "") -> StagedContent:
    """Take it off the board. Dismissed already, it stays as it is."""
    row = funnel.get_row(StagedContent, staged_id, lock=True)
    if row.dismissed_at is not None:
        return row
    changes = {"dismissed_at": clock.now()}
    return funnel.update(row, changes, actor=actor, action="dismiss", reason=reason)


def restore_staged(*, actor: Actor, staged_id: uuid.UUID, reason: str = "") -> StagedContent:
    """Back onto the board, where it was. Not dismissed, it stays as it is."""
    row = funnel.get_row(StagedContent, staged_id, lock=True)
    return funnel.update(row, {"dismissed_at": None}, actor=actor, action="restore", reason=reason)


def delete_staged(
    *, actor: Actor, staged_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> None:
    """Remove it for good."""
    row = funnel.get_row(StagedContent, staged_id, lock=True)
    funnel.delete(row, actor=actor, expected_version=expected_version, reason=reason)
