"""How often one may try to sign in: django-axes counts in the database, so for all processes.

Its own rule has one limit for everything it counts by. Three are needed, so that guessing is slow
from one address and from many, and a stranger still cannot keep an operator out: where the person
came in before, only that address's own failures count.
"""

from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessLog
from django.conf import settings
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse

# Failures until one waits: of a name from one address, of an address, of a name from all others.
PAIR, ADDRESS, NAME = 5, 20, 50
WAIT = settings.AXES_COOLOFF_TIME
# How long an address at which a person came in is known as theirs.
KNOWN_DAYS = 60


class SignInGuard(AxesDatabaseHandler):
    """AXES_HANDLER: what axes records, judged by three limits in place of one."""

    def get_failures(self, request: Any, credentials: dict[str, Any] | None = None) -> int:
        """The nearest limit's share in AXES_FAILURE_LIMIT, so that reaching one reaches that."""
        of_pair, of_address, of_name = self.get_user_attempts(request, credentials)
        shares = [_share(of_pair, PAIR), _share(of_address, ADDRESS)]
        if not _came_from_here(request, (credentials or {}).get("username")):
            shares.append(_share(of_name, NAME))
        return max(shares)

    def reset_user_attempts(self, request: Any, credentials: dict[str, Any] | None = None) -> int:
        """Who came in has no failures here any more; those of the address at other names stay."""
        of_pair, _, _ = self.filter_user_attempts(request, credentials)
        count, _ = of_pair.delete()
        return count

    def user_logged_in(self, sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
        super().user_logged_in(sender, request, user, **kwargs)
        self.reset_logs(age_days=KNOWN_DAYS)


def _share(attempts: QuerySet[Any], limit: int) -> int:
    failures = attempts.aggregate(of=Sum("failures_since_start"))["of"] or 0
    return int(failures) * settings.AXES_FAILURE_LIMIT // limit


def _came_from_here(request: Any, username: str | None) -> bool:
    return AccessLog.objects.filter(username=username, ip_address=request.axes_ip_address).exists()


def refuse(
    request: HttpRequest, response: HttpResponse, credentials: dict[str, Any] | None
) -> HttpResponse:
    """AXES_LOCKOUT_CALLABLE: the page's own answer, whose form says the word (forms.py)."""
    response.status_code = 429
    response["Retry-After"] = str(int(WAIT.total_seconds()))
    return response


def is_refused(request: HttpRequest) -> bool:
    """Whether this request's password was not looked at, or was the last one too many."""
    return bool(getattr(request, "axes_locked_out", False))
