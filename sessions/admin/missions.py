"""Scheduled missions and their runs: what comes when, what it came to, and the buttons."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
)
from unfold.decorators import display

from config.lib.admin import show
from config.lib.spans import span
from contacts.admin.access import actor_of, allows
from contacts.admin.actions import PageLink, RowAction
from contacts.admin.base import ReadOnlyAdmin, WorkspaceAdmin, folded
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import RowForm, posted_reason
from contacts.models.workspace import Role
from sessions.admin.mission_timeline import TONES, every, timeline_urls
from sessions.models import Mission, ScheduledMission
from sessions.models.mission import MissionStatus
from sessions.selectors_missions import next_runs
from sessions.services import mission_runs, mission_starts, missions
from sessions.services.schedules import read_zone

_EXACT = "%a %d %b %Y, %H:%M:%S %Z"


@admin.register(ScheduledMission)
class ScheduledMissionAdmin(WorkspaceAdmin):
    when_empty = "A scheduled mission hands work to agents once, at an interval, or by a calendar."
    list_display = ("heading", "state", "comes", "last", "failures", "runs")
    list_filter = (
        ("enabled", BooleanRadioFilter),
        ("schedule_kind", ChoicesDropdownFilter),
        ("project", AutocompleteSelectFilter),
        ("created_at", DaysFilter),
    )
    list_defer = ("description", "prompt", "params", "metadata")
    list_before_template = "admin/includes/links.html"
    search_fields = ("name", "slug")
    search_help_text = "Name or slug"
    ordering = ("-created_at", "-id")
    readonly_fields = (
        "state", "pause_reason", "coming", "last", "failures", "made", "changed", "ids",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": ("name", ("state", "pause_reason"), "prompt",
                           ("schedule_kind", "schedule", "timezone"), "coming",
                           ("last", "failures"))}),
        ("Limits", {"fields": (("overlap_policy", "catchup_seconds"),
                               ("timeout_minutes", "max_attempts"),
                               ("jitter_seconds", "max_runs_per_day"), "pause_after_failures")}),
        folded("Its workers", ("primitive", "priority"), "params", "workspace_path",
               "conversation_id"),
        folded("More", "description", ("slug", "project"), "metadata", ("made", "changed"), "ids"),
    )  # fmt: skip
    add_fieldsets = (
        (None, {"fields": ("name", "prompt", ("schedule_kind", "schedule", "timezone"),
                           ("overlap_policy", "timeout_minutes"), ("primitive", "priority"),
                           "workspace_path", "params", "project")}),
    )  # fmt: skip
    row_actions = (
        RowAction(
            name="run",
            label="Run now",
            done="A run has begun, or waits for the one before.",
            icon="play_arrow",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: mission_starts.run_now(
                actor=actor, scheduled_id=row.pk, reason=reason
            ),
            bulk=False,
        ),
        RowAction(
            name="pause",
            label="Pause",
            done="The mission is paused.",
            icon="pause",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: missions.pause_mission(
                actor=actor, scheduled_id=row.pk, reason=reason or "Paused by an operator"
            ),
            open_to=lambda row: row.enabled,
            asks="Why it is paused",
            undone_by="enable",
        ),
        RowAction(
            name="enable",
            label="Enable",
            done="The mission runs again.",
            icon="event_repeat",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: missions.enable_mission(
                actor=actor, scheduled_id=row.pk, reason=reason
            ),
            open_to=lambda row: not row.enabled,
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        return [*timeline_urls(self), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        line = reverse("admin:agent_sessions_scheduledmission_timeline")
        context = {"page_links": [PageLink("Time line", line, "timeline")], **(extra_context or {})}
        return super().changelist_view(request, context)

    def create_row(
        self, request: HttpRequest, obj: ScheduledMission, form: RowForm
    ) -> ScheduledMission:
        names = (
            "name", "prompt", "schedule_kind", "schedule", "timezone", "overlap_policy",
            "timeout_minutes", "primitive", "priority", "workspace_path", "params", "project_id",
        )  # fmt: skip
        fields = {name: getattr(obj, name) for name in names}
        mission, _ = missions.create_mission(actor=actor_of(request), **fields)
        return mission

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> ScheduledMission:
        return missions.update_mission(
            actor=actor_of(request),
            scheduled_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: ScheduledMission) -> None:
        missions.delete_mission(
            actor=actor_of(request), scheduled_id=obj.pk, reason=posted_reason(request)
        )

    def row_links(self, request: HttpRequest, row: ScheduledMission) -> list[PageLink]:
        links = [PageLink("Runs", _runs_url(row), "history")]
        if row.enabled and allows(request, Role.OPERATOR):
            page = reverse("admin:agent_sessions_scheduledmission_backfill", args=[row.pk])
            links.append(PageLink("Backfill", page, "event_upcoming"))
        return links

    # --- Columns ------------------------------------------------------------------------------

    @display(description="Mission", ordering="name")
    def heading(self, obj: ScheduledMission) -> SafeString:
        return show.include(
            "admin/agent_sessions/includes/heading.html",
            title=obj.name,
            detail=f"{every(obj)} · {obj.timezone}",
        )

    @display(description="State", ordering="enabled")
    def state(self, obj: ScheduledMission) -> SafeString:
        if obj.enabled:
            return show.badge("enabled", tone="green")
        return show.badge("paused", tone="amber")

    @display(description="Next run", ordering="next_run_at")
    def comes(self, obj: ScheduledMission) -> SafeString:
        return show.when(obj.next_run_at)

    @display(description="Next runs")
    def coming(self, obj: ScheduledMission) -> SafeString:
        """In the mission's own zone; one whose zone is none any more is paused, and has none."""
        runs = next_runs(obj)
        if not runs:
            return format_html("{}", show.EMPTY)
        zone = read_zone(obj.timezone)
        shown = [(f"{run['runs_at'].astimezone(zone):{_EXACT}}",) for run in runs]
        return format_html_join("\n", "<div>{}</div>", shown)

    @display(description="Last run", ordering="last_run_at")
    def last(self, obj: ScheduledMission) -> SafeString:
        if obj.last_run_at is None:
            return show.when(None)
        return format_html(
            "{} {}", show.when(obj.last_run_at), show.badge(obj.last_status, tone=_tone(obj))
        )

    @display(description="Failures in a row", ordering="consecutive_failures")
    def failures(self, obj: ScheduledMission) -> str:
        return f"{obj.consecutive_failures:,}" if obj.consecutive_failures else show.EMPTY

    @display(description="Runs")
    def runs(self, obj: ScheduledMission) -> SafeString:
        return show.link(_runs_url(obj), "Show runs")


def _runs_url(row: ScheduledMission) -> str:
    query = f"scheduled_mission__id__exact={row.pk}"
    return show.changelist_url("agent_sessions.mission", query)


def _tone(row: ScheduledMission) -> str:
    return TONES.get(MissionStatus(row.last_status), "") if row.last_status else ""


@admin.register(Mission)
class MissionAdmin(ReadOnlyAdmin):
    when_empty = "Each run of a scheduled mission stands here."
    list_display = ("heading", "state", "trigger", "began", "took", "outcome")
    list_filter = (
        ("scheduled_mission", AutocompleteSelectFilter),
        ("status", ChoicesDropdownFilter),
        ("trigger", ChoicesDropdownFilter),
        ("scheduled_for", DaysFilter),
    )
    list_select_related = ("scheduled_mission",)
    list_defer = (
        "metadata", "scheduled_mission__description", "scheduled_mission__prompt",
        "scheduled_mission__params", "scheduled_mission__metadata",
    )  # fmt: skip
    ordering = ("-scheduled_for", "-id")
    search_fields = ("scheduled_mission__name", "output_summary", "error")
    search_help_text = "Mission, outcome or error"
    fields = readonly_fields = (
        "heading", "state", "trigger", "worker_link", "session", "began", "ended", "took",
        "attempt", "summary", "error_shown", "metadata_shown", "made", "changed", "ids",
    )  # fmt: skip
    row_actions = (
        RowAction(
            name="cancel",
            label="Cancel",
            done="The run is cancelled, or will be as soon as its runner hears of it.",
            icon="cancel",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: mission_runs.cancel_run(
                actor=actor, mission_id=row.pk, reason=reason
            ),
            open_to=lambda row: row.status in missions.ACTIVE,
        ),
    )

    @display(description="Run", ordering="scheduled_for")
    def heading(self, obj: Mission) -> SafeString:
        return show.include(
            "admin/agent_sessions/includes/heading.html",
            title=obj.scheduled_mission.name,
            detail=show.exact(obj.scheduled_for),
        )

    @display(description="State", ordering="status")
    def state(self, obj: Mission) -> SafeString:
        waits = obj.status == MissionStatus.PENDING and obj.worker_id is None
        return show.badge(
            obj.status,
            label="waits for its turn" if waits else "",
            tone=TONES.get(MissionStatus(obj.status), ""),
        )

    @display(description="Worker")
    def worker_link(self, obj: Mission) -> SafeString:
        if obj.worker_id is None:
            return format_html("{}", show.EMPTY)
        url = reverse("admin:agent_sessions_worker_change", args=[obj.worker_id])
        return show.link(url, "Show its worker and output")

    @display(description="Began", ordering="started_at")
    def began(self, obj: Mission) -> SafeString:
        return show.when(obj.started_at)

    @display(description="Ended")
    def ended(self, obj: Mission) -> SafeString:
        return show.when(obj.ended_at)

    @display(description="Took")
    def took(self, obj: Mission) -> str:
        if obj.started_at is None or obj.ended_at is None:
            return show.EMPTY
        return span(obj.ended_at - obj.started_at).replace(" ", "\u00a0")

    @display(description="Outcome")
    def outcome(self, obj: Mission) -> SafeString:
        return show.preview((obj.error or obj.output_summary)[:200])

    @display(description="Outcome")
    def summary(self, obj: Mission) -> SafeString:
        return show.long_text(obj.output_summary)

    @display(description="Error")
    def error_shown(self, obj: Mission) -> SafeString:
        return show.long_text(obj.error)

    @display(description="Metadata")
    def metadata_shown(self, obj: Mission) -> SafeString:
        return show.json_block(obj.metadata)
