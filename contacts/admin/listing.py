"""Lists that cost the page and not the table: counts with an end, bodies left where they are."""

from collections.abc import Iterable
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.forms import Media
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

# Counting further tells nobody anything, and takes seconds at a million rows.
COUNT_LIMIT = 10_000


class AtLeast(int):
    """A count that was stopped; it shows itself as `10,000+`."""

    def __str__(self) -> str:
        return f"{int(self):,}+"


def bounded_count(rows: QuerySet[Any], limit: int = COUNT_LIMIT) -> int:
    """How many rows, counted at most to `limit`."""
    found = rows.order_by().values("pk")[: limit + 1].count()
    return AtLeast(limit) if found > limit else found


class BoundedPaginator(Paginator):
    """Knows the number of rows up to a limit, and pages that far."""

    template_name = "admin/includes/pagination.html"

    @cached_property
    def count(self) -> int:
        if isinstance(self.object_list, QuerySet):
            return bounded_count(self.object_list)
        return len(self.object_list)


class WorkspaceChangeList(ChangeList):
    """Reads what the list shows: no bodies, no second count."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        rows = super().get_queryset(request, exclude_parameters)
        return self.model_admin.for_list(rows)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not (self.query or self.has_active_filters):
            # Without a filter the two counts are one; the header then says nothing twice.
            self.full_result_count = self.result_count

    def url_for_result(self, result: Any) -> str:
        return self.model_admin.url_of(result) or super().url_for_result(result)


def filter_media(filters: Iterable[Any]) -> Media:
    """The scripts and styles that the widgets of list filters need."""
    media = Media()
    for one in filters:
        kind = one[1] if isinstance(one, (tuple, list)) else one
        wanted = getattr(getattr(kind, "form_class", None), "Media", None)
        if wanted is not None:
            media += Media(wanted)
    return media
