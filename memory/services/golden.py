"""Golden queries: searches pinned with the rows they must return, and whether they still do."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import DomainError, Invalid
from config.lib.jobs import Job
from config.lib.scope import current_workspace_id, workspace_scope
from contacts.services import funnel
from memory.models import GoldenQuery, GoldenResult, GoldenRun, Receipt
from memory.search.ask import ask
from memory.search.corpus import active_space
from memory.search.dates import find_period
from memory.search.parse import parse
from memory.search.schemas import MAX_LIMIT, SearchAnswer, SearchQuery
from memory.services.receipts import indexed_rows, read_request, weights_version

QUEUE = "index"
CHECK_TASK = "memory.ask_golden_queries"
EDITABLE = frozenset({"name", "request", "expected", "within", "enabled", "metadata"})
MAX_EXPECTED = 100
# Asked in one run; each is a search.
MAX_QUERIES = 1000
# Of a receipt that is pinned without saying which rows matter.
PINNED_HITS = 5
# A golden query has its own number of rows, and is kept elsewhere.
_NOT_KEPT = ("limit", "receipt", "explain")


def create_golden(*, actor: Actor, reason: str = "", **fields: Any) -> GoldenQuery:
    """Pin a search. `request` is a search's body, `expected` ids of rows that are in the index.

    Raises Invalid naming the field that no search takes or no row has.
    """
    unknown = fields.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be set on a golden query"))
    return funnel.create(GoldenQuery(**_checked(fields)), actor=actor, reason=reason)


def update_golden(
    *,
    actor: Actor,
    golden_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> GoldenQuery:
    """Change a pinned search or what it must return. Raises as create_golden does."""
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on a golden query"))
    row = funnel.get_row(GoldenQuery, golden_id, lock=True)
    return funnel.update(
        row, _checked(changes, row), actor=actor, expected_version=expected_version, reason=reason
    )


def delete_golden(
    *,
    actor: Actor,
    golden_id: uuid.UUID,
    expected_version: int | None = None,
    reason: str = "",
) -> None:
    """Unpin a search; its results go with it."""
    row = funnel.get_row(GoldenQuery, golden_id, lock=True)
    funnel.delete(row, actor=actor, expected_version=expected_version, reason=reason)


def pin_receipt(
    *,
    actor: Actor,
    receipt: Receipt,
    name: str = "",
    expected: Sequence[uuid.UUID] = (),
    within: int = 10,
    reason: str = "",
) -> GoldenQuery:
    """A golden query of a search that was made: what it found must come back.

    Without `expected` the hits that were called useful, or else the first few. Where the query
    speaks of a time ("yesterday"), it stays the one that was meant.
    """
    request = dict(receipt.request)
    if find_period(parse(receipt.q).text, receipt.created_at) is not None:
        request.setdefault("asked_at", receipt.created_at.isoformat())
    if not expected:
        useful = receipt.feedback.filter(verdict="useful").values_list("hit_id", flat=True)
        expected = list(dict.fromkeys(useful)) or [
            uuid.UUID(hit["id"]) for hit in receipt.hits[: min(within, PINNED_HITS)]
        ]
        there = indexed_rows(list(expected))
        expected = [row_id for row_id in expected if row_id in there]
    return create_golden(
        actor=actor,
        name=name or receipt.q[:200] or f"Search {receipt.short_id}",
        request=request,
        expected=list(expected),
        within=within,
        reason=reason,
    )


def _checked(fields: Mapping[str, Any], row: GoldenQuery | None = None) -> dict[str, Any]:
    """`fields` as they are stored."""
    made = dict(fields)
    if "request" in made or row is None:
        request = made.get("request")
        if not isinstance(request, dict):
            raise Invalid({"request": "must be the body of a search, a JSON object"})
        request = {name: value for name, value in request.items() if name not in _NOT_KEPT}
        try:
            read_request(request)
        except DomainError as error:
            raise Invalid({"request": error.detail}) from None
        made["request"] = request
    if "expected" in made or row is None:
        expected = _read_ids(made.get("expected") or ())
        if not 0 < len(expected) <= MAX_EXPECTED:
            raise Invalid({"expected": f"must name 1 to {MAX_EXPECTED} rows"})
        # What was there when it was pinned may be gone since; that is for its runs to say.
        known = set(row.expected) if row else set()
        there = indexed_rows(expected)
        for index, row_id in enumerate(expected):
            if row_id not in there and str(row_id) not in known:
                raise Invalid({f"expected[{index}]": "no row of this id is in the index"})
        made["expected"] = [str(row_id) for row_id in expected]
    within = made.get("within", row.within if row else 10)
    expected = made.get("expected", row.expected if row else [])
    if len(expected) > within:
        raise Invalid({"within": f"is fewer than the {len(expected)} rows that must be among them"})
    return made


def _read_ids(expected: Sequence[uuid.UUID | str]) -> list[uuid.UUID]:
    """Each once. A person's form has them as lines of text."""
    ids: dict[uuid.UUID, None] = {}
    for index, one in enumerate(expected):
        try:
            ids[one if isinstance(one, uuid.UUID) else uuid.UUID(one.strip())] = None
        except ValueError:
            raise Invalid({f"expected[{index}]": "must be the full id of a row"}) from None
    return list(ids)


# --- Asking -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """Where each expected row came back; why the search, or its reranking, could not be made."""

    ranks: dict[str, int] = field(default_factory=dict)
    problem: str = ""


def check_job(workspace_id: uuid.UUID, reason: str) -> Job:
    """Has the golden queries asked by the job worker."""
    return Job(
        task=CHECK_TASK,
        queue=QUEUE,
        lock=f"golden:{workspace_id}",
        arguments={"workspace_id": str(workspace_id), "reason": reason},
        # Behind what is to be embedded, whose vectors it asks for.
        priority=-20,
    )


def check_golden(workspace_id: uuid.UUID, *, reason: str = "job") -> GoldenRun | None:
    """Ask every enabled golden query and keep what came back; None where there is none.

    Opens its own scopes, one for each search, since a query's vector is made outside of them.
    """
    with workspace_scope(workspace_id):
        queries = list(enabled_queries())
    if not queries:
        return None
    began = time.perf_counter()
    found = {query.pk: _ask(workspace_id, query) for query in queries}
    took_ms = (time.perf_counter() - began) * 1000
    with workspace_scope(workspace_id):
        return _keep_run(found, reason, took_ms)


def enabled_queries() -> QuerySet[GoldenQuery]:
    """The primary key; there are few."""
    return GoldenQuery.objects.filter(enabled=True).order_by("id")[:MAX_QUERIES]


def _ask(workspace_id: uuid.UUID, golden: GoldenQuery) -> _Found:
    try:
        answer = ask(workspace_id, request_of(golden))
    except DomainError as error:
        # Its project was deleted, say: nothing came back, and the result says why.
        return _Found(problem=error.detail[:300])
    failed = answer.rerank_unavailable
    return _Found(ranks_of(golden, answer), f"not reranked: {failed}"[:300] if failed else "")


def request_of(golden: GoldenQuery) -> SearchQuery:
    """Its search. Conflict where a later version of searches refuses it."""
    return read_request({**golden.request, "limit": min(golden.within, MAX_LIMIT)})


def ranks_of(golden: GoldenQuery, answer: SearchAnswer) -> dict[str, int]:
    """expected row -> its place, from 1, of those that came back."""
    wanted = set(golden.expected)
    found = {str(hit.id): rank for rank, hit in enumerate(answer.hits, 1)}
    return {row_id: rank for row_id, rank in found.items() if row_id in wanted}


def _keep_run(found: Mapping[uuid.UUID, _Found], reason: str, took_ms: float) -> GoldenRun | None:
    # What was deleted while we asked has no result; what is left cannot go before we are done.
    left = list(
        GoldenQuery.objects.select_for_update(no_key=True).filter(pk__in=found).order_by("id")
    )
    if not left:
        return None
    space = active_space()
    run = GoldenRun(
        reason=reason,
        space="" if space is None else str(space),
        weights=weights_version(),
        queries=len(left),
        recall=0.0,
        took_ms=round(took_ms, 3),
    )
    results = [_result(run, golden, found[golden.pk]) for golden in left]
    run.recall = sum(result.recall for result in results) / len(results)
    actor = Actor("system", "golden", "golden queries", "job")
    funnel.append([run], actor=actor)
    funnel.append(results, actor=actor)
    for golden, result in zip(left, results, strict=True):
        funnel.touch(golden, last_recall=result.recall, last_run_at=clock.now())
    return run


def _result(run: GoldenRun, golden: GoldenQuery, found: _Found) -> GoldenResult:
    """Compared with the query's result before. Index goldenresult_golden."""
    before = golden.results.order_by("-id").first()
    expected = golden.expected
    had = set(before.ranks) if before else set()
    return GoldenResult(
        run=run,
        golden=golden,
        recall=len(found.ranks) / len(expected),
        recall_before=before.recall if before else None,
        ranks=found.ranks,
        missing=[row_id for row_id in expected if row_id not in found.ranks],
        lost=[row_id for row_id in expected if row_id in had and row_id not in found.ranks],
        regained=[
            row_id
            for row_id in expected
            if before and row_id in before.missing and row_id in found.ranks
        ],
        problem=found.problem,
    )


def golden_report(workspace_id: uuid.UUID, reason: str) -> dict[str, Any] | None:
    """check_golden's run with each query's result, as JSON values."""
    run = check_golden(workspace_id, reason=reason)
    if run is None:
        return None
    with workspace_scope(workspace_id):
        results = run.results.select_related("golden").order_by("id")
        return {
            "run": str(run.pk),
            "recall": run.recall,
            "queries": run.queries,
            "space": run.space,
            "weights": run.weights,
            "took_ms": run.took_ms,
            "results": [
                {
                    "golden": str(one.golden_id),
                    "name": one.golden.name,
                    "within": one.golden.within,
                    "recall": one.recall,
                    "recall_before": one.recall_before,
                    "ranks": one.ranks,
                    "missing": one.missing,
                    "lost": one.lost,
                    "regained": one.regained,
                    "problem": one.problem,
                }
                for one in results
            ],
        }


def golden_line(result: Mapping[str, Any]) -> str:
    """One result for a terminal."""
    line = f"  {result['recall']:.3f} within {result['within']}  {result['name']}"
    before = result["recall_before"]
    if before is not None and before != result["recall"]:
        line += f"  (was {before:.3f})"
    for what in ("lost", "regained", "problem"):
        if result[what]:
            said = result[what] if what == "problem" else ", ".join(result[what])
            line += f"\n    {what}: {said}"
    return line


def run_soon(*, actor: Actor, row: GoldenQuery, reason: str = "") -> GoldenQuery:
    """Have all golden queries asked once this transaction has committed."""
    check_job(current_workspace_id(), "by hand").defer_on_commit()
    return row
