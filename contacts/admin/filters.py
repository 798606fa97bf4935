"""List filters that follow from several columns."""

from datetime import datetime, time, timedelta
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter

from config.lib import clock
from contacts.models import ApiKey, Invitation


def key_state(key: ApiKey) -> str:
    """live, expired or revoked."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= clock.now() else "live"


def invitation_state(invitation: Invitation) -> str:
    """open, accepted, expired or revoked."""
    if invitation.accepted_at is not None:
        return "accepted"
    if invitation.revoked_at is not None:
        return "revoked"
    return "expired" if invitation.expires_at <= clock.now() else "open"


class KeyStateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("expired", "Expired"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        past = Q(expires_at__lte=clock.now())
        match self.value():
            case "live":
                return queryset.filter(~past | Q(expires_at=None), revoked_at=None)
            case "expired":
                return queryset.filter(past, revoked_at=None)
            case "revoked":
                return queryset.filter(revoked_at__isnull=False)
        return queryset


class DaysFilter(RangeDateFilter):
    """From one day to another, both whole. Unfold's own ends at the last day's first moment."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        start, end = (self._day(f"{self.parameter_name}_{side}") for side in ("from", "to"))
        if start is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": start})
        if end is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": end + timedelta(days=1)})
        return queryset

    def _day(self, name: str) -> datetime | None:
        value = self.used_parameters.get(name)
        if not value:
            return None
        try:
            day = datetime.strptime(str(value), "%Y-%m-%d").date()  # noqa: DTZ007  (a date)
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error
        return timezone.make_aware(datetime.combine(day, time()))


class HiddenFilter(DropdownFilter):
    """Rows whose `column`, a time, is not set (`shown`), or is (`hidden`). Without: both."""

    column: str
    shown: str
    hidden: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", self.shown), ("yes", self.hidden)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("no", "yes"):
            return queryset.filter(**{f"{self.column}__isnull": self.value() == "no"})
        return queryset
