"""Bulk runs: what each would do, how far it is, what it could not do, and taking it back."""

import uuid
from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from config.lib.actor import Actor
from config.lib.admin import show
from config.lib.ids import short_id
from contacts.admin.actions import PageLink, RowAction
from contacts.admin.runs import RunAdmin, silence
from contacts.models import BulkRun
from contacts.models.bulk import ACTIVE, BulkState
from contacts.models.workspace import Role
from contacts.services import bulk

TONES = {
    BulkState.PROPOSED: "grey",
    BulkState.TRYING: "blue",
    BulkState.TRIED: "grey",
    BulkState.RUNNING: "blue",
    BulkState.DONE: "green",
    BulkState.STOPPED: "amber",
    BulkState.UNDOING: "blue",
    BulkState.UNDONE: "violet",
}
# What stands above the counts of each.
PHASES = {
    BulkState.TRYING: "Dry run: nothing is kept",
    BulkState.TRIED: "Dry run: this would happen; nothing was kept",
    BulkState.RUNNING: "Running",
    BulkState.DONE: "Done",
    BulkState.STOPPED: "Stopped: the rest is as it was",
    BulkState.UNDOING: "Taking it back",
    BulkState.UNDONE: "Taken back",
}


def _begin(state: BulkState, *, actor: Actor, row: BulkRun, reason: str) -> BulkRun:
    return bulk.begin(actor=actor, run_id=row.pk, state=state, reason=reason)


def _action(
    state: BulkState, label: str, icon: str, said: str, tone: str, **more: Any
) -> RowAction:
    # Reviewers have actions of their own; what each needs is asked again in every slice.
    return RowAction(
        name=state.value, label=label, done=said, icon=icon, role=Role.REVIEWER,
        run=partial(_begin, state), open_to=lambda row: bulk.may_become(row, state), tone=tone,
        bulk=False, **more,
    )  # fmt: skip


@admin.register(BulkRun)
class BulkRunAdmin(RunAdmin):
    when_empty = (
        "An action on more than a hundred rows becomes a run, with its progress, report and undo."
    )
    page = "admin/contacts/bulk_run.html"
    part = "admin/contacts/bulk_part.html"
    tones = TONES
    list_display = ("heading", "state_badge", "progress", "by", "made")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_defer = ("ids", "problems", "tried", "ran", "query", "metadata")
    row_actions = (
        _action(BulkState.TRYING, "Dry run", "science", "The dry run has begun.", "default"),
        _action(BulkState.RUNNING, "Do it", "play_arrow", "The run has begun.", "primary"),
        RowAction("stop", "Stop", "The run has stopped.", "stop_circle", Role.REVIEWER,
                  lambda *, actor, row, reason: bulk.stop(
                      actor=actor, run_id=row.pk, reason=reason),
                  open_to=lambda row: row.state in ACTIVE, bulk=False),
        _action(BulkState.UNDOING, "Take it back", "undo", "It is being taken back.", "danger",
                confirm="Each change of this run is taken back, unless somebody changed the row "
                        "since."),
    )  # fmt: skip

    def title_of(self, row: BulkRun) -> str:
        return row.title

    def progress_of(self, request: HttpRequest, row: BulkRun) -> dict[str, Any]:
        state = BulkState(row.state)
        seen = row.done + row.skipped + row.failed
        of = row.ran.get("done", 0) if state in (BulkState.UNDOING, BulkState.UNDONE) else row.total
        return {
            "phase": PHASES.get(state, ""),
            "active": state in ACTIVE,
            "silent": silence(row.beat_at, bulk.LOST) if state in ACTIVE else None,
            "seen": seen,
            "of": of,
            "share": min(100, round(100 * seen / of)) if of else 100,
            "problems": [
                {
                    **one,
                    "short": short_id(uuid.UUID(one["id"])),
                    "url": show.change_url(row.model, one["id"]),
                }
                for one in row.problems
            ],
            "unlisted": row.failed + row.skipped - len(row.problems),
            "tried": row.tried if state is not BulkState.TRIED else {},
            "ran": row.ran if state in (BulkState.UNDOING, BulkState.UNDONE) else {},
        }

    def row_links(self, request: HttpRequest, row: BulkRun) -> list[PageLink]:
        rows = show.changelist_url(row.model, row.query)
        history = reverse("admin:contacts_bulkrun_history", args=[row.pk])
        return [PageLink("The list", rows, "list"), PageLink("History", history, "history")]

    @display(description="Run")
    def heading(self, obj: BulkRun) -> SafeString:
        return show.preview(obj.title)

    @display(description="Rows")
    def progress(self, obj: BulkRun) -> str:
        seen = obj.done + obj.skipped + obj.failed
        return f"{seen:,} of {obj.total:,}{'+' if obj.at_least else ''}"
