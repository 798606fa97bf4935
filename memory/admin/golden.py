"""Golden queries with their last runs, and the runs."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.access import actor_of
from contacts.admin.actions import RowAction
from contacts.admin.base import ReadOnlyAdmin, WorkspaceAdmin, folded
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import RowForm, posted_reason
from contacts.models.workspace import Role
from memory.models import GoldenQuery, GoldenResult, GoldenRun
from memory.services.golden import create_golden, delete_golden, run_soon, update_golden

LAST_RUNS = 20
# Of one run; the API has them all.
MOST_RESULTS = 200
FORM = ("name", "request", "expected", "within", "enabled")


def _recall(value: float | None) -> SafeString:
    if value is None:
        return format_html("{}", show.EMPTY)
    tone = "green" if value == 1 else "red" if value == 0 else "amber"
    return show.badge(f"{value:.0%}", tone=tone)


def _run_link(result: GoldenResult) -> SafeString:
    return show.link(show.change_url("memory.goldenrun", result.run_id) or "", result.run.reason)


def _change(result: GoldenResult) -> str:
    """What differs from the run before."""
    if result.problem:
        return result.problem
    parts = [f"{len(result.lost)} lost"] if result.lost else []
    parts += [f"{len(result.regained)} regained"] if result.regained else []
    return ", ".join(parts)


@admin.register(GoldenQuery)
class GoldenQueryAdmin(WorkspaceAdmin):
    when_empty = "A golden query is a search with what it must find. Pin one on the search page."
    list_display = ("name", "recall", "rows", "within", "enabled", "ran")
    list_filter = (("enabled", BooleanRadioFilter),)
    list_defer = ("request", "metadata")
    search_fields = ("name",)
    search_help_text = "Words of the name"
    ordering = ("-id",)
    readonly_fields = ("recall", "ran", "runs", "made", "changed", "ids")
    fieldsets = (
        (None, {"fields": ("name", "request", "expected", ("within", "enabled"))}),
        ("Runs", {"fields": (("recall", "ran"), "runs")}),
        folded("More", "metadata", ("made", "changed"), "ids"),
    )
    add_fieldsets = ((None, {"fields": ("name", "request", "expected", ("within", "enabled"))}),)
    row_actions = (
        RowAction("run", "Run all now", "They are asked in a moment; reload to see the result.",
                  "play_arrow", Role.OPERATOR, run_soon, tone="primary", bulk=False),
    )  # fmt: skip

    def create_row(self, request: HttpRequest, obj: GoldenQuery, form: RowForm) -> GoldenQuery:
        fields = {name: getattr(obj, name) for name in FORM}
        return create_golden(actor=actor_of(request), reason=posted_reason(request), **fields)

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> GoldenQuery:
        return update_golden(
            actor=actor_of(request),
            golden_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: GoldenQuery) -> None:
        delete_golden(actor=actor_of(request), golden_id=obj.pk, reason=posted_reason(request))

    @display(description="Recall", ordering="last_recall")
    def recall(self, obj: GoldenQuery) -> SafeString:
        return _recall(obj.last_recall)

    @display(description="Rows")
    def rows(self, obj: GoldenQuery) -> int:
        return len(obj.expected)

    @display(description="Last run", ordering="last_run_at")
    def ran(self, obj: GoldenQuery) -> SafeString:
        return show.when(obj.last_run_at)

    @display(description="Last runs")
    def runs(self, obj: GoldenQuery) -> SafeString:
        """Index goldenresult_golden."""
        results = obj.results.select_related("run").order_by("-id")[:LAST_RUNS]
        return format_html_join(
            "\n",
            "<div>{} {} {} <span class='rm-faint'>{}</span></div>",
            (
                (
                    show.when(one.created_at),
                    _recall(one.recall),
                    _run_link(one),
                    _change(one),
                )
                for one in results
            ),
        ) or format_html("{}", show.EMPTY)


@admin.register(GoldenRun)
class GoldenRunAdmin(ReadOnlyAdmin):
    when_empty = (
        "All golden queries are asked after each re-embedding, and by manage.py benchmark golden."
    )
    list_display = ("reason", "share", "queries", "space", "weights", "made")
    list_filter = (("created_at", DaysFilter),)
    ordering = ("-id",)
    fields = readonly_fields = (
        "reason", "share", "queries", "found", "space", "weights", "took", "made", "ids",
    )  # fmt: skip

    @display(description="Recall", ordering="recall")
    def share(self, obj: GoldenRun) -> SafeString:
        return _recall(obj.recall)

    @display(description="Took")
    def took(self, obj: GoldenRun) -> str:
        return f"{obj.took_ms:,.0f} ms"

    @display(description="Queries")
    def found(self, obj: GoldenRun) -> SafeString:
        """Index goldenresult_run."""
        results = obj.results.select_related("golden").order_by("id")[:MOST_RESULTS]
        return format_html_join(
            "\n",
            "<div>{} {} <span class='rm-faint'>{}</span></div>",
            (
                (
                    _recall(one.recall),
                    show.link(
                        show.change_url("memory.goldenquery", one.golden_id) or "", one.golden.name
                    ),
                    _change(one),
                )
                for one in results
            ),
        )
