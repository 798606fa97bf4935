"""A group of a data set as a workspace of its own: its rows are written through the services."""

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from config.lib import clock
from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.services.agents import ensure_agent
from contacts.services.removal import remove_workspace
from contacts.services.workspaces import create_workspace
from memory.evaluation.datasets import Document, Group
from memory.search.corpus import standing
from memory.services.embedding import embed_pending
from memory.services.memories import NewMemory, create_memories
from sessions.services.sessions import create_session
from sessions.services.threads import MAX_BATCH, NewMessage, append_messages, create_thread

AGENT = "benchmark"
# For one call; the loop asks again.
SLICE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Scratch:
    """A loaded group. `documents` names the document that each row is."""

    workspace_id: uuid.UUID
    documents: dict[uuid.UUID, str]

    def document_of(self, source: str) -> str:
        """By the row's id as text, as search has it."""
        return self.documents[uuid.UUID(source)]


@contextmanager
def scratch_workspace(group: Group, *, actor: Actor) -> Iterator[Scratch]:
    """The group's documents, embedded; the workspace is removed at the end, whatever happens."""
    slug = f"benchmark-{secrets.token_hex(6)}"
    workspace = create_workspace(actor=actor, slug=slug, name=f"Benchmark {group.id}"[:120])
    try:
        documents = _load(workspace.id, group, actor)
        _embed(workspace.id)
        yield Scratch(workspace.id, documents)
    finally:
        remove_workspace(workspace.id)


def _load(workspace_id: uuid.UUID, group: Group, actor: Actor) -> dict[uuid.UUID, str]:
    named: dict[uuid.UUID, str] = {}
    with workspace_scope(workspace_id):
        agent = ensure_agent(actor=actor, name=AGENT)
    # Documents stand in the order of their threads, which may take turns.
    ordered = sorted(
        enumerate(group.documents), key=lambda pair: (_first(group, pair[1].thread), pair[0])
    )
    for name, part in groupby((document for _, document in ordered), key=lambda d: d.thread):
        rows = list(part)
        if not name:
            named |= _remember(workspace_id, rows, actor)
            continue
        started = next((row.time for row in rows if row.time is not None), None)
        with workspace_scope(workspace_id):
            session, _ = create_session(
                actor=actor, agent=agent, name=name[:300], started_at=started or clock.now()
            )
            thread = create_thread(actor=actor, session_id=session.id, name=name[:300])
        for start in range(0, len(rows), MAX_BATCH):
            batch = rows[start : start + MAX_BATCH]
            with workspace_scope(workspace_id):
                messages, _ = append_messages(
                    actor=actor, thread_id=thread.id, messages=[_message(row) for row in batch]
                )
            named |= {message.id: row.id for message, row in zip(messages, batch, strict=True)}
    return named


def _remember(workspace_id: uuid.UUID, rows: list[Document], actor: Actor) -> dict[uuid.UUID, str]:
    named: dict[uuid.UUID, str] = {}
    for start in range(0, len(rows), MAX_BATCH):
        batch = rows[start : start + MAX_BATCH]
        with workspace_scope(workspace_id):
            made = create_memories(actor=actor, new=[NewMemory(row.text) for row in batch])
        named |= {memory.id: row.id for (memory, _), row in zip(made, batch, strict=True)}
    return named


def _first(group: Group, thread: str) -> int:
    return next(n for n, one in enumerate(group.documents) if one.thread == thread)


def _message(document: Document) -> NewMessage:
    return NewMessage(role=document.role, content=document.text, occurred_at=document.time)


def _embed(workspace_id: uuid.UUID) -> None:
    """Until nothing waits: another process's jobs may be at it as well."""
    while True:
        report = embed_pending(workspace_id, seconds=SLICE_SECONDS)
        with workspace_scope(workspace_id):
            waiting = standing().pending
        if not waiting or not (report.embedded + report.skipped):
            return
