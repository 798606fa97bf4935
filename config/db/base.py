"""The backend Django loads for ENGINE = "config.db"."""

import threading
from typing import Any

from django.conf import settings
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper

from config.db.features import DatabaseFeatures
from config.db.operations import DatabaseOperations
from config.lib.db.prepared import allow_preparing
from config.lib.db.roles import check_runtime_role

_weeding = threading.Lock()


def _weed(pool: Any) -> None:
    """Put working connections in the place of the pool's lost ones. One thread at a time."""
    if not _weeding.acquire(blocking=False):
        return
    try:
        pool.check()
    finally:
        _weeding.release()


class DatabaseWrapper(PostgresWrapper):
    """PostgreSQL, as a login that row-level security holds: no other serves or runs jobs."""

    features_class = DatabaseFeatures
    ops_class = DatabaseOperations
    # One look for each process; a login does not change its nature while it runs.
    login_checked = False

    def init_connection_state(self) -> None:
        super().init_connection_state()
        if settings.DATABASE_LOGIN == "runtime" and not DatabaseWrapper.login_checked:
            check_runtime_role(self.connection)
            DatabaseWrapper.login_checked = True

    def _configure_connection(self, connection: Any) -> bool:
        """Once for each new connection; whether there may be something to commit."""
        super()._configure_connection(connection)  # type: ignore[misc]
        allow_preparing(connection)
        return True

    def _close(self) -> None:
        """Where the server went away, all that wait in the pool were lost with this connection.
        Each of them would fail a request before it is replaced."""
        pool = self.pool
        lost = pool and self.connection is not None and self.connection.broken
        super()._close()  # type: ignore[misc]
        if lost:
            threading.Thread(target=_weed, args=(pool,), name="pool-weeding", daemon=True).start()
