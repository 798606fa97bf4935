"""A model's list: bounded, without bodies, found by the product's search, taken away as a file.

Not for what its rows are and what is done with them: row_forms.py, actions.py.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from unfold.admin import ModelAdmin, checkbox
from unfold.decorators import display

from config.lib.db.models import WorkspaceRow
from contacts.admin.access import page_of, require_entry
from contacts.admin.listing import (
    BoundedPaginator,
    Finder,
    WorkspaceChangeList,
    filter_media,
    search_rows,
)
from contacts.admin.permissions import Permissions
from contacts.services.row_exports import RowFormat, row_parts

_ROW = "the-row"


@cache
def _checkbox() -> str:
    return str(checkbox.render(ACTION_CHECKBOX_NAME, _ROW))


class RowLists(Permissions, ModelAdmin):
    """The list of a WorkspaceAdmin."""

    paginator = BoundedPaginator
    show_full_result_count = False
    # Counts beside each filter would each read the whole table.
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    actions_on_bottom = False
    # What a list does not read: bodies and vectors.
    list_defer: Sequence[str] = ()
    list_annotate: Mapping[str, Any] = {}
    # How its search box finds rows, where the product's search knows the model (set by
    # memory/admin/lists.py), and the columns of which a part is looked for as well.
    find_rows: Finder | None = None
    search_names: Sequence[str] = ()
    # Where rows come from, for a list that has none.
    when_empty: str = ""
    list_after_template: str | None = "admin/includes/downloads.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[WorkspaceChangeList]:
        return WorkspaceChangeList

    @property
    def media(self) -> Media:
        """Django's. Unfold's adds the scripts of whichever list was opened last, to any page."""
        return super(ModelAdmin, self).media

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, with the scripts of its own filters."""
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None)
        if context and "media" in context:
            context["media"] += filter_media(self.get_list_filter(request))
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the product's search where it knows the model, else by a part of the columns."""
        term = search_term.replace("\x00", "").strip()
        if self.find_rows is None or not term:
            return super().get_search_results(request, queryset, search_term)
        found = search_rows(
            queryset,
            term,
            self.find_rows,
            self.search_names,
            self.search_fields,
            request.GET.dict(),
        )
        return found, False

    def get_urls(self) -> list[URLPattern]:
        urls: list[URLPattern] = super().get_urls()
        if not issubclass(self.model, WorkspaceRow):
            return urls
        view = page_of(self, RowLists.download_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_download"
        return [path("download/<slug:ending>/", view, name=name), *urls]

    def download_view(self, request: HttpRequest, ending: str) -> StreamingHttpResponse:
        """The rows that the list's filters match, as csv, json or ndjson."""
        if ending not in list(RowFormat):
            raise Http404
        wanted = RowFormat(ending)
        query = request.GET.copy()
        query.pop("p", None)
        request.GET = query  # type: ignore[assignment]
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            raise Http404 from None
        # Read after this request's scope has ended: each part enters one of its own.
        parts = row_parts(require_entry(request).workspace.pk, rows, wanted)
        response = StreamingHttpResponse(parts, content_type=wanted.content_type)
        filename = f"{self.opts.model_name}s.{ending}"
        response["Content-Disposition"] = f'attachment; filename="{filename}"'
        return response

    @property
    def downloads(self) -> list[str]:
        """For includes/downloads.html."""
        return list(RowFormat) if issubclass(self.model, WorkspaceRow) else []

    @display(description=ModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: Any) -> SafeString:
        """Unfold's, whose template is rendered once and not for each row."""
        return mark_safe(_checkbox().replace(_ROW, escape(str(obj.pk))))  # noqa: S308

    def for_list(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of a list, without what it does not show."""
        if self.list_defer:
            rows = rows.defer(*self.list_defer)
        return rows.annotate(**self.list_annotate) if self.list_annotate else rows

    def url_of(self, obj: Any) -> str | None:
        """Where a row's title leads, if not to its form."""
        return None
