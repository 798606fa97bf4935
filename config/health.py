"""/livez, /readyz and /metrics, for supervisors, load balancers and Prometheus. No key, no
workspace, and no rows but the last backup's times."""

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from config import errors
from config.lib import clock
from memory.backup.making import last_verified

# Once all are applied they stay so while this process runs its code; before, each probe looks.
_migrated = False


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """This process answers. Asks no database: restarting it would not mend one."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """The database answers and has this code's tables; 503 until then."""
    global _migrated
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _migrated:
            missing = _missing_migrations()
            if missing:
                return errors.problem(
                    request,
                    503,
                    f"{len(missing)} migrations are not applied yet, first {missing[0]}.",
                    code="migrating",
                    headers={"Retry-After": "2"},
                )
            _migrated = True
    except Error as error:
        return errors.database_problem(request, error)
    return JsonResponse({"status": "ok"})


def _missing_migrations() -> list[str]:
    loader = MigrationLoader(connection)
    wanted = set(loader.disk_migrations or ())
    applied = set(loader.applied_migrations or ())
    return sorted(f"{app}.{name}" for app, name in wanted - applied)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format. Without a verified backup its two values are left out, so that an
    alert on `absent()` tells."""
    try:
        last = last_verified().first()
    except Error as error:
        return errors.database_problem(request, error)
    lines: list[str] = []
    if last is not None:
        made = last.started_at.timestamp()
        lines += [
            "# HELP remembrancer_backup_verified_timestamp_seconds When the last verified backup "
            "was made.",
            "# TYPE remembrancer_backup_verified_timestamp_seconds gauge",
            f"remembrancer_backup_verified_timestamp_seconds {made:.0f}",
            "# HELP remembrancer_backup_verified_age_seconds How old it is.",
            "# TYPE remembrancer_backup_verified_age_seconds gauge",
            f"remembrancer_backup_verified_age_seconds {clock.now().timestamp() - made:.0f}",
        ]
    text = "".join(f"{line}\n" for line in lines)
    return HttpResponse(text, content_type="text/plain; version=0.0.4; charset=utf-8")
