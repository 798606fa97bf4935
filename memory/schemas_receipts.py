"""What is sent and answered about searches that were made, and what askers say of them."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from config.lib.schema import Input, Output, RowId, RowOut, Text
from memory.models.passage import PassageKind
from memory.models.receipt import Verdict
from memory.search.schemas import Explanation, SearchAnswer, SearchMode


class ReceiptRow(RowOut):
    """A search as lists show it."""

    created_at: datetime
    q: str = Field(description="As asked")
    mode: SearchMode
    legs: list[str]
    hit_count: int
    took_ms: float = Field(description="Milliseconds, without the query's embedding")
    agent_id: uuid.UUID | None
    asker: str
    space: str = Field(description="Provider, model and dimensions of the vectors; empty: none")
    weights: str = Field(description="Version of the ranking")


class KeptHit(Explanation):
    """A hit's ids and figures. Never its text: the row is read where it is."""

    kind: PassageKind
    id: uuid.UUID
    chunk: int
    rank: int
    score: float


class FeedbackOut(RowOut):
    receipt_id: uuid.UUID
    kind: PassageKind
    hit_id: uuid.UUID
    verdict: Verdict
    note: str
    asker_label: str
    created_at: datetime
    updated_at: datetime


class ReceiptOut(ReceiptRow):
    request: dict[str, Any] = Field(description="What was asked, without defaults")
    filters: dict[str, Any] = Field(description="What narrowed it, names as ids")
    hits: list[KeptHit]
    api_key_id: uuid.UUID | None
    feedback: list[FeedbackOut] = Field(
        validation_alias="feedback_given", description="What askers say of its hits"
    )


class Came(Output):
    kind: PassageKind
    id: uuid.UUID
    rank: int
    score: float


class Went(Came):
    deleted: bool = Field(description="The row is in the index no more; otherwise it ranks lower.")


class Moved(Came):
    rank_before: int
    score_before: float


class ReplayOut(Output):
    """A search asked again. `went` names rows by id alone."""

    receipt: ReceiptRow
    answer: SearchAnswer
    same: int = Field(description="Hits that stand where they stood")
    came: list[Came]
    went: list[Went]
    moved: list[Moved]
    weights: str = Field(description="Version of the ranking now")


class FeedbackIn(Input):
    kind: PassageKind | None = None
    id: RowId
    verdict: Verdict
    note: Annotated[Text, Field(max_length=2000)] = ""
