"""/livez and /readyz, for supervisors and load balancers. No key, no workspace, no rows."""

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from config import errors

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
