"""The sign of life of a job: a thread that tells how far it is, and hears that it is to stop.

With a connection of its own, so that a dry run, which is one transaction, is seen going on too.
"""

import threading
import uuid
from types import TracebackType
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection

from config.lib import clock
from config.lib.scope import workspace_scope
from memory.importers.run import Stopped
from memory.models import ImportRun
from memory.models.imports import ACTIVE

SECONDS = 1.0


class Pulse:
    """While it is entered, the run whose `job` is ours has a fresh `beat_at`, and what was last
    noted. `check` raises Stopped once the run is somebody else's, or was stopped."""

    def __init__(self, workspace_id: uuid.UUID, run_id: uuid.UUID, job: str) -> None:
        self.workspace_id = workspace_id
        self.run_id = run_id
        self.job = job
        self._noted: dict[str, Any] = {}
        self._end = threading.Event()
        self._gone = False
        self._thread = threading.Thread(target=self._go, name="import-pulse", daemon=True)

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def note(self, **telemetry: Any) -> None:
        """Columns for the next beat. They replace those of the last."""
        self._noted = telemetry

    def check(self) -> None:
        if self._gone:
            raise Stopped

    def _go(self) -> None:
        try:
            while not self._end.wait(SECONDS):
                self._beat()
        finally:
            connection.close()

    def _beat(self) -> None:
        noted = self._noted
        try:
            with workspace_scope(self.workspace_id):
                mine = ImportRun.objects.filter(pk=self.run_id, job=self.job, state__in=ACTIVE)
                self._gone = not mine.update(beat_at=clock.now(), **noted)
        except DatabaseError:
            # The next one may get through; the work itself finds out by itself.
            connection.close()
