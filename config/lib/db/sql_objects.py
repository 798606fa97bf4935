"""Migration operations for views and functions, by name, so that `manage.py verify` can tell from
the migrations what a database must have.
"""

from typing import Any

from django.conf import settings
from django.db.migrations.operations.base import Operation


class _SqlObject(Operation):
    """Made forwards, dropped backwards. Models stay as they are."""

    reduces_to_sql = True
    reversible = True
    kind = ""

    def __init__(self, name: str, sql: str) -> None:
        self.name = name
        self.sql = sql

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Views and functions are no models."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        for statement in self.statements():
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        schema_editor.execute(f"DROP {self.kind} {self.signature}", params=None)

    @property
    def signature(self) -> str:
        return self.name

    def statements(self) -> list[str]:
        raise TypeError(f"{type(self).__name__} does not say what it makes")

    def describe(self) -> str:
        return f"Make the {self.kind.lower()} {self.signature}"


class SqlView(_SqlObject):
    """A view that reads as whoever asks: row-level security holds it as it does the tables.

    `sql` is the SELECT. The runtime role may read it and nothing more.
    """

    kind = "VIEW"

    def statements(self) -> list[str]:
        return [
            f"CREATE VIEW {self.name} WITH (security_invoker = true) AS {self.sql}",
            f'REVOKE ALL ON {self.name} FROM "{settings.RUNTIME_ROLE}"',
            f'GRANT SELECT ON {self.name} TO "{settings.RUNTIME_ROLE}"',
        ]


class SqlFunction(_SqlObject):
    """A function that reads as whoever asks. `arguments` are the types as DROP FUNCTION wants them;
    `sql` is the whole CREATE FUNCTION. `replaces` is that of the function whose place it takes,
    with the same arguments and result, and which comes back when this is undone.
    """

    kind = "FUNCTION"

    def __init__(self, name: str, arguments: str, sql: str, replaces: str = "") -> None:
        super().__init__(name, _or_replace(sql) if replaces else sql)
        self.arguments = arguments
        self.replaces = replaces

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if self.replaces:
            schema_editor.execute(_or_replace(self.replaces), params=None)
        else:
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    @property
    def signature(self) -> str:
        return f"{self.name}({self.arguments})"

    def statements(self) -> list[str]:
        return [
            self.sql,
            f"REVOKE ALL ON FUNCTION {self.signature} FROM PUBLIC",
            f'GRANT EXECUTE ON FUNCTION {self.signature} TO "{settings.RUNTIME_ROLE}"',
        ]


def _or_replace(sql: str) -> str:
    return sql.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)
