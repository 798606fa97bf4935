"""The backend Django loads for ENGINE = "config.db"."""

from django.conf import settings
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper

from config.db.features import DatabaseFeatures
from config.lib.db.roles import check_runtime_role


class DatabaseWrapper(PostgresWrapper):
    """PostgreSQL, as a login that row-level security holds: no other serves or runs jobs."""

    features_class = DatabaseFeatures
    # One look for each process; a login does not change its nature while it runs.
    login_checked = False

    def init_connection_state(self) -> None:
        super().init_connection_state()
        if settings.DATABASE_LOGIN == "runtime" and not DatabaseWrapper.login_checked:
            check_runtime_role(self.connection)
            DatabaseWrapper.login_checked = True
