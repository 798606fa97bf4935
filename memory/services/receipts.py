"""Receipts: keeping each search, asking it again, and what askers say of its hits.

Nothing here changes what a search finds: feedback is for people and golden queries to read.
"""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from pydantic import ValidationError

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.lookup import find_row
from config.lib.db.prepared import prepared_cursor
from config.lib.errors import Conflict, DomainError, Invalid
from config.lib.ids import new_id
from config.lib.redact import redact
from config.lib.room import room
from config.lib.scope import current_workspace_id, send, workspace_scope
from contacts.services import funnel
from memory import search as ranking
from memory.migrations import sql
from memory.models import Receipt, SearchFeedback
from memory.models.passage import PassageKind, SpaceState
from memory.search.ask import ask
from memory.search.filters import Filter, resolve
from memory.search.schemas import Hit, SearchAnswer, SearchQuery

log = structlog.get_logger()

# What a receipt is about is not what it was asked for.
_NOT_ASKED_FOR = {"receipt", "explain"}

# The space is read where it is needed.
_INSERT = """
    INSERT INTO memory_receipt
           (id, workspace_id, created_at, q, request, filters, mode, legs, hits, hit_count, space,
            weights, took_ms, agent_id, api_key_id, asker)
    SELECT %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s, %s::jsonb, %s::jsonb, %s,
           coalesce((SELECT provider || ' ' || model || ' (' || dimensions || ')'
                       FROM memory_embeddingspace
                      WHERE workspace_id = %s AND state = %s AND %s), ''),
           %s, %s, %s::uuid, %s::uuid, %s
"""


def weights_version() -> str:
    """Names the ranking: a digest of what makes it, so that no change goes unnamed. That is the
    code of search, its functions in the database, and the reranker, where one is configured."""
    reranker: tuple[object, ...] = ()
    if settings.RERANKER != "none":
        reranker = (
            settings.RERANKER, str(settings.RERANKER_PATH), settings.RERANKER_URL,
            settings.RERANKER_MODEL, str(settings.RERANKER_DEPTH),
        )  # fmt: skip
    return _digest(*map(str, reranker))


@cache
def _digest(*more: str) -> str:
    digest = hashlib.sha256()
    for package in (ranking, sql):
        for path in sorted(Path(package.__path__[0]).glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    for one in more:
        digest.update(b"\0" + one.encode())
    return digest.hexdigest()[:12]


def ask_and_keep(
    workspace_id: uuid.UUID,
    query: SearchQuery,
    *,
    actor: Actor,
    api_key_id: uuid.UUID | None = None,
    seconds: float | None = None,
    leave: Callable[[], object] | None = None,
) -> SearchAnswer:
    """As `ask`; with the id of the search's receipt, unless `query.receipt` or the setting forbids
    one.

    Each leg's figures go into the receipt whether or not the caller asked to see them.
    """
    if not query.receipt or settings.RECEIPT_DAYS == 0:
        return ask(workspace_id, query, seconds=seconds, leave=leave)

    def tell(answer: SearchAnswer, took_ms: float) -> None:
        answer.receipt_id = keep(
            query=query, answer=answer, took_ms=took_ms, actor=actor, api_key_id=api_key_id
        )

    return ask(workspace_id, query, tell=tell, seconds=seconds, leave=leave)


def keep(
    *,
    query: SearchQuery,
    answer: SearchAnswer,
    took_ms: float,
    actor: Actor,
    api_key_id: uuid.UUID | None = None,
    narrowed: Filter | None = None,
) -> uuid.UUID | None:
    """Write a receipt; its id, or None where that failed: a search is worth more than its receipt.

    The last that is done in a scope: a failure rolls it back. The commit does not wait for the
    disk. `narrowed` is the query's resolved filter; without it names are looked up once more.
    """
    if room().problem:
        return None
    receipt_id = new_id()
    request = request_of(query)
    try:
        filters = orjson.loads((narrowed or resolve(query)).as_json())
        filters.pop("alive_at", None)
        send("SET LOCAL synchronous_commit = off")
        with prepared_cursor() as cursor:
            cursor.execute(
                _INSERT,
                [
                    receipt_id, current_workspace_id(), clock.now(), redact(query.q, personal=True),
                    _json(redact(request, personal=True)), _json(redact(filters, personal=True)),
                    answer.mode.value, _json(answer.legs),
                    _json([_kept(rank, hit) for rank, hit in enumerate(answer.hits, 1)]),
                    len(answer.hits), current_workspace_id(), SpaceState.ACTIVE.value,
                    "semantic" in answer.legs, weights_version(), round(took_ms, 3),
                    actor.agent_id, api_key_id, redact(actor.label)[:200],
                ],
            )  # fmt: skip
    except (DatabaseError, DomainError) as error:
        log.warning("receipt_not_kept", error=repr(error))
        transaction.set_rollback(True)
        return None
    return receipt_id


def request_of(query: SearchQuery) -> dict[str, Any]:
    """What a receipt keeps of the query: what it was asked with, defaults left out."""
    return query.model_dump(mode="json", exclude_unset=True, exclude=_NOT_ASKED_FOR)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _kept(rank: int, hit: Hit) -> dict[str, Any]:
    # What each feature added is said by a replay; kept, it would be most of the receipt.
    figures = (
        hit.explain.model_dump(mode="json", exclude_none=True, exclude={"parts"})
        if hit.explain
        else {}
    )
    return {
        "kind": hit.kind.value,
        "id": str(hit.id),
        "chunk": hit.chunk,
        "rank": rank,
        "score": hit.score,
        **figures,
    }


# --- Asking again -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replay:
    """A search asked again, and how its hits differ. Ids only for what is not found any more."""

    receipt: Receipt
    answer: SearchAnswer
    same: int
    came: list[dict[str, Any]]
    went: list[dict[str, Any]]
    moved: list[dict[str, Any]]
    weights: str


def replay(workspace_id: uuid.UUID, receipt: str) -> Replay:
    """Ask a receipt's search again, now and without a receipt. Opens its own scopes.

    Raises NotFound without such a receipt, or where its agent, project or session is gone.
    """
    with workspace_scope(workspace_id):
        row = find_row(Receipt.objects.all(), receipt, what="search")
    query = read_request(row.request)
    if query.asked_at is None:
        # "Yesterday" is what it was.
        query = query.model_copy(update={"asked_at": row.created_at})
    answer = ask(workspace_id, query)
    with workspace_scope(workspace_id):
        return _compare(row, answer)


def read_request(request: dict[str, Any]) -> SearchQuery:
    """A kept search as it is asked now. Conflict where searches refuse it (by now)."""
    try:
        query = SearchQuery.model_validate({**request, "receipt": False})
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Conflict(
            f"This search cannot be asked as it stands: {field}.", code="not_askable"
        ) from None
    query.check()
    return query


def _compare(row: Receipt, answer: SearchAnswer) -> Replay:
    before = {(hit["kind"], hit["id"]): hit for hit in row.hits}
    after = {
        (hit.kind.value, str(hit.id)): {"rank": rank, "score": hit.score}
        for rank, hit in enumerate(answer.hits, 1)
    }
    gone = [key for key in before if key not in after]
    there = indexed_rows([uuid.UUID(row_id) for _, row_id in gone])
    moved = [
        {
            "kind": key[0],
            "id": key[1],
            "rank_before": before[key]["rank"],
            "score_before": before[key]["score"],
            **after[key],
        }
        for key in after
        if key in before and before[key]["rank"] != after[key]["rank"]
    ]
    return Replay(
        receipt=row,
        answer=answer,
        same=sum(key in before for key in after) - len(moved),
        came=[
            {"kind": kind, "id": row_id, **after[kind, row_id]}
            for kind, row_id in after
            if (kind, row_id) not in before
        ],
        went=[
            {
                "kind": kind,
                "id": row_id,
                "rank": before[kind, row_id]["rank"],
                "score": before[kind, row_id]["score"],
                "deleted": uuid.UUID(row_id) not in there,
            }
            for kind, row_id in gone
        ],
        moved=moved,
        weights=weights_version(),
    )


def indexed_rows(ids: list[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these rows are in the index. Indexes passage_of_*_unique."""
    columns = [f"of_{kind.value}_id" for kind in PassageKind]
    one = "SELECT {0} FROM memory_passage WHERE workspace_id = %s AND {0} = ANY(%s::uuid[])"
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ".join(one.format(column) for column in columns),
            [current_workspace_id(), ids] * len(columns),
        )
        return {row_id for (row_id,) in cursor.fetchall()}


# --- Feedback ---------------------------------------------------------------------------------


def give_feedback(
    *, actor: Actor, receipt: str, hit_id: str, verdict: str, kind: str = "", note: str = ""
) -> SearchFeedback:
    """Record what an asker says of one hit; said again, it replaces what they said before.

    `hit_id` is a hit's id or the end of it. Raises Invalid where the search had no such hit.
    """
    row = find_row(Receipt.objects.all(), receipt, what="search")
    tail = hit_id.replace("-", "").lower()
    found = {
        (hit["kind"], hit["id"])
        for hit in row.hits
        if hit["id"].replace("-", "").endswith(tail) and kind in ("", hit["kind"])
    }
    if len(found) != 1:
        problem = "names more than one hit; give more of it" if found else "is no hit of it"
        raise Invalid({"id": f"{problem} (search {row.short_id})"})
    ((hit_kind, full_id),) = found
    said = SearchFeedback(
        receipt=row,
        kind=hit_kind,
        hit_id=uuid.UUID(full_id),
        verdict=verdict,
        note=note,
        asker=asker_of(actor),
        asker_label=actor.label[:200],
    )
    funnel.check(said)
    SearchFeedback.objects.bulk_create(
        [said],
        update_conflicts=True,
        unique_fields=["workspace", "receipt", "kind", "hit_id", "asker"],
        update_fields=["verdict", "note", "asker_label", "updated_at"],
    )
    return SearchFeedback.objects.get(
        receipt=row, kind=hit_kind, hit_id=said.hit_id, asker=said.asker
    )


def asker_of(actor: Actor) -> str:
    """Whose feedback is one: an agent's, whichever key it uses, or a person's."""
    return f"{actor.kind}:{actor.agent_id or actor.id}"[:100]
