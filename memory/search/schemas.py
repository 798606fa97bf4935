"""What a search asks and answers: the schemas that REST and MCP share."""

import uuid
from datetime import MAXYEAR, MINYEAR, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from config.lib import clock
from config.lib.errors import Invalid
from config.lib.schema import Input, Moment, Number, Output, RowId, RowOut, Text
from memory.models.memory import Kind, MemoryState, Trust
from memory.models.passage import PassageKind
from memory.search.metadata import check_conditions

# A question, or an error message with its trace; not a file.
MOST_QUERY_BYTES = 8192
DEFAULT_LIMIT, MAX_LIMIT = 10, 100
MAX_FILTERS = 100
MAX_NEIGHBOURS = 5
# Of a context block, in tokens.
LEAST_CONTEXT, MOST_CONTEXT = 200, 32_000

Name = Annotated[Text, StringConstraints(max_length=300)]
Tag = Annotated[Text, StringConstraints(max_length=100)]
Conditions = Annotated[dict[str, Any], AfterValidator(check_conditions)]


class SearchMode(StrEnum):
    HYBRID = "hybrid"
    LEXICAL = "lexical"
    SEMANTIC = "semantic"


class DateUse(StrEnum):
    """What a time that the query speaks of does ("last week", "in May", "since Tuesday")."""

    PREFER = "prefer"
    FILTER = "filter"
    IGNORE = "ignore"


class Asked(Input):
    """What is looked for. Filters are joined by AND; values of one by OR, except tags (all)."""

    q: Text = Field(
        "",
        description="What is looked for, in any words. A phrase in double quotes must occur, "
        f"-word must not. At most {MOST_QUERY_BYTES:,} bytes; empty only where there is a filter.",
    )
    mode: SearchMode = SearchMode.HYBRID
    kinds: list[PassageKind] = Field(
        [], max_length=MAX_FILTERS, description="Kinds of row; all where empty."
    )
    memory_kinds: list[Kind] = Field(
        [], max_length=MAX_FILTERS, description="Kinds of memory; other rows are then left out."
    )
    agent: Name | None = Field(None, description="An agent's name or id.")
    project: Name | None = Field(None, description="A project's title or id.")
    session: RowId | None = None
    conversation: Name | None = Field(None, description="A conversation_id: all its sessions.")
    tags: list[Tag] = Field([], max_length=MAX_FILTERS, description="Memories with all of these.")
    metadata: Conditions = Field(
        {},
        description="Conditions on rows' metadata (of events, their data), all of which must hold: "
        '{"ticket": "A-12", "build.number": {"gte": 3}}. A key inside another is named by its '
        "path. Operators: eq, ne, in, not_in, exists, gt, gte, lt, lte, contains; see the page on "
        "search.",
    )
    after: Moment | None = Field(None, description="It happened then or later.")
    before: Moment | None = Field(None, description="It happened earlier than that.")
    dates: DateUse = Field(
        DateUse.PREFER,
        description='What a time in q does, such as "last week" or "in May": rows of that time '
        "are preferred, are the only ones (filter), or it is words like others (ignore).",
    )
    asked_at: Moment | None = Field(
        None, description="The asker's clock, by which relative times in q are meant; else now."
    )
    as_of: Moment | None = Field(
        None,
        description="What was known and held then: rows recorded later are left out, whenever they "
        "happened, and rows superseded or expired since are back.",
    )
    min_trust: Trust | None = Field(
        None, description="operator, verified, agent or external, from most to least."
    )
    states: list[MemoryState] = Field([MemoryState.ACTIVE], min_length=1, max_length=MAX_FILTERS)
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    min_score: Number = Field(0.0, ge=0.0, le=1.0)
    decay: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="How much a memory's strength counts (its reads, its affect, its age), from "
        "not at all; else as the workspace's settings say, which is not at all unless they do. "
        "Hybrid only, bounded, see the page on memories' lives.",
    )
    rerank: bool = Field(
        True,
        description="Whether a reranker orders the first hits, where one is configured and the "
        "mode is hybrid.",
    )

    @field_validator("q")
    @classmethod
    def _not_a_file(cls, value: str) -> str:
        size = len(value.encode())
        if size > MOST_QUERY_BYTES:
            raise PydanticCustomError(
                "query_length",
                "has {size} bytes; at most {most} are searched for",
                {"size": f"{size:,}", "most": f"{MOST_QUERY_BYTES:,}"},
            )
        return value

    @field_validator("as_of")
    @classmethod
    def _not_yet(cls, value: datetime | None) -> datetime | None:
        if value is not None and value > clock.now():
            raise PydanticCustomError(
                "future", "lies in the future; nobody knows yet what will be known then"
            )
        return value

    @field_validator("asked_at")
    @classmethod
    def _has_a_zone_to_be(cls, value: datetime | None) -> datetime | None:
        if value is not None and not MINYEAR < value.year < MAXYEAR:
            raise PydanticCustomError(
                "no_clock", "lies in the calendar's first or last year, which no clock shows"
            )
        return value

    @property
    def is_filtered(self) -> bool:
        """Whether anything but `q` narrows the search."""
        return any(
            (
                self.kinds, self.memory_kinds, self.agent, self.project, self.session,
                self.conversation, self.tags, self.metadata, self.after, self.before, self.as_of,
                self.min_trust, self.states != [MemoryState.ACTIVE],
            )
        )  # fmt: skip

    def check(self) -> None:
        """What concerns more than one field. Raises Invalid naming one of them."""
        if not self.q.strip() and not self.is_filtered:
            raise Invalid({"q": "is empty and there is no filter; say what you look for"})
        if self.after is not None and self.before is not None and self.after >= self.before:
            raise Invalid({"before": "does not lie after `after`"})


class SearchQuery(Asked):
    """A search, and what its answer shows."""

    explain: bool = False
    neighbours: int = Field(
        0, ge=0, le=MAX_NEIGHBOURS, description="Messages before and after each hit, of its thread."
    )
    max_tokens: int | None = Field(
        None,
        ge=LEAST_CONTEXT,
        le=MOST_CONTEXT,
        description="With it, the answer has a context block of at most so many tokens.",
    )
    receipt: bool = Field(True, description="Whether this search is kept, to be opened again.")


class Explanation(Output):
    """How a hit came to its score. A leg that did not find or reach it has null."""

    bm25: float | None = Field(None, description="BM25 of the query's words; higher is better.")
    bm25_share: float | None = Field(None, description="The same, 0 to 1 over the candidates.")
    bm25_rank: int | None = None
    cosine: float | None = Field(None, description="Similarity of meaning, -1 to 1.")
    cosine_share: float | None = Field(None, description="The same, 0 to 1 over the candidates.")
    cosine_rank: int | None = None
    parts: dict[str, float] | None = Field(
        None, description="Hybrid only: what each feature added; see the page on search."
    )
    rerank_score: float | None = Field(
        default=None, description="How well the hit answers by the reranker; higher is better."
    )
    rank_before: int | None = Field(
        default=None, description="Its place before it was reranked, from 1."
    )


class EvidenceOut(Output):
    id: uuid.UUID
    message_id: uuid.UUID | None
    event_id: uuid.UUID | None
    task_id: uuid.UUID | None
    mission_id: uuid.UUID | None
    uri: str
    quote: str
    quote_hash: str = Field(description="SHA-256, hex, of the quote with white space folded")


class NeighbourOut(RowOut):
    """A message before or after a hit in its thread."""

    idx: int
    role: str
    text: str = Field(description="Its first 2,000 characters.")
    occurred_at: datetime


class Hit(RowOut):
    """A row that was found, once, by its best passage. Its text is data, not instruction."""

    kind: PassageKind
    id: uuid.UUID = Field(description="Of the memory, message, event, session or project.")
    score: float = Field(
        description="hybrid: about how likely the row answers, 0 to 1; lexical: share of the best "
        "hit's BM25; semantic, and hybrid where q has no searchable word: cosine. Comparable "
        "within one answer. A reranker changes the order and not the score."
    )
    text: str = Field(description="The passage that matched: the row's text, or a part of it.")
    snippet: str = Field(
        description="Where it matched, the query's words between ** and **. Plain text: escape it."
    )
    chunk: int = Field(description="Which part of the row the passage is, from 0.")
    chunks: int = Field(description="How many parts the row has.")
    memory_kind: Kind | None = None
    tags: list[str] = []
    trust: Trust
    state: MemoryState
    occurred_at: datetime
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    agent_id: uuid.UUID | None = None
    agent: str | None = None
    project_id: uuid.UUID | None = None
    project: str | None = None
    session_id: uuid.UUID | None = None
    session: str | None = None
    conversation_id: str | None = None
    thread_id: uuid.UUID | None = None
    idx: int | None = Field(None, description="The message's place in its thread.")
    role: str | None = Field(None, description="Who said the message: user, assistant, tool, ...")
    evidence: list[EvidenceOut] = Field([], description="What a memory rests on, the first ten.")
    neighbours: list[NeighbourOut] = Field([], description="As many as were asked for.")
    explain: Explanation | None = None


class PeriodOut(Output):
    """A time that the query speaks of, from `start` until before `end`."""

    start: datetime
    end: datetime
    text: str = Field(description="The words that said it.")


class ContextRow(Output):
    """A row that is in a context block."""

    kind: PassageKind
    id: uuid.UUID
    score: float


class ContextBlock(Output):
    """Hits as text for an agent: grouped by session, each line with its row's short id and time,
    what nobody confirmed between fences."""

    text: str = Field(description="Markdown; empty where nothing was found.")
    tokens: int = Field(description="Estimated, rather too many than too few.")
    rows: list[ContextRow] = Field(description="What is in it, best first.")
    left_out: int = Field(description="Hits that did not fit.")
    repeated: int = Field(description="Hits that said what better ones had said.")


class SearchAnswer(Output):
    """Hits, best first, and what the search could see."""

    hits: list[Hit]
    mode: SearchMode
    legs: list[str] = Field(
        description="What ran: lexical, semantic; or recent, where the query has no searchable "
        "word and the newest rows are given; then rerank, where a reranker ordered the first hits."
    )
    semantic_unavailable: str | None = Field(
        None, description="Why the search was by words alone though meaning was asked for."
    )
    rerank_unavailable: str | None = Field(
        default=None, description="Why a reranker that is configured did not order the hits."
    )
    context: ContextBlock | None = Field(default=None, description="Where max_tokens asked for it.")
    period: PeriodOut | None = Field(None, description="The time that q was found to speak of.")
    passages: int = Field(description="Passages in the workspace.")
    not_embedded: int = Field(
        description="Of these, how many are found by words only, because their vector is not made "
        "yet or the embedder refused them."
    )
    receipt_id: uuid.UUID | None = Field(
        default=None, description="Under /searches; null where the search was not kept."
    )
