"""Unlearning: look at what a source wrote, take it back as one unit, bring it back."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Page,
    PageQuery,
    actor_of,
    if_match,
    reply,
    reply_page,
)
from memory.models import Unlearning
from memory.schemas_unlearning import UnlearningIn, UnlearningOut
from memory.services import unlearning

router = Router(tags=["Unlearning"])
SCOPE = "erase"


@router.get(
    "/unlearnings",
    auth=KeyAuth(SCOPE),
    response=Page[UnlearningOut],
    operation_id="list_unlearnings",
    summary="List what was taken back",
)
def list_unlearnings(request: HttpRequest, paging: PageQuery) -> HttpResponse:
    """The newest first."""
    found = page(Unlearning.objects.all(), order=["-created_at", "-id"], **paging.model_dump())
    return reply_page(UnlearningOut, found)


@router.post(
    "/unlearnings",
    auth=KeyAuth(SCOPE),
    response={201: UnlearningOut},
    operation_id="create_unlearning",
    summary="Look at what taking back a source's work would do",
)
def create_unlearning(request: HttpRequest, payload: UnlearningIn) -> HttpResponse:
    """Nothing is done yet; `preview` says what would be. 409 `too_much` above a thousand rows:
    `manage.py unlearn` takes those. 409 `nothing_written` for a worker that has not run."""
    row = unlearning.propose_unlearning(actor=actor_of(request), **payload.model_dump())
    return reply(UnlearningOut, row, status=201, location=f"/unlearnings/{row.id}")


@router.get(
    "/unlearnings/{unlearning_id}",
    auth=KeyAuth(SCOPE),
    response=UnlearningOut,
    operation_id="get_unlearning",
    summary="Read what was taken back",
)
def get_unlearning(request: HttpRequest, unlearning_id: Id) -> HttpResponse:
    """Its preview, its report, and what its undo did."""
    return reply(UnlearningOut, find_row(Unlearning.objects.all(), unlearning_id))


@router.post(
    "/unlearnings/{unlearning_id}/run",
    auth=KeyAuth(SCOPE),
    response=UnlearningOut,
    operation_id="run_unlearning",
    summary="Take it back",
    openapi_extra=IF_MATCH,
)
def run_unlearning(request: HttpRequest, unlearning_id: Id) -> HttpResponse:
    """All in one transaction. What somebody else changed since stays, and is listed with what has
    another source. 409 `wrong_state`, `too_much`."""
    row = unlearning.run_unlearning(
        actor=actor_of(request),
        unlearning_id=find_id(Unlearning, unlearning_id, check=False),
        expected_version=if_match(request),
    )
    return reply(UnlearningOut, row)


@router.post(
    "/unlearnings/{unlearning_id}/undo",
    auth=KeyAuth(SCOPE),
    response=UnlearningOut,
    operation_id="undo_unlearning",
    summary="Bring back what was taken",
    openapi_extra=IF_MATCH,
)
def undo_unlearning(request: HttpRequest, unlearning_id: Id) -> HttpResponse:
    """All of it, but for what was changed since; that is listed in `undone`. 409 `wrong_state`,
    `too_much` of an import above a thousand rows: `manage.py unlearn --undo` brings it back."""
    row = unlearning.undo_unlearning(
        actor=actor_of(request),
        unlearning_id=find_id(Unlearning, unlearning_id, check=False),
        expected_version=if_match(request),
    )
    return reply(UnlearningOut, row)
