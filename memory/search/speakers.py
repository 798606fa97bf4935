"""Who speaks in a workspace's conversations, where messages begin with a name: "Mara: ...".

Chats and meetings of several people are kept so; what an agent and its user wrote is not. Asked
"what did Mara say of the harbour", every text of Mara's is near by meaning because of her name,
so ranking looks a second time without it (ranking.keywords).
"""

import re
import uuid

from django.db import connection

from config.lib.scope import current_workspace_id, workspace_scope
from memory.search.corpus import MOST_KEPT, Kept
from memory.search.vectors import note_active_space

PREFIX = re.compile(r"([^\W\d_][\w .'-]{0,39}?):\s")
# The newest messages that are looked at, 60 characters of each: about 3 ms.
SAMPLE = 1000
# A thread in which so many messages begin with a name is a conversation of named people; in
# others a colon stands behind "Error" or "Note".
LEAST_SHARE, LEAST_MESSAGES = 0.8, 3
KEPT_SECONDS = 60.0

_speakers: Kept[frozenset[str]] = Kept(MOST_KEPT)


def speakers_of(workspace_id: uuid.UUID) -> frozenset[str]:
    """Casefolded names of who spoke lately, at most a minute old. Opens its own scope."""
    kept = _speakers.get(workspace_id)
    if kept is not None:
        return kept
    with workspace_scope(workspace_id):
        return note_speakers()


def note_speakers() -> frozenset[str]:
    """The same inside a scope: a scope of its own costs more than the look."""
    kept = _speakers.get(current_workspace_id())
    if kept is not None:
        return kept
    found = frozenset(_read())
    # The query's vector needs it next.
    note_active_space()
    _speakers.keep(current_workspace_id(), found, KEPT_SECONDS)
    return found


def _read() -> list[str]:
    """Index memory_passage_pkey: ids grow with time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT thread_id, left(text, 60) FROM memory_passage WHERE workspace_id = %s "
            "AND thread_id IS NOT NULL AND chunk = 0 ORDER BY id DESC LIMIT %s",
            [current_workspace_id(), SAMPLE],
        )
        threads: dict[uuid.UUID, list[str | None]] = {}
        for thread, text in cursor.fetchall():
            threads.setdefault(thread, []).append(speaker(text))
    return [
        name
        for names in threads.values()
        if len(names) >= LEAST_MESSAGES
        and sum(name is not None for name in names) >= LEAST_SHARE * len(names)
        for name in set(names)
        if name is not None
    ]


def speaker(text: str) -> str | None:
    """The casefolded name that `text` begins with, if it begins with one."""
    match = PREFIX.match(text)
    return match.group(1).casefold() if match else None


def forget() -> None:
    """Empties what is kept, as tests need."""
    _speakers.clear()
