"""What is found of rows whose texts were struck: made anew, vectors included."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from config.lib.actor import Actor
from contacts.models import Contact
from memory.models import Memory, Passage
from memory.services import passages
from sessions.models import Message, Project, Session, SessionEvent, Task

_INDEXED: dict[type[Any], Callable[..., None]] = {
    Contact: passages.index_contacts,
    Memory: passages.index_memories,
    Message: passages.index_messages,
    Project: passages.index_projects,
    Session: passages.index_sessions,
    SessionEvent: passages.index_events,
    Task: passages.index_tasks,
}
# These are written once, and so is what is indexed of them.
_WRITTEN_ONCE = {Message: "of_message_id__in", SessionEvent: "of_event_id__in"}


def reindex(model: type[Any], ids: Sequence[uuid.UUID], actor: Actor) -> None:
    """Nothing of what is not searched for. In the caller's transaction."""
    index = _INDEXED.get(model)
    if index is None:
        return
    if model in _WRITTEN_ONCE:
        Passage.objects.filter(**{_WRITTEN_ONCE[model]: ids}).delete()
    index(list(model.objects.filter(pk__any_of=ids).defer(None).order_by("pk")), actor)
