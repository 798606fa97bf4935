"""What Django says of statements that it has not written itself."""

from typing import Any

import psycopg
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.postgresql.operations import DatabaseOperations as PostgresOperations


class DatabaseOperations(PostgresOperations):
    def last_executed_query(self, cursor: Any, sql: Any, params: Any) -> Any:
        """With its parameters, also of a prepared cursor, which has sent them beside it."""
        if isinstance(cursor, ServerBindingCursor):
            try:
                return self.compose_sql(sql, params)
            except psycopg.Error:
                # It cannot be sent either, which whoever tried to is told of.
                return None
        return super().last_executed_query(cursor, sql, params)
