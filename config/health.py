"""/livez, /readyz and /metrics, for supervisors, load balancers and Prometheus. No key, no
workspace, and no rows but the last backup's times."""

from typing import Any

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from psycopg_pool import PoolTimeout

from config import errors
from config.lib import clock
from config.lib.room import room
from memory.backup.making import last_verified

# Once all are applied they stay so while this process runs its code; before, each probe looks.
_migrated = False
# For a connection of its own, where the pool has none; PostgreSQL's least.
PROBE_SECONDS = 2


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """This process answers. Asks no database: restarting it would not mend one."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """The database answers and has this code's tables; 503 until then."""
    global _migrated
    try:
        try:
            _ask(connection)
        except Error as error:
            if not (_migrated and isinstance(error.__cause__ or error, PoolTimeout)):
                raise
            # Requests have them all, which is no reason to send nobody here.
            _ask_beside_the_pool()
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


def _ask(asked: Any) -> None:
    with asked.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_beside_the_pool() -> None:
    beside: Any = connection.copy()
    options = {k: v for k, v in connection.settings_dict["OPTIONS"].items() if k != "pool"}
    options["connect_timeout"] = PROBE_SECONDS
    beside.settings_dict = {**connection.settings_dict, "OPTIONS": options}
    try:
        _ask(beside)
    finally:
        beside.close()


def _missing_migrations() -> list[str]:
    loader = MigrationLoader(connection)
    wanted = set(loader.disk_migrations or ())
    applied = set(loader.applied_migrations or ())
    return sorted(f"{app}.{name}" for app, name in wanted - applied)


def _room() -> list[str]:
    seen = room()
    figures = (
        ("room", "Whether rows may be written: 0 when disk or database are full.",
         int(not seen.problem)),
        ("disk_free_bytes", "Free space of the embedded database's disk.", seen.free),
        ("disk_least_free_bytes", "Below this, writes are refused.", seen.least_free),
        ("database_bytes", "Size of the database, where it has a limit.", seen.used),
        ("database_most_bytes", "Above this, writes are refused.", seen.most_used),
    )  # fmt: skip
    return [
        line
        for name, help_text, value in figures
        if value is not None
        for line in (
            f"# HELP remembrancer_{name} {help_text}",
            f"# TYPE remembrancer_{name} gauge",
            f"remembrancer_{name} {value}",
        )
    ]


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
    lines += _room()
    text = "".join(f"{line}\n" for line in lines)
    return HttpResponse(text, content_type="text/plain; version=0.0.4; charset=utf-8")
