"""What the list of sessions is narrowed by beside plain columns. Not for filters others need too:
those are in contacts/admin/filters.py."""

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from unfold.contrib.filters.admin import (
    DropdownFilter,
    RangeNumericFilter,
    RangeNumericListFilter,
    TextFilter,
)

from sessions.models import Session

# Past this no column holds a number, and PostgreSQL would refuse the comparison.
LARGEST = Decimal(2**31 - 1)


class _Bounds:
    """`<name>_from` and `<name>_to` of the address as numbers; what is none is told so."""

    parameter_name: str
    used_parameters: dict[str, Any]

    def bounds(self) -> tuple[Decimal | None, Decimal | None]:
        low, high = (self._bound(f"{self.parameter_name}_{side}") for side in ("from", "to"))
        return low, high

    def _bound(self, name: str) -> Decimal | None:
        given = str(self.used_parameters.get(name) or "").strip()
        if not given:
            return None
        try:
            value = Decimal(given)
        except InvalidOperation as error:
            raise IncorrectLookupParameters(error) from error
        if not value.is_finite():
            raise IncorrectLookupParameters(given)
        return max(-LARGEST, min(LARGEST, value))


class NumberFilter(_Bounds, RangeNumericFilter):
    """A number column from one value to another, both included."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        low, high = self.bounds()
        if low is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": low})
        if high is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__lte": high})
        return queryset


class MinutesFilter(_Bounds, RangeNumericListFilter):
    """How long it took, as the list shows it: to its end, or to its last sign of life."""

    title = "duration in minutes"
    parameter_name = "minutes"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        low, high = self.bounds()
        took = Coalesce("ended_at", "last_seen_at") - F("started_at")
        if low is not None or high is not None:
            queryset = queryset.alias(took=took)
        if low is not None:
            queryset = queryset.filter(took__gte=timedelta(minutes=float(low)))
        if high is not None:
            queryset = queryset.filter(took__lte=timedelta(minutes=float(high)))
        return queryset


class ErrorsFilter(DropdownFilter):
    title = "errors"
    parameter_name = "errors"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "With errors"), ("no", "Without")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "yes":
                return queryset.filter(error_count__gt=0)
            case "no":
                return queryset.filter(error_count=0)
        return queryset


class CostKnownFilter(DropdownFilter):
    """A cost that nobody reported is not a cost of zero."""

    title = "cost known"
    parameter_name = "cost"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Reported"), ("no", "Not reported")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(cost_usd__isnull=self.value() == "no")
        return queryset


class MemoryTagFilter(TextFilter):
    """Sessions and projects carry no tags; what was learned in a session does."""

    title = "tag of its memories"
    parameter_name = "tag"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        tag = (self.value() or "").strip().replace("\x00", "")
        if not tag:
            return queryset
        tagged = Session.objects.filter(memories__tags__contains=[tag[:100]])
        return queryset.filter(pk__in=tagged.values("pk"))
