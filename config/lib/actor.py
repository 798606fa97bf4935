"""Who does something, and through which door. Not for permissions: the edge checks those."""

import uuid
from dataclasses import dataclass
from typing import Literal

Kind = Literal["key", "user", "job", "import", "system"]
Channel = Literal["api", "mcp", "hook", "admin", "job", "import", "shell"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Written into every Revision. `id` is the key's, user's or run's own id, as text."""

    kind: Kind
    id: str
    label: str
    channel: Channel
    request_id: str = ""
    agent_id: uuid.UUID | None = None
