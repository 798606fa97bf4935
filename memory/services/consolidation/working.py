"""The job of a run: each group is drafted outside any transaction, then all are written."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import structlog

from config.lib import clock
from config.lib.redact import redact_text
from config.lib.scope import workspace_scope
from contacts.services import funnel
from memory.models import ConsolidationRun, Memory
from memory.models.consolidation import ConsolidationState
from memory.models.memory import Kind
from memory.services.consolidation.planning import LEAST_SOURCES
from memory.services.consolidation.runs import locked
from memory.services.consolidation.writing import FIXED, still_to_tell, write
from memory.summaries import Draft, Material, SummaryError, get_summarizer
from memory.summaries.base import Said
from memory.summaries.extractive import ExtractiveSummarizer

log = structlog.get_logger()

MOST_SOURCE_TEXT = 4_000
_EVENT_TYPES = {
    Kind.DECISION: "decision",
    Kind.LEARNING_PATTERN: "pattern_identified",
    Kind.TASK_EXECUTION: "outcome",
}


def work(workspace_id: uuid.UUID) -> ConsolidationRun | None:
    """Do the run that goes on in a workspace, from where it stopped. Outside any scope."""
    while True:
        with workspace_scope(workspace_id):
            run = ConsolidationRun.objects.filter(state=ConsolidationState.RUNNING).first()
            if run is None:
                return None
            place = next((at for at, one in enumerate(run.groups) if "draft" not in one), None)
            if place is None:
                run = write(run.pk)
                if run.state == ConsolidationState.RUNNING:
                    continue  # of something that was told there are other sources now
                return run
            group = run.groups[place]
            rows = list(still_to_tell(run, group))
        told = len(rows) >= LEAST_SOURCES
        draft, method = draft_of(_material(group, rows), run.pk) if told else (None, run.method)
        with workspace_scope(workspace_id):
            run = locked(run.pk)
            if run.state != ConsolidationState.RUNNING:
                return run
            if run.groups[place] != group:
                continue  # some of it was erased meanwhile, and is in the draft
            drafted = {
                "draft": asdict(draft) if draft else {},
                "read": [str(one.pk) for one in rows],
            }
            run.groups[place] = group | drafted
            funnel.touch(run, groups=run.groups, beat_at=clock.now(), method=method[:60])


def _material(group: Mapping[str, Any], rows: Sequence[Memory]) -> Material:
    said = [
        Said(
            at=row.recorded_at,
            who="event" if _event_type(row) else "assistant",
            text=redact_text(row.text[:MOST_SOURCE_TEXT]),
            event_type=_event_type(row),
        )
        for row in rows
    ]
    return Material(name=group["title"], said=said, total=len(said))


def _event_type(row: Memory) -> str:
    if row.kind == Kind.TASK_EXECUTION and row.data.get("status") == "failed":
        return "error_encountered"
    return "outcome" if row.method == FIXED else _EVENT_TYPES.get(Kind(row.kind), "")


def draft_of(material: Material, run_id: uuid.UUID) -> tuple[Draft, str]:
    """By the configured way; by arithmetic where that fails: a run must not wait for a model."""
    try:
        summarizer = get_summarizer()
        return summarizer.summarize(material), summarizer.method
    except SummaryError as error:
        log.warning("consolidated_without_model", run=str(run_id), error=str(error))
        return ExtractiveSummarizer(None).summarize(material), ExtractiveSummarizer.method
