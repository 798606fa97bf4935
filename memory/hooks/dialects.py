"""The agents whose hooks are understood, by the name in the address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from memory.hooks import amp, claude_code, codex, cursor, gemini, generic, hook_json, opencode
from memory.hooks.forms import Form, Kind, Payload, Unmapped

Reader = Callable[[Payload], Form]
# What an agent can be given context with.
ASKING = frozenset({Kind.SESSION_START, Kind.PROMPT})
SESSION_LIMIT, EVENT_LIMIT = 300, 80


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one agent speaks. `session` and `event` are the paths of its names of both, the first
    that is there; `context_at` the events whose answer can carry context."""

    name: str
    readers: Mapping[str, Reader]
    session: tuple[str, ...]
    event: tuple[str, ...]
    context_at: frozenset[str]
    answer: Callable[[str, str], Mapping[str, Any]]
    other: Callable[[Payload, str], Form] | None = None

    def names(self, payload: Payload, given_event: str = "") -> tuple[str, str]:
        """(the session's name, the event's) as the payload has them; empty where it has none.

        The event in the address counts where the payload names none.
        """
        given = payload.clean.text(given_event)[:EVENT_LIMIT].strip()
        event = payload.text(*self.event, limit=EVENT_LIMIT).strip() or given
        return payload.text(*self.session, limit=SESSION_LIMIT).strip(), event

    def read(self, payload: Payload, event: str) -> Form:
        """The payload in the common form. Raises Unmapped, saying why there is none."""
        if not event:
            raise Unmapped(f"names no event (looked for {', '.join(self.event)})")
        reader = self.readers.get(event)
        if reader is not None:
            return reader(payload)
        if self.other is not None:
            return self.other(payload, event)
        raise Unmapped(f"unknown event {event!a}")


def _dialect(name: str, module: Any, *, context_at: tuple[str, ...], answer: Any) -> Dialect:
    return Dialect(
        name,
        module.READERS,
        getattr(module, "SESSION", ("session_id",)),
        getattr(module, "EVENT", ("hook_event_name",)),
        frozenset(context_at),
        answer,
        getattr(module, "other", None),
    )


_HOOKS = ("SessionStart", "UserPromptSubmit")
DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        _dialect("claude-code", claude_code, context_at=_HOOKS, answer=hook_json.answer),
        _dialect("codex", codex, context_at=_HOOKS, answer=hook_json.answer),
        _dialect(
            "cursor",
            cursor,
            context_at=("sessionStart", "beforeSubmitPrompt"),
            answer=cursor.answer,
        ),
        _dialect(
            "gemini", gemini, context_at=("SessionStart", "BeforeAgent"), answer=hook_json.answer
        ),
        _dialect(
            "opencode",
            opencode,
            context_at=("session.created", "chat.message"),
            answer=generic.answer,
        ),
        _dialect("amp", amp, context_at=("session.start", "agent.start"), answer=generic.answer),
        _dialect("generic", generic, context_at=("session_start", "prompt"), answer=generic.answer),
    )
}
