"""Golden queries: pin, list, read, change, unpin, ask, and what their runs found."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row
from config.lib.errors import NotFound
from config.lib.schema import Input
from config.lib.scope import workspace_scope
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Page,
    PageQuery,
    Reason,
    actor_of,
    if_match,
    no_content,
    principal_of,
    reply,
    reply_page,
)
from contacts.schemas import RevisionOut
from contacts.selectors import history_of
from memory.models import GoldenQuery, GoldenResult, GoldenRun, Receipt
from memory.schemas_golden import (
    GoldenIn,
    GoldenOut,
    GoldenPatch,
    GoldenResultOut,
    GoldenRunDetail,
    GoldenRunOut,
    PinIn,
)
from memory.services import golden

router = Router(tags=["Golden queries"])
# An operator's, as the workspace's other settings are.
WRITE = "workspace:write"


class GoldenFilter(Input):
    """How golden queries are narrowed."""

    enabled: bool | None = Field(None, description="Asked in runs, or not")


@router.get(
    "/golden-queries",
    auth=KeyAuth("search"),
    response=Page[GoldenOut],
    operation_id="list_golden_queries",
    summary="List golden queries",
)
def list_golden_queries(
    request: HttpRequest, paging: PageQuery, filters: Annotated[GoldenFilter, Query()]
) -> HttpResponse:
    """The newest first."""
    rows = GoldenQuery.objects.all()
    if filters.enabled is not None:
        rows = rows.filter(enabled=filters.enabled)
    return reply_page(GoldenOut, page(rows, order=["-id"], **paging.model_dump()))


@router.post(
    "/golden-queries",
    auth=KeyAuth(WRITE),
    response={201: GoldenOut},
    operation_id="create_golden_query",
    summary="Pin a search",
)
def create_golden_query(request: HttpRequest, payload: GoldenIn) -> HttpResponse:
    """A search and the rows that must be among its first `within` hits."""
    row = golden.create_golden(actor=actor_of(request), **payload.sent())
    return reply(GoldenOut, row, status=201, location=f"/golden-queries/{row.id}")


@router.post(
    "/searches/{search_id}/pin",
    auth=KeyAuth(WRITE),
    response={201: GoldenOut},
    operation_id="pin_search",
    summary="Make a golden query of a search",
)
def pin_search(request: HttpRequest, search_id: Id, payload: PinIn) -> HttpResponse:
    """What it found must come back from now on."""
    receipt = find_row(Receipt.objects.all(), search_id, what="search")
    row = golden.pin_receipt(actor=actor_of(request), receipt=receipt, **payload.sent())
    return reply(GoldenOut, row, status=201, location=f"/golden-queries/{row.id}")


@router.post(
    "/golden-queries/run",
    auth=KeyAuth(WRITE, detached=True),
    response=GoldenRunDetail,
    operation_id="run_golden_queries",
    summary="Ask all golden queries now",
)
def run_golden_queries(request: HttpRequest) -> HttpResponse:
    """What came back, and what changed since the run before. 404 where none is enabled."""
    workspace_id = principal_of(request).workspace_id
    run = golden.check_golden(workspace_id, reason="api")
    if run is None:
        raise NotFound("golden query", "enabled")
    with workspace_scope(workspace_id):
        return reply(GoldenRunDetail, _with_results(run))


@router.get(
    "/golden-queries/{golden_id}",
    auth=KeyAuth("search"),
    response=GoldenOut,
    operation_id="get_golden_query",
    summary="Read a golden query",
)
def get_golden_query(request: HttpRequest, golden_id: Id) -> HttpResponse:
    """A search and the rows it must return."""
    return reply(GoldenOut, find_row(GoldenQuery.objects.all(), golden_id))


@router.patch(
    "/golden-queries/{golden_id}",
    auth=KeyAuth(WRITE),
    response=GoldenOut,
    operation_id="update_golden_query",
    summary="Change a golden query",
    openapi_extra=IF_MATCH,
)
def update_golden_query(request: HttpRequest, golden_id: Id, payload: GoldenPatch) -> HttpResponse:
    """Fields that are not sent stay."""
    changes = payload.sent()
    row = golden.update_golden(
        actor=actor_of(request),
        golden_id=find_id(GoldenQuery, golden_id, check=False),
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=if_match(request),
    )
    return reply(GoldenOut, row)


@router.delete(
    "/golden-queries/{golden_id}",
    auth=KeyAuth(WRITE),
    response={204: None},
    operation_id="delete_golden_query",
    summary="Unpin a golden query",
    openapi_extra=IF_MATCH,
)
def delete_golden_query(request: HttpRequest, golden_id: Id, reason: Reason = None) -> HttpResponse:
    """Its results go with it; its history stays."""
    golden.delete_golden(
        actor=actor_of(request),
        golden_id=find_id(GoldenQuery, golden_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.get(
    "/golden-queries/{golden_id}/results",
    auth=KeyAuth("search"),
    response=Page[GoldenResultOut],
    operation_id="list_golden_results",
    summary="Read what a golden query's runs found",
)
def list_golden_results(request: HttpRequest, golden_id: Id, paging: PageQuery) -> HttpResponse:
    """The newest first. Index goldenresult_golden."""
    rows = GoldenResult.objects.filter(golden=find_id(GoldenQuery, golden_id))
    return reply_page(GoldenResultOut, page(rows, order=["-id"], **paging.model_dump()))


@router.get(
    "/golden-queries/{golden_id}/history",
    auth=KeyAuth("search"),
    response=Page[RevisionOut],
    operation_id="list_golden_query_history",
    summary="Read who changed a golden query",
)
def list_golden_query_history(
    request: HttpRequest, golden_id: Id, paging: PageQuery
) -> HttpResponse:
    """Newest first; by its full id also after it was deleted."""
    rows = history_of(GoldenQuery, golden_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))


@router.get(
    "/golden-runs",
    auth=KeyAuth("search"),
    response=Page[GoldenRunOut],
    operation_id="list_golden_runs",
    summary="List runs of the golden queries",
)
def list_golden_runs(request: HttpRequest, paging: PageQuery) -> HttpResponse:
    """The newest first."""
    rows = GoldenRun.objects.all()
    return reply_page(GoldenRunOut, page(rows, order=["-id"], **paging.model_dump()))


@router.get(
    "/golden-runs/{run_id}",
    auth=KeyAuth("search"),
    response=GoldenRunDetail,
    operation_id="get_golden_run",
    summary="Read a run of the golden queries",
)
def get_golden_run(request: HttpRequest, run_id: Id) -> HttpResponse:
    """With each query's result."""
    return reply(GoldenRunDetail, _with_results(find_row(GoldenRun.objects.all(), run_id)))


def _with_results(run: GoldenRun) -> dict[str, object]:
    """At most MAX_QUERIES. Index goldenresult_run."""
    results = sorted(run.results.all(), key=lambda one: (one.recall, one.id))
    fields = {name: getattr(run, name) for name in GoldenRunOut.model_fields}
    return {**fields, "results": results}
