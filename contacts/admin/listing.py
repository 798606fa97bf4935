"""Lists that cost the page and not the table: counts with an end, bodies left where they are, rows
found by the product's search."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.views.main import ORDER_VAR
from django.contrib.postgres.fields import ArrayField
from django.core.paginator import Paginator
from django.db.models import (
    Choices,
    F,
    Func,
    IntegerField,
    Q,
    QuerySet,
    UUIDField,
    Value,
)
from django.forms import Media
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.templatetags import unfold_list
from unfold.views import ChangeList

from config.lib.db.lookup import find_id
from config.lib.db.together import count_together
from config.lib.errors import DomainError
from config.lib.ids import read_id

# Counting further tells nobody anything, and takes seconds at a million rows.
COUNT_LIMIT = 10_000

# The newest rows of a table that are looked through for a part of a word.
LOOKED_THROUGH = 2_000

# Finds the rows of a model by words: (what was typed, the list's filters) -> ids, best first.
Finder = Callable[[str, Mapping[str, str]], list[uuid.UUID]]


class AtLeast(int):
    """A count that was stopped; it shows itself as `10,000+`."""

    def __str__(self) -> str:
        return f"{int(self):,}+"


def bounded_count(rows: QuerySet[Any], limit: int = COUNT_LIMIT) -> int:
    """How many rows, counted at most to `limit`."""
    return bounded_counts({"": rows}, limit)[""]


def bounded_counts(
    queries: Mapping[str, QuerySet[Any]], limit: int = COUNT_LIMIT
) -> dict[str, int]:
    """The same of several, in one statement."""
    bounded = {name: rows.order_by().values("pk")[: limit + 1] for name, rows in queries.items()}
    found = count_together(bounded)
    return {name: AtLeast(limit) if n > limit else n for name, n in found.items()}


def counts_by(
    rows: QuerySet[Any], field: str, values: Sequence[str], *, limit: int
) -> dict[str, int]:
    """How many rows have each of `values` in `field`, each counted at most to `limit`. One query,
    by the index that `field` has beside what `rows` asks for."""
    keys = rows.order_by().values_list(field, flat=True)
    parts = [keys.filter(**{field: value})[: limit + 1] for value in values]
    found = Counter(parts[0].union(*parts[1:], all=True))
    return {v: AtLeast(limit) if found[v] > limit else found[v] for v in values}


@dataclass(frozen=True, slots=True)
class Chip:
    """One value of a column, with the list of its rows."""

    label: str
    count: int
    url: str
    active: bool


def chips(
    request: HttpRequest,
    rows: QuerySet[Any],
    field: str,
    choices: type[Choices],
    *,
    limit: int,
    **also: str,
) -> list[Chip]:
    """A list by `field`, for includes/chips.html; `also` narrows each to what `rows` holds."""
    counts = counts_by(rows, field, list(choices.values), limit=limit)
    chosen = request.GET.get(f"{field}__in", "")
    return [
        Chip(
            label=str(choices(value).label),
            count=count,
            url=f"?{urlencode({f'{field}__in': value, **also})}",
            active=chosen == value,
        )
        for value, count in counts.items()
    ]


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


def _headers_once(changelist: ChangeList) -> list[dict[str, Any]]:
    """Unfold makes all headers anew for each row, of which it needs their texts: a fifth of the
    time of a list of fifty rows."""
    kept: list[dict[str, Any]] | None = changelist.__dict__.get("headers_made")
    if kept is None:
        kept = changelist.__dict__["headers_made"] = list(_result_headers(changelist))
    return kept


_result_headers = unfold_list.result_headers
unfold_list.result_headers = _headers_once


def filter_media(filters: Iterable[Any]) -> Media:
    """The scripts and styles that the widgets of list filters need."""
    media = Media()
    for one in filters:
        kind = one[1] if isinstance(one, (tuple, list)) else one
        wanted = getattr(getattr(kind, "form_class", None), "Media", None)
        if wanted is not None:
            media += Media(wanted)
    return media


def search_rows(
    rows: QuerySet[Any],
    term: str,
    find: Finder,
    by_name: Sequence[str],
    texts: Sequence[str],
    chosen: Mapping[str, str],
) -> QuerySet[Any]:
    """`rows` that `term` finds: by their words, best first, and by a part of one of the columns
    `by_name`; or the one row whose id it is or ends with. `chosen` is what the list's address says:
    its filters, and maybe a column to go by instead.

    Rows without names that no word finds (it says as little as "the", or is a part of one) are
    found by a part of `texts`, where they are among the newest.

    Runs inside a scope: it asks for no vector.
    """
    if (row_id := _id_in(rows, term)) is not None:
        return rows.filter(pk=row_id)
    ids = find(term, chosen)
    if not ids and not by_name:
        return newest_with(rows, term, texts, LOOKED_THROUGH)
    wanted = Q(pk__in=ids)
    for column in by_name:
        named = Q(**{f"{column}__icontains": term})
        # Of related rows there may be several, each of which would show the row once more.
        related = "__" in column
        wanted |= Q(pk__in=rows.model.objects.filter(named).values("pk")) if related else named
    place = Func(
        Value(ids, output_field=ArrayField(UUIDField())),
        F("id"),
        function="array_position",
        output_field=IntegerField(),
    )
    found = rows.filter(wanted)
    if chosen.get(ORDER_VAR):
        return found
    return found.order_by(place.asc(nulls_last=True), *rows.query.order_by)


def newest_with(rows: QuerySet[Any], term: str, texts: Sequence[str], most: int) -> QuerySet[Any]:
    """Those of `rows` among the `most` newest of the table that have `term` in one of the columns
    `texts`. One query beside the list's: where the newest begin, by the primary key."""
    table = rows.model.objects.order_by("-id").values_list("id", flat=True)
    oldest = table[most - 1 : most].first()
    newest = rows if oldest is None else rows.filter(id__gte=oldest)
    return newest.filter(reduce(or_, (Q(**{f"{name}__icontains": term}) for name in texts)))


def _id_in(rows: QuerySet[Any], term: str) -> uuid.UUID | None:
    # A word of hex digits may be a word: it is looked for as one where no row has it as its id.
    if read_id(term) is None:
        return None
    try:
        return find_id(rows.model, term)
    except DomainError:
        return None
