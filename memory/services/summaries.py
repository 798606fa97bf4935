"""Summarising a session: read in one transaction, thought about in none, written in another.

By the operation of that name, over what is there; by itself as a session goes on and ends
(learning.py), only over what was written by itself. Not for how a summary is made (memory/
summaries).
"""

import hashlib
import json
import math
import uuid
from dataclasses import dataclass
from typing import Any

import structlog

from config.lib.actor import Actor
from config.lib.errors import BadGateway, Conflict, Unavailable
from config.lib.scope import workspace_scope
from contacts.services import erasing, funnel
from memory.summaries import Draft, Material, SummaryError, get_summarizer
from memory.summaries.base import Facts
from memory.summaries.extractive import ExtractiveSummarizer
from memory.summaries.facts import read_facts
from memory.summaries.material import read_material
from sessions.models import Session
from sessions.selectors import get_session
from sessions.services.sessions import update_session

log = structlog.get_logger()

# Where a server that is busy does not say for how long.
RETRY_SECONDS = 30


def summarize_session(*, workspace_id: uuid.UUID, actor: Actor, session: str) -> uuid.UUID:
    """Write a session's summary and summary_data; its id. `session` is an id, full or shortened.
    Opens its own scopes.

    Raises NotFound, Conflict where there is nothing to summarise, or somebody wrote a summary or
    erased something meanwhile, Unavailable where the configured endpoint is down or busy, and
    BadGateway where its answer is of no use. Whatever is raised, the session is as it was.
    """
    with workspace_scope(workspace_id):
        erased = erasing.erased_so_far()
        row = get_session(session)
        material, facts = read_material(row), read_facts(row)
    if material.is_empty:
        raise Conflict("There is nothing to summarise in this session.", code="nothing_said")
    draft, method = _draft(material, row.id)
    with workspace_scope(workspace_id):
        erasing.require_nothing_erased(erased)
        now = funnel.get_row(Session, row.id, lock=True)
        # Other changes (its end, its name) take nothing from the summary, and it nothing from them.
        if (now.summary, now.summary_data) != (row.summary, row.summary_data):
            raise Conflict(
                "This session's summary was changed meanwhile; read it, then decide.",
                code="concurrent_change",
            )
        update_session(
            actor=actor,
            session_id=now.id,
            changes={"summary": draft.summary, "summary_data": draft.data(facts)},
            reason=f"summarised: {method}"[:500],
        )
    return now.id


@dataclass(slots=True)
class OwnSummary:
    """One that is made without being asked for: read in a scope, thought about outside, written.

    By the session's own words alone: a session must not cost seconds of an embedder, or a model's
    tokens, that nobody asked for.
    """

    before: tuple[str, Any]
    material: Material
    facts: Facts
    draft: Draft | None = None

    def think(self) -> None:
        if not self.material.is_empty:
            self.draft = ExtractiveSummarizer(None).summarize(self.material)

    def write(self, *, actor: Actor, session_id: uuid.UUID, digest: str) -> str | None:
        """The digest of what stands there now, if it was written; None where it is somebody
        else's, or the session holds nothing. `digest` is that of the one written before. In a
        scope."""
        row = funnel.get_row(Session, session_id, lock=True)
        if self.draft is None or (row.summary, row.summary_data) != self.before:
            return None
        ours = is_own(row, digest)
        changes: dict[str, Any] = {}
        if ours or not row.summary:
            changes["summary"] = self.draft.summary
        if ours or not row.summary_data:
            changes["summary_data"] = self.draft.data(self.facts)
        if not changes:
            return None
        written = update_session(
            actor=actor,
            session_id=row.id,
            changes=changes,
            reason="summarised by itself: extractive, by words",
        )
        return summary_digest(written)


def read_for_summary(session: Session) -> OwnSummary:
    """In a scope."""
    return OwnSummary(
        (session.summary, session.summary_data), read_material(session), read_facts(session)
    )


def is_own(session: Session, digest: str) -> bool:
    """Whether what stands there is what was written by itself, with this digest."""
    return digest != "" and summary_digest(session) == digest


def summary_digest(session: Session) -> str:
    """SHA-256, hex, of both."""
    said = json.dumps([session.summary, session.summary_data], sort_keys=True)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def _draft(material: Material, session_id: uuid.UUID) -> tuple[Draft, str]:
    try:
        summarizer = get_summarizer()
        return summarizer.summarize(material), summarizer.method
    except SummaryError as error:
        log.warning("summary_failed", session=str(session_id), code=error.code, error=str(error))
        if error.retryable:
            wait = RETRY_SECONDS if error.retry_after is None else math.ceil(error.retry_after)
            raise Unavailable(str(error), code=error.code, retry_after=max(1, wait)) from error
        raise BadGateway(str(error), code=error.code) from error
