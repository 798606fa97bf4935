"""notify_human."""

from typing import Any

from pydantic import Field

from config.lib.schema import Moment, Output, RowId, Text
from config.mcp.brief import fitted, picked
from config.mcp.rest import Call
from config.mcp.schemas import Writing, read
from config.mcp.tool import Tool, digest_of, is_detailed
from config.mcp.tools.sessions import sent_of
from sessions.api.pings import create_ping, get_ping
from sessions.models.attention import Severity
from sessions.schemas import ConversationId
from sessions.schemas_pings import PingIn, PingOut
from sessions.services.waiting import MAX_WAIT_SECONDS

BRIEF = (
    "id", "state", "message", "severity", "options", "answer", "answered_by", "expires_at",
    "conversation_id",
)  # fmt: skip


class NotifyHuman(Writing):
    message: Text = Field(
        min_length=1, max_length=20_000, description="What you need or want to say, whole in itself"
    )
    options: list[Text] | None = Field(
        None, max_length=20, description="Answers to choose from; any other text is one too"
    )
    severity: Severity = Severity.NORMAL
    session: RowId | None = Field(None, description="Yours")
    conversation: ConversationId | None = Field(
        None, max_length=120, description="Which is told the answer. Without: the session's"
    )
    expires_at: Moment | None = Field(None, description="No answer is needed after this")
    external_id: Text | None = Field(None, max_length=300, description="Repeated, the ping returns")
    wait_seconds: float = Field(
        0, ge=0, le=MAX_WAIT_SECONDS, description="How long you wait for an answer here"
    )


class HumanNotified(Output):
    ping: PingOut


def notify(call: Call, given: NotifyHuman) -> dict[str, Any]:
    sent = sent_of(
        given, message="message", options="options", severity="severity", session_id="session",
        conversation_id="conversation", expires_at="expires_at", external_id="external_id",
    )  # fmt: skip
    ping = read(PingIn, sent, {"session_id": "session", "conversation_id": "conversation"})
    # The answer is not part of what was done, and waiting holds no connection.
    said = given.model_dump(mode="json", exclude={"wait_seconds", "response_format"})
    row = call.unit(
        lambda: call.ask(create_ping, ping),
        key=given.idempotency_key,
        digest=digest_of("notify_human", said),
    )
    if given.wait_seconds and call.may(get_ping):
        row = call.ask(get_ping, row["id"], wait=given.wait_seconds)
    if is_detailed(given):
        return {"ping": row}
    return fitted(lambda cut: {"ping": picked(row, BRIEF, cut)})


NOTIFY = Tool(
    name="notify_human",
    title="Ask or tell a person",
    description=(
        "Ask the people of this workspace a question, or tell them something that cannot wait: "
        "it stands on their page, and from the severity that they chose it goes out by e-mail or "
        "to their phone. Use it when you are blocked on a decision, an approval or something only "
        "a person has, and when something went wrong that they must know of; not for progress. "
        "Give options where you can. With wait_seconds (at most 25) the answer comes back "
        "here if it is quick; else read it later with memory_get kind=ping, and go on with what "
        "does not depend on it."
    ),
    takes=NotifyHuman,
    gives=HumanNotified,
    run=notify,
    open_world=True,
    whole=False,
    names={"session_id": "session", "conversation_id": "conversation"},
)
