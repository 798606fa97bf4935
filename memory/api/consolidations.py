"""Consolidations: begun, read, let go on, taken back."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row
from contacts.api.auth import KeyAuth
from contacts.api.http import Id, Page, PageQuery, actor_of, reply, reply_page
from memory.models import ConsolidationRun
from memory.models.consolidation import ConsolidationState
from memory.schemas_consolidation import (
    ConsolidateIn,
    ConsolidationBegun,
    ConsolidationOut,
    ConsolidationReason,
)
from memory.services import consolidation

router = Router(tags=["Memories"])
WHAT = "consolidation"


def told(run: ConsolidationRun) -> dict[str, Any]:
    names = set(ConsolidationOut.model_fields) - {"memory_ids"}
    ids = [uuid.UUID(one["memory"]) for one in run.groups if "memory" in one]
    return {name: getattr(run, name) for name in names} | {"memory_ids": ids}


@router.get(
    "/consolidations",
    auth=KeyAuth("memories:read"),
    response=Page[ConsolidationOut],
    operation_id="list_consolidations",
    summary="List consolidations",
)
def list_consolidations(request: HttpRequest, paging: PageQuery) -> HttpResponse:
    """The newest first, each with its report."""
    rows, following = page(
        ConsolidationRun.objects.all(), order=["-created_at", "-id"], **paging.model_dump()
    )
    return reply_page(ConsolidationOut, (map(told, rows), following))


@router.post(
    "/consolidations",
    auth=KeyAuth("workspace:write"),
    response={200: ConsolidationBegun, 201: ConsolidationBegun},
    operation_id="begin_consolidation",
    summary="Tell episodes as narratives",
)
def begin_consolidation(request: HttpRequest, payload: ConsolidateIn | None = None) -> HttpResponse:
    """The memories of closed sessions, and of days without one, by a job. 201 where it was begun,
    or is held because it would archive more than the workspace lets it; 409 `running` beside
    another one."""
    sent = payload.sent() if payload else {}
    if sent.get("dry_run"):
        planned = consolidation.plan(hides=bool(sent.get("hide")))
        figures = {
            "read": planned.read,
            "would_make": len(planned.groups),
            "would_hide": planned.would_hide,
            "of": planned.of,
        }
        return reply(ConsolidationBegun, {"outcome": "planned", "plan": figures})
    run = consolidation.begin(actor=actor_of(request), hides=sent.get("hide"))
    if run is None:
        return reply(ConsolidationBegun, {"outcome": "nothing"})
    outcome = "held" if run.state == ConsolidationState.HELD else "begun"
    return reply(ConsolidationBegun, {"outcome": outcome, "run": told(run)}, status=201)


@router.get(
    "/consolidations/{consolidation_id}",
    auth=KeyAuth("memories:read"),
    response=ConsolidationOut,
    operation_id="get_consolidation",
    summary="Read a consolidation",
)
def get_consolidation(request: HttpRequest, consolidation_id: Id) -> HttpResponse:
    """What it read, made and changed, and what its undo left."""
    return _reply(find_row(ConsolidationRun.objects.all(), consolidation_id))


@router.post(
    "/consolidations/{consolidation_id}/revert",
    auth=KeyAuth("workspace:write"),
    response=ConsolidationOut,
    operation_id="revert_consolidation",
    summary="Take a consolidation back",
)
def revert_consolidation(
    request: HttpRequest, consolidation_id: Id, payload: ConsolidationReason | None = None
) -> HttpResponse:
    """All of it at once: its narratives are deleted, its sources are as they were. A narrative that
    somebody changed stays, and `reverted` says so. 409 `not_done`."""
    return _reply(
        consolidation.revert(
            actor=actor_of(request),
            run_id=find_id(ConsolidationRun, consolidation_id, what=WHAT, check=False),
            reason=payload.reason if payload else "",
        )
    )


def _reply(run: ConsolidationRun) -> HttpResponse:
    return reply(ConsolidationOut, told(run), etag=run.etag)
