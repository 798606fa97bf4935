"""Raw payloads of hooks as callers see them, and what became of a transcript's piece."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from config.lib.schema import Output, RowOut
from memory.models.hooks import PayloadState
from memory.services.transcripts import Status


class HookPayloadRow(RowOut):
    """A payload in a list, without what it holds."""

    dialect: str = Field(description="The agent's kind, as in the address it was sent to")
    session_name: str = Field(description="The agent's own id of its session; may be empty")
    event: str = Field(description="The agent's own name of the event; may be empty")
    dedupe_key: str
    state: PayloadState
    reason: str = Field(description="Why it is not mapped")
    attempts: int
    repeats: int = Field(description="How often it came again")
    host: str
    agent_id: uuid.UUID | None = Field(description="Whose key sent it")
    session_id: uuid.UUID | None = Field(description="The session it was mapped to")
    created_at: datetime = Field(description="When it was received")
    occurred_at: datetime = Field(description="When it happened, by the server's clock")
    claimed_at: datetime | None = Field(description="When it happened, by the sender's clock")
    mapped_at: datetime | None


class HookPayloadOut(HookPayloadRow):
    """One payload, with what it holds."""

    payload: dict[str, Any] = Field(description="The JSON object that came, without secrets")
    raw: str = Field(description="The body as text, where it was no JSON object")
    answer: dict[str, Any] = Field(
        description="What context it was answered with: {receipt_id, tokens, rows, notices}"
    )


class TranscriptOut(Output):
    """What became of a piece of a transcript."""

    status: Status = Field(
        description="taken; known: nothing of it is new; half: no whole line yet; gap: bytes "
        "before it are missing; rewritten: the file is another one and is wanted from its start"
    )
    next_offset: int = Field(description="Where the next piece begins, whatever the status")
    taken: int = Field(description="Bytes of the file that are here; at its size, all is said")
    session_id: uuid.UUID | None
    lines: int = Field(description="Lines that are new")
    messages: int = Field(description="Messages that are new")
    events: int = Field(description="Events that are new")
    gaps: list[list[int]] = Field(description="[from, to] of bytes that were skipped")
