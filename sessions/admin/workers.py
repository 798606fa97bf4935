"""Workers: the queue as operators see it, with what a worker prints while it does."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.db.models.functions import Left
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    DropdownFilter,
    FieldTextFilter,
    MultipleChoicesDropdownFilter,
)
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.access import actor_of, allows, page_of
from contacts.admin.actions import PageLink, RowAction, unlearn_links
from contacts.admin.base import ReadOnlyAdmin, WorkspaceAdmin, folded
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import RowForm, posted_reason
from contacts.admin.listing import chips
from contacts.models.workspace import Role
from sessions.models import Worker, WorkerOutput
from sessions.models.worker import MISSION_KEY, WorkerStatus
from sessions.selectors_workers import last_output
from sessions.services import workers

PREVIEW = 200
MAX_NEEDS = 20
COUNTED, MAX_ASKING = 1000, 5
TONES = {
    WorkerStatus.PENDING: "grey",
    WorkerStatus.RUNNING: "blue",
    WorkerStatus.AWAITING_CLARIFICATION: "amber",
    WorkerStatus.SNOOZED: "grey",
    WorkerStatus.COMPLETE: "green",
    WorkerStatus.FAILED: "red",
    WorkerStatus.CANCELLED: "grey",
}
# What the form may change while it waits; see workers.WORK.
_WORK = (
    "primitive", "instructions", "params", "workspace_path", "priority", "run_after",
    "timeout_seconds", "task",
)  # fmt: skip
_GIVEN = ("session", "run_session", "conversation_id", "trace_id", "dedupe_key", "claimed_by")


class MissionFilter(DropdownFilter):
    title = "spawned by a mission"
    parameter_name = "of_mission"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Index worker_failed has those of no mission that failed."""
        match self.value():
            case "yes":
                return queryset.filter(dedupe_key__startswith=MISSION_KEY)
            case "no":
                return queryset.filter(~Q(dedupe_key__startswith=MISSION_KEY))
        return queryset


@admin.register(Worker)
class WorkerAdmin(WorkspaceAdmin):
    when_empty = "Work that agents claim, beat for and complete stands here."
    list_display = ("heading", "state", "progress", "tries", "agent", "signed", "made")
    list_filter = (
        ("status", MultipleChoicesDropdownFilter),
        MissionFilter,
        ("primitive", FieldTextFilter),
        ("claimed_by", AutocompleteSelectFilter),
        ("session", AutocompleteSelectFilter),
        ("conversation_id", FieldTextFilter),
        ("trace_id", FieldTextFilter),
        ("created_at", DaysFilter),
    )
    list_select_related = ("claimed_by",)
    list_defer = (
        "instructions", "params", "metadata", "report", "report_summary", "error",
        "clarification_question", "clarification_answer", "claimed_by__metadata",
    )  # fmt: skip
    list_annotate = {"beginning": Left("instructions", PREVIEW)}
    list_before_template = "admin/agent_sessions/workers_top.html"
    change_form_outer_before_template = "admin/agent_sessions/worker_top.html"
    search_fields = ("name", "instructions", "report_summary", "error")
    search_help_text = "Name, instructions, summary or error"
    ordering = ("-created_at", "-id")
    readonly_fields = (
        "state", "progress", "tries", "signed", "lease", "began", "ended", "question", "needs",
        "clarification_answer", "live_output", "report_shown", "report_summary", "error_shown",
        "exit_code", "made", "changed", "ids", *_GIVEN,
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": ("name", ("state", "progress"), ("tries", "signed"))}),
        ("Question", {"fields": ("question", "clarification_answer")}),
        ("Work", {"fields": ("instructions", ("primitive", "priority"), "workspace_path",
                             ("run_after", "timeout_seconds"), "max_attempts", "needs")}),
        ("Output", {"fields": ("live_output", "report_shown", "error_shown", "exit_code")}),
        folded("Times", ("began", "ended"), "lease"),
        folded("Where from", ("session", "run_session"), ("task", "claimed_by"),
               "conversation_id", "trace_id", "dedupe_key"),
        folded("More", "params", "metadata", ("made", "changed"), "ids"),
    )  # fmt: skip
    add_fieldsets = (
        (None, {"fields": ("name", "primitive", "instructions", "workspace_path",
                           ("priority", "max_attempts"), ("run_after", "timeout_seconds"),
                           ("session", "task"), "conversation_id", "params")}),
    )  # fmt: skip
    row_actions = (
        RowAction(
            name="retry",
            label="Try again",
            done="The worker is in the queue again.",
            icon="replay",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: workers.retry(
                actor=actor, worker_id=row.pk, reason=reason
            ),
            open_to=lambda row: row.status in (WorkerStatus.FAILED, WorkerStatus.CANCELLED),
        ),
        RowAction(
            name="cancel",
            label="Cancel",
            done="The worker is cancelled, or will be as soon as its runner hears of it.",
            icon="cancel",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: workers.cancel(
                actor=actor, worker_id=row.pk, reason=reason
            ),
            open_to=lambda row: row.status not in workers.ENDED and row.cancel_requested_at is None,
        ),
        RowAction(
            name="answer",
            label="Answer",
            done="Answered: the worker is in the queue again.",
            icon="reply",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason, text: workers.answer(
                actor=actor, worker_id=row.pk, text=text, reason=reason
            ),
            open_to=lambda row: row.status == WorkerStatus.AWAITING_CLARIFICATION,
            takes_text=True,
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        view = page_of(self, WorkerAdmin.live_view)
        live = path("<uuid:object_id>/live/", view, name="agent_sessions_worker_live")
        return [live, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the list by status, and what workers ask, to be answered there."""
        context = {
            "chips": chips(request, Worker.objects.all(), "status", WorkerStatus, limit=COUNTED),
            "asking": list(_asking()[:MAX_ASKING]),
            "may_answer": self.has_change_permission(request),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """For an operator with buttons for what is done most; they are of the list's own form."""
        shown: list[Any] = list(super().get_list_display(request))
        if not allows(request, Role.OPERATOR):
            return shown
        here = request.get_full_path()

        @display(description="Do")
        def todo(row: Worker) -> SafeString:
            name = "admin:agent_sessions_worker_do"
            found = [
                (here, reverse(name, args=[row.pk, one.name]), one.label)
                for one in self.row_actions
                if one.open_to(row)
            ]
            button = '<button class="rm-button rm-small" name="next" value="{}" formaction="{}">{}'
            return format_html_join(" ", f"{button}</button>", found)

        return [*shown, todo]

    def page_context(
        self, request: HttpRequest, object_id: str | None, context: dict[str, Any]
    ) -> dict[str, Any]:
        found = super().page_context(request, object_id, context)
        row = self.get_object(request, unquote(object_id)) if object_id is not None else None
        asks = row is not None and row.status == WorkerStatus.AWAITING_CLARIFICATION
        return {**found, "asking": [row] if asks and self.has_change_permission(request) else []}

    def live_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """The end of the output as plain text; `X-Live: 1` while more may come."""
        row = Worker.objects.filter(pk=object_id).only("id", "status").first()
        if row is None:
            raise Http404
        response = HttpResponse(last_output(row.pk), content_type="text/plain; charset=utf-8")
        response["X-Live"] = "0" if row.status in workers.ENDED else "1"
        return response

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What it is to do may change while it waits."""
        if obj is None:
            return tuple(
                name for name in self.readonly_fields if name not in ("session", "conversation_id")
            )
        closed = () if obj.status in workers.WAITING else _WORK
        return (*self.readonly_fields, *closed)

    def create_row(self, request: HttpRequest, obj: Worker, form: RowForm) -> Worker:
        names = (
            "name", "instructions", "params", "session_id", "task_id", "conversation_id",
            "workspace_path", "priority", "run_after", "timeout_seconds", "max_attempts",
        )  # fmt: skip
        fields = {name: getattr(obj, name) for name in names}
        worker, _ = workers.spawn_worker(actor=actor_of(request), primitive=obj.primitive, **fields)
        return worker

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Worker:
        if "task" in changes:
            task = changes.pop("task")
            changes["task_id"] = getattr(task, "pk", task)
        return workers.update_worker(
            actor=actor_of(request),
            worker_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Worker) -> None:
        workers.delete_worker(
            actor=actor_of(request), worker_id=obj.pk, reason=posted_reason(request)
        )

    def row_links(self, request: HttpRequest, row: Worker) -> list[PageLink]:
        output = show.changelist_url("agent_sessions.workeroutput", f"worker__id__exact={row.pk}")
        trace = show.changelist_url("agent_sessions.worker", f"trace_id={row.trace_id}")
        return [
            PageLink("All output", output, "terminal"),
            PageLink("Trace", trace, "timeline"),
            *unlearn_links(request, "worker", row),
        ]

    # --- Columns ------------------------------------------------------------------------------

    @display(description="Worker", ordering="name")
    def heading(self, obj: Worker) -> SafeString:
        asked = " ".join(getattr(obj, "beginning", "").split())
        return show.include(
            "admin/agent_sessions/includes/heading.html",
            title=str(obj),
            detail=" · ".join(part for part in (obj.primitive, asked) if part),
        )

    @display(description="State", ordering="status")
    def state(self, obj: Worker) -> SafeString:
        ending = obj.status == WorkerStatus.RUNNING and obj.cancel_requested_at is not None
        return show.badge(
            obj.status,
            label="being cancelled" if ending else "",
            tone=TONES.get(WorkerStatus(obj.status), ""),
        )

    @display(description="Progress", ordering="progress_percent")
    def progress(self, obj: Worker) -> str:
        percent = "" if obj.progress_percent is None else f"{obj.progress_percent:.0f} %"
        return " · ".join(part for part in (percent, obj.progress_text) if part) or show.EMPTY

    @display(description="Attempts", ordering="attempts")
    def tries(self, obj: Worker) -> str:
        return f"{obj.attempts} of {obj.max_attempts}"

    @display(description="Claimed by", ordering="claimed_by__name")
    def agent(self, obj: Worker) -> str:
        return obj.claimed_by.name if obj.claimed_by else show.EMPTY

    @display(description="Sign of life", ordering="heartbeat_at")
    def signed(self, obj: Worker) -> SafeString:
        return show.when(obj.heartbeat_at)

    @display(description="Lease until")
    def lease(self, obj: Worker) -> SafeString:
        return show.when(obj.lease_until)

    @display(description="Claimed")
    def began(self, obj: Worker) -> SafeString:
        return show.when(obj.started_at)

    @display(description="Ended")
    def ended(self, obj: Worker) -> SafeString:
        return show.when(obj.ended_at)

    @display(description="Question")
    def question(self, obj: Worker) -> SafeString:
        options = "".join(f"\n· {option}" for option in obj.clarification_options)
        return show.long_text(obj.clarification_question + options)

    @display(description="Needs")
    def needs(self, obj: Worker) -> SafeString:
        return show.tags(_once(obj, "needs_shown", _needs))

    @display(description="Printed")
    def live_output(self, obj: Worker) -> SafeString:
        text = _once(obj, "output_shown", lambda row: last_output(row.pk))
        if obj.status in workers.ENDED:
            return format_html('<pre class="rm-code">{}</pre>', text)
        address = reverse("admin:agent_sessions_worker_live", args=[obj.pk])
        return format_html('<pre class="rm-code" data-live="{}">{}</pre>', address, text)

    @display(description="Report")
    def report_shown(self, obj: Worker) -> SafeString:
        return show.long_text(obj.report)

    @display(description="Error")
    def error_shown(self, obj: Worker) -> SafeString:
        return show.long_text(obj.error)


def _asking() -> QuerySet[Worker]:
    """Those that wait for an answer, newest first. Index worker_status."""
    rows = Worker.objects.filter(status=WorkerStatus.AWAITING_CLARIFICATION)
    return rows.order_by("-created_at", "-id").only(
        "name", "primitive", "clarification_question", "clarification_options", "updated_at",
        "workspace_id",
    )  # fmt: skip


def _once(row: Worker, name: str, read: Callable[[Worker], Any]) -> Any:
    """Unfold asks for a field's content several times while it makes a page."""
    if name not in row.__dict__:
        row.__dict__[name] = read(row)
    return row.__dict__[name]


def _needs(row: Worker) -> list[str]:
    rows = row.dependencies.select_related("needs").order_by("id")[:MAX_NEEDS]
    return [f"{one.needs}: {one.needs.get_status_display().lower()}" for one in rows]


@admin.register(WorkerOutput)
class WorkerOutputAdmin(ReadOnlyAdmin):
    when_empty = "What workers print stands here, piece by piece."
    list_display = ("number", "worker_link", "stream_badge", "beginning_of", "made")
    list_filter = (("worker", AutocompleteSelectFilter), ("stream", ChoicesDropdownFilter))
    list_select_related = ("worker",)
    list_defer = (
        "text", "worker__instructions", "worker__params", "worker__metadata", "worker__report",
        "worker__report_summary", "worker__error", "worker__clarification_question",
        "worker__clarification_answer",
    )  # fmt: skip
    list_annotate = {"beginning": Left("text", PREVIEW)}
    ordering = ("-id",)
    fields = readonly_fields = (
        "number", "worker_link", "attempt", "stream_badge", "content", "made", "ids",
    )  # fmt: skip

    @display(description="No.", ordering="seq")
    def number(self, obj: WorkerOutput) -> str:
        return f"#{obj.seq}"

    @display(description="Worker")
    def worker_link(self, obj: WorkerOutput) -> SafeString:
        url = reverse("admin:agent_sessions_worker_change", args=[obj.worker_id])
        return show.link(url, str(obj.worker))

    @display(description="Stream", ordering="stream")
    def stream_badge(self, obj: WorkerOutput) -> SafeString:
        return show.badge(obj.stream)

    @display(description="Text")
    def beginning_of(self, obj: WorkerOutput) -> SafeString:
        return show.preview(getattr(obj, "beginning", ""), mono=True)

    @display(description="Text")
    def content(self, obj: WorkerOutput) -> SafeString:
        return format_html('<pre class="rm-code">{}</pre>', obj.text)
