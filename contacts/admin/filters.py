"""List filters that follow from several columns."""

from datetime import datetime, timedelta
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
    """From one day to another, both whole; unfold's own ends at the last day's first moment.

    Also from one moment up to another (`2026-03-01T14:00Z`), as charts link to the rows of a bar.
    """

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        start = self._moment("from", days=0)
        end = self._moment("to", days=1)
        if start is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": start})
        if end is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": end})
        return queryset

    def _moment(self, side: str, *, days: int) -> datetime | None:
        """A moment as it is; a day's beginning, so many days on."""
        value = str(self.used_parameters.get(f"{self.parameter_name}_{side}") or "")
        if not value:
            return None
        try:
            if "T" in value:
                moment = datetime.fromisoformat(value)
                return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
            day = datetime.strptime(value, "%Y-%m-%d")  # noqa: DTZ007  (made aware below)
            return timezone.make_aware(day + timedelta(days=days))
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters(error) from error


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
