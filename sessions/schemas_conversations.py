"""What is answered about conversations: the sessions of one conversation_id, taken together."""

import uuid
from datetime import datetime
from decimal import Decimal

from pydantic import Field

from config.lib.schema import Output
from sessions.models.session import Mode, State
from sessions.schemas import SessionRow
from sessions.schemas_handoffs import HandoffRow


class ConversationRow(Output):
    """A conversation: what its latest session says of itself, and totals of all its sessions."""

    conversation_id: str
    latest_session_id: uuid.UUID
    latest_started_at: datetime = Field(description="When the latest session began")
    agent_id: uuid.UUID
    agent_name: str
    project_id: uuid.UUID | None
    project_title: str | None
    name: str
    role: str
    mode: Mode
    current_state: State
    status_text: str
    context_used_percent: float | None
    prompt_start: str = Field(description="Where it began: 200 characters of the first prompt")
    response_start: str = Field(
        description="Where it stands: 200 characters of the latest session's last answer"
    )
    started_at: datetime = Field(description="When its first session began")
    last_seen_at: datetime
    ended_at: datetime | None = Field(description="null while one of its sessions runs")
    session_count: int
    active_sessions: int = Field(description="How many have not ended")
    message_count: int
    event_count: int
    tool_count: int
    error_count: int
    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    cost_usd: Decimal | None = Field(
        description="US dollars, of the sessions whose cost is known; null where none is"
    )


class ConversationOut(ConversationRow):
    """A conversation with what belongs to it."""

    pending_notifications: int = Field(description="Not acknowledged")
    sessions: list[SessionRow] = Field(
        description="Newest first, at most 100; GET /sessions?conversation_id= lists all"
    )
    handoffs: list[HandoffRow] = Field(
        description="Newest first, at most 100; GET /handoffs?conversation_id= lists all"
    )
