"""Erasures: look at what one would remove, carry it out, leave it, lift it."""

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
from contacts.models import Erasure
from memory.schemas_erasures import ErasureIn, ErasureLiftIn, ErasureOut, ErasureRunIn
from memory.services import erasures

router = Router(tags=["Erasure"])
SCOPE = "erase"


@router.get(
    "/erasures",
    auth=KeyAuth(SCOPE),
    response=Page[ErasureOut],
    operation_id="list_erasures",
    summary="List erasures",
)
def list_erasures(request: HttpRequest, paging: PageQuery) -> HttpResponse:
    """The newest first: who had what kind of thing removed, when, and how much it was."""
    rows = Erasure.objects.all()
    return reply_page(ErasureOut, page(rows, order=["-created_at", "-id"], **paging.model_dump()))


@router.post(
    "/erasures",
    auth=KeyAuth(SCOPE),
    response={201: ErasureOut},
    operation_id="create_erasure",
    summary="Look at what an erasure would remove",
)
def create_erasure(request: HttpRequest, payload: ErasureIn) -> HttpResponse:
    """Nothing is removed yet. A job looks; once `state` is `proposed`, `preview` says what would
    go: the row, what was derived from it alone, every text elsewhere that says it."""
    row = erasures.propose_erasure(actor=actor_of(request), **payload.model_dump())
    return reply(ErasureOut, row, status=201, location=f"/erasures/{row.id}")


@router.get(
    "/erasures/{erasure_id}",
    auth=KeyAuth(SCOPE),
    response=ErasureOut,
    operation_id="get_erasure",
    summary="Read an erasure",
)
def get_erasure(request: HttpRequest, erasure_id: Id) -> HttpResponse:
    """Its preview, and once it is done its report, with what remains and until when."""
    return reply(ErasureOut, find_row(Erasure.objects.all(), erasure_id))


@router.post(
    "/erasures/{erasure_id}/run",
    auth=KeyAuth(SCOPE),
    response=ErasureOut,
    operation_id="run_erasure",
    summary="Erase it",
    openapi_extra=IF_MATCH,
)
def run_erasure(request: HttpRequest, erasure_id: Id, payload: ErasureRunIn) -> HttpResponse:
    """A job does it, all or nothing; it cannot be undone. 422 where `confirm` is not the term or
    the end of the id, 409 `wrong_state`."""
    row = erasures.begin_erasure(
        actor=actor_of(request),
        erasure_id=find_id(Erasure, erasure_id, check=False),
        confirm=payload.confirm,
        expected_version=if_match(request),
    )
    return reply(ErasureOut, row)


@router.post(
    "/erasures/{erasure_id}/drop",
    auth=KeyAuth(SCOPE),
    response=ErasureOut,
    operation_id="drop_erasure",
    summary="Leave an erasure that was proposed",
)
def drop_erasure(request: HttpRequest, erasure_id: Id) -> HttpResponse:
    """Nothing is removed. 409 `wrong_state`."""
    found = find_id(Erasure, erasure_id, check=False)
    return reply(ErasureOut, erasures.drop_erasure(actor=actor_of(request), erasure_id=found))


@router.post(
    "/erasures/{erasure_id}/lift",
    auth=KeyAuth(SCOPE),
    response=ErasureOut,
    operation_id="lift_erasure",
    summary="Let what was erased be stored again",
)
def lift_erasure(
    request: HttpRequest, erasure_id: Id, payload: ErasureLiftIn | None = None
) -> HttpResponse:
    """Its tombstones go; what was erased stays gone. 409 `wrong_state`."""
    row = erasures.lift_erasure(
        actor=actor_of(request),
        erasure_id=find_id(Erasure, erasure_id, check=False),
        reason=payload.reason if payload else "",
    )
    return reply(ErasureOut, row)
