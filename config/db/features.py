"""Why this backend exists: the tables' primary key is (workspace_id, id), Django's is `id`."""

from django.db.backends.postgresql.features import DatabaseFeatures as PostgresFeatures


class DatabaseFeatures(PostgresFeatures):
    # Django groups by `id` alone and leaves the other columns to functional dependency, which
    # PostgreSQL derives from the real primary key only: "column must appear in GROUP BY".
    allows_group_by_selected_pks = False
