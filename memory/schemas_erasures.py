"""What is sent and answered about erasures. Never a word of what is erased."""

import uuid
from datetime import datetime

from pydantic import Field

from config.lib.schema import Input, Output, RowOut, Text
from contacts.models.erasure import ErasureKind, ErasureState


class ErasureIn(Input):
    """A memory, session or contact by its full id, or a term."""

    kind: ErasureKind
    target_id: uuid.UUID | None = Field(None, description="Of all kinds but `term`")
    term: Text = Field(
        "",
        max_length=500,
        description="A name, an address, a phrase: at least 3 letters, compared as whole words",
    )
    reason: Text = Field("", max_length=500, description="Kept; do not name what is erased")


class ErasureRunIn(Input):
    confirm: Text = Field(
        min_length=1,
        max_length=500,
        description="The term as it was sent; else the last 12 digits of the target's id",
    )


class ErasureLiftIn(Input):
    reason: Text = Field("", max_length=500)


class ErasureNamed(Output):
    model: str
    id: uuid.UUID


class ErasurePreview(Output):
    """What would go. Empty until it was looked at."""

    removed: dict[str, int] = Field({}, description="Rows that go, by table")
    struck: dict[str, int] = Field({}, description="Rows that stay, whose texts say it, by table")
    revisions: int = Field(0, description="Changes whose bodies are emptied")
    losing: int = Field(0, description="Memories that stay and lose a source")
    named: list[ErasureNamed] = Field([], description="Of what goes, the first 50")
    remains: list[str] = Field([], description="Where it may still be, and until when")


class ErasureReport(Output):
    """What went. Empty until it is done."""

    removed: dict[str, int] = {}
    struck: dict[str, int] = {}
    revisions: int = 0
    losing: int = 0
    tombstones: int = Field(0, description="Keyed hashes that keep it away")
    remains: list[str] = []


class ErasureOut(RowOut):
    kind: ErasureKind
    target_id: uuid.UUID | None
    state: ErasureState
    reason: str
    actor_label: str
    preview: ErasurePreview
    report: ErasureReport
    progress: str
    error: str
    kept_away: int = Field(description="How often a job left something out because of it")
    lifted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
