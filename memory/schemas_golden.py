"""What is sent and answered about golden queries and their runs."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from config.lib.schema import ABSENT, Input, JsonObject, Output, RowOut, Text
from memory.search.schemas import MAX_LIMIT
from memory.services.golden import MAX_EXPECTED

Within = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Among how many first hits")]
Expected = Annotated[
    list[uuid.UUID],
    Field(min_length=1, max_length=MAX_EXPECTED, description="Full ids of rows that must be there"),
]
Name = Annotated[Text, Field(min_length=1, max_length=200)]


class GoldenIn(Input):
    name: Name
    request: JsonObject = Field(description="The body of a search; `limit` is taken from `within`")
    expected: Expected
    within: Within = 10
    enabled: bool = True
    metadata: JsonObject = Field(ABSENT)


class GoldenPatch(Input):
    """Fields that are not sent stay."""

    name: Name = ABSENT
    request: JsonObject = ABSENT
    expected: Expected = ABSENT
    within: Within = ABSENT
    enabled: bool = ABSENT
    metadata: JsonObject = ABSENT
    reason: Text = Field("", max_length=500)


class PinIn(Input):
    """Without `expected`: the hits that were called useful, or else the first five."""

    name: Text = Field("", max_length=200, description="Without: the query itself")
    expected: list[uuid.UUID] = Field([], max_length=MAX_EXPECTED)
    within: Within = 10


class GoldenOut(RowOut):
    name: str
    request: dict[str, Any]
    expected: list[uuid.UUID]
    within: int
    enabled: bool
    last_recall: float | None = Field(description="Share of `expected` that came back, 0 to 1")
    last_run_at: datetime | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int


class GoldenRunOut(RowOut):
    reason: str
    space: str
    weights: str
    queries: int
    recall: float = Field(description="The mean of its queries'")
    took_ms: float
    created_at: datetime


class GoldenResultOut(Output):
    golden_id: uuid.UUID
    run_id: uuid.UUID
    recall: float
    recall_before: float | None = Field(description="In the run before; null in the first")
    ranks: dict[uuid.UUID, int] = Field(description="Expected rows that came back: their place")
    missing: list[uuid.UUID]
    lost: list[uuid.UUID] = Field(description="Came back in the run before, and now do not")
    regained: list[uuid.UUID]
    problem: str = Field(description="Why the search could not be made, or was not reranked")
    created_at: datetime


class GoldenRunDetail(GoldenRunOut):
    results: list[GoldenResultOut] = Field(description="Those with the lowest recall first")
