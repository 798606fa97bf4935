"""Summarising a session: read in one transaction, thought about in none, written in another.

Not for how a summary is made (memory/summaries).
"""

import math
import uuid

import structlog

from config.lib.actor import Actor
from config.lib.errors import BadGateway, Conflict, Unavailable
from config.lib.scope import workspace_scope
from contacts.services import funnel
from memory.summaries import Draft, Material, SummaryError, get_summarizer
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

    Raises NotFound, Conflict where there is nothing to summarise or somebody wrote a summary
    meanwhile, Unavailable where the configured endpoint is down or busy, and BadGateway where its
    answer is of no use. Whatever is raised, the session is as it was.
    """
    with workspace_scope(workspace_id):
        row = get_session(session)
        material = read_material(row)
    if material.is_empty:
        raise Conflict("There is nothing to summarise in this session.", code="nothing_said")
    draft, method = _draft(material, row.id)
    with workspace_scope(workspace_id):
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
            changes={"summary": draft.summary, "summary_data": draft.data()},
            reason=f"summarised: {method}"[:500],
        )
    return now.id


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
