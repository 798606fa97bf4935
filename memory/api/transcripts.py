"""Transcripts: agents' own files, uploaded piece by piece."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.actor import Actor
from config.lib.schema import MAX_BIGINT, Input, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import principal_of, reply, whole_body
from memory.schemas_hooks import TranscriptOut
from memory.services.transcripts import Piece, take_piece

router = Router(tags=["Hooks"])

_EXTRA: dict[str, Any] = {
    "requestBody": {
        "description": "The file's bytes from `offset` on; empty to ask where to begin.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
}


class PieceQuery(Input):
    """Which bytes of which file these are."""

    agent: Text = Field(max_length=40, description="claude-code")
    session: Text = Field(min_length=1, max_length=120, description="The agent's own session id")
    file: Text = Field(
        "main", min_length=1, max_length=300, description="A name of the file, one for each"
    )
    subagent: Text = Field(
        "", max_length=120, description="The id of the subagent whose file it is"
    )
    subagent_type: Text = Field("", max_length=120)
    offset: int = Field(0, ge=0, le=MAX_BIGINT, description="Where these bytes begin in the file")
    size: int | None = Field(None, ge=0, le=MAX_BIGINT, description="How long the file is now")
    final: bool = Field(False, description="No more will come: a last line without end is whole")
    skip: bool = Field(
        False, description="What is missing before `offset` is lost: go on behind it"
    )


@router.post(
    "/transcripts",
    auth=KeyAuth("hooks:write"),
    response=TranscriptOut,
    operation_id="send_transcript",
    summary="Upload what is new of a transcript",
    openapi_extra=_EXTRA,
)
def send_transcript(request: HttpRequest, wanted: Annotated[PieceQuery, Query()]) -> HttpResponse:
    """Stores whole lines that are new, once, without their secrets; what hooks told of already is
    not told again. `next_offset` says where the next piece begins: follow it, and a lost answer, a
    missing piece, a file that was rewritten and two senders at once come right by themselves."""
    body = whole_body(request)
    principal = principal_of(request)
    meta = {"agentType": wanted.subagent_type} if wanted.subagent_type else {}
    actor = principal.actor
    taken = take_piece(
        # A transcript tells of the past: it is no sign of life.
        actor=Actor(actor.kind, actor.id, actor.label, "import", actor.request_id, actor.agent_id),
        agent=principal.key.agent,
        dialect=wanted.agent,
        piece=Piece(
            session_name=wanted.session,
            file=wanted.file,
            offset=wanted.offset,
            body=body,
            subagent=wanted.subagent,
            subagent_meta=meta,
            size=wanted.size,
            final=wanted.final,
            skip=wanted.skip,
        ),
    )
    return reply(TranscriptOut, taken)
