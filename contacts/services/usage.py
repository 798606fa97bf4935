"""What keys did today, and what a workspace's rows take: counted aside, never by who waits.

Requests add to a sum in memory; a thread of each web process writes the sums once a second
(config/gunicorn.py), so that no request waits for it and no two of a workspace meet at one row.
What a killed process had not written is not counted: at most a second's. Not for the limits
themselves (allowances.py).
"""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from threading import Event, Lock, Thread

import structlog
from django.apps import apps
from django.db import Error as DatabaseError
from django.db import IntegrityError, connection, models

from config.lib import clock
from config.lib.db.models import WorkspaceRow
from config.lib.ids import new_id
from config.lib.scope import current_workspace_id, set_local, workspace_scope
from contacts.models import StorageCount

log = structlog.get_logger()

FLUSH_SECONDS = 1.0
# A row's own header and its pointer on the page.
ROW_BYTES = 28
MEASURE_EVERY = timedelta(minutes=55)
# Measuring goes through all rows: at most this share of the time.
MEASURE_SHARE = 500
STATEMENT_TIMEOUT = "10min"


@dataclass(slots=True)
class Used:
    """Sums of one key on one day, or of a workspace."""

    requests: int = 0
    rows: int = 0
    bytes: int = 0

    def add(self, other: "Used") -> None:
        self.requests += other.requests
        self.rows += other.rows
        self.bytes += other.bytes


_Key = tuple[uuid.UUID, uuid.UUID, date]
_lock = Lock()
_waiting: dict[_Key, Used] = {}


def note(workspace_id: uuid.UUID, key_id: uuid.UUID, *, rows: int, size: int) -> None:
    """One request is done. `size` is its body's bytes, which count where it wrote rows."""
    used = Used(1, rows, size if rows else 0)
    with _lock:
        _waiting.setdefault((workspace_id, key_id, clock.now().date()), Used()).add(used)


def waiting(workspace_id: uuid.UUID, key_id: uuid.UUID) -> Used:
    """What this process has not written yet of a key's day."""
    with _lock:
        found = _waiting.get((workspace_id, key_id, clock.now().date()))
        return Used(found.requests, found.rows, found.bytes) if found else Used()


_ADD = """
    INSERT INTO contacts_usageday AS u
           (id, workspace_id, created_at, api_key_id, day, requests, rows, bytes)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (workspace_id, day, api_key_id) DO UPDATE SET
           requests = u.requests + excluded.requests, rows = u.rows + excluded.rows,
           bytes = u.bytes + excluded.bytes
"""


def flush() -> None:
    """Write the sums, each workspace's in a transaction of its own. Outside any scope."""
    with _lock:
        taken = dict(_waiting)
        _waiting.clear()
    by_workspace: dict[uuid.UUID, list[tuple[_Key, Used]]] = {}
    for key, used in taken.items():
        by_workspace.setdefault(key[0], []).append((key, used))
    for workspace_id, sums in by_workspace.items():
        try:
            _write(workspace_id, sums)
        except IntegrityError as error:
            # The key or its workspace is gone.
            log.info("usage_dropped", workspace=str(workspace_id), error=type(error).__name__)
        except DatabaseError as error:
            log.warning(
                "usage_not_written", workspace=str(workspace_id), error=type(error).__name__
            )
            with _lock:
                for key, used in sums:
                    _waiting.setdefault(key, Used()).add(used)


def _write(workspace_id: uuid.UUID, sums: list[tuple[_Key, Used]]) -> None:
    with workspace_scope(workspace_id), connection.cursor() as cursor:
        set_local("synchronous_commit", "off")
        # In one order, so that no two processes wait for each other.
        for (_, key_id, day), used in sorted(sums, key=lambda one: str(one[0])):
            cursor.execute(
                _ADD,
                [
                    new_id(), workspace_id, clock.now(), key_id, day, used.requests, used.rows,
                    used.bytes,
                ],
            )  # fmt: skip
        sent = sum(used.bytes for _, used in sums)
        if sent:
            StorageCount.objects.update(added=models.F("added") + sent)


class Flusher:
    """The thread of a web process that writes the sums."""

    def __init__(self) -> None:
        self._stop = Event()
        self._thread = Thread(target=self._run, name="usage", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        if not _waiting:
            return
        try:
            flush()
        except Exception:
            log.exception("usage_not_written")
        finally:
            # Back into the pool; requests have few enough.
            connection.close()


# --- What rows take -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """`tables`: table to {"rows", "bytes"}."""

    tables: dict[str, dict[str, int]]

    @property
    def bytes(self) -> int:
        return sum(each["bytes"] for each in self.tables.values())


def measure() -> Measured:
    """The rows of the current workspace as they lie on disk (compressed, without indexes). Goes
    through every table of it."""
    found: dict[str, dict[str, int]] = {}
    with connection.cursor() as cursor:
        for table, columns in _tables():
            sizes = " + ".join(f"coalesce(pg_column_size({column}), 0)" for column in columns)
            cursor.execute(
                f"SELECT count(*), coalesce(sum({sizes} + {ROW_BYTES}), 0)::bigint "  # noqa: S608
                f"FROM {table} WHERE workspace_id = %s",
                [current_workspace_id()],
            )
            rows, size = cursor.fetchone()
            if rows:
                found[table.strip('"')] = {"rows": rows, "bytes": size}
    return Measured(found)


def _tables() -> Iterator[tuple[str, list[str]]]:
    for model in apps.get_models():
        if issubclass(model, WorkspaceRow) and model is not StorageCount:
            fields = model._meta.concrete_fields
            yield f'"{model._meta.db_table}"', [f'"{field.column}"' for field in fields]


def is_due(kept: StorageCount | None) -> bool:
    if kept is None:
        return True
    age = clock.now() - kept.measured_at
    return age >= max(MEASURE_EVERY, timedelta(seconds=kept.seconds * MEASURE_SHARE))


def measure_storage(workspace_id: uuid.UUID, *, anyway: bool = False) -> bool:
    """Measure where it is time to; whether it was. Outside any scope."""
    with workspace_scope(workspace_id):
        if not anyway and not is_due(StorageCount.objects.first()):
            return False
        set_local("statement_timeout", STATEMENT_TIMEOUT)
        before = StorageCount.objects.values_list("added", flat=True).first() or 0
        began = time.monotonic()
        found = measure()
        seconds = time.monotonic() - began
        kept = StorageCount(
            tables=found.tables, bytes=found.bytes, measured_at=clock.now(), seconds=seconds
        )
        if not StorageCount.objects.exists():
            StorageCount.objects.bulk_create([kept], ignore_conflicts=True)
            return True
        # What was added while it was measured may be in it or not; it stays added.
        StorageCount.objects.update(
            tables=kept.tables, bytes=kept.bytes, measured_at=kept.measured_at, seconds=seconds,
            added=models.F("added") - before,
        )  # fmt: skip
    return True
