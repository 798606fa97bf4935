"""Migration operations that make a model's table a workspace table.

Reversible, and written only with statements that managed PostgreSQL and Citus take.
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import models
from django.db.migrations.operations.base import Operation

from config.lib.db.fields import ScopedForeignKey

# `true` for the missing_ok argument, and nullif because after any SET LOCAL the setting is the
# empty string, not null, on that connection. The bare form: a subselect around it is slower.
CURRENT_WORKSPACE_SQL = "nullif(current_setting('app.workspace', true), '')::uuid"


class TableOperation(Operation):
    """SQL on the tables of some models of the migration's app; Django's picture of them stays."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_names: Sequence[str]) -> None:
        self.model_names = list(model_names)

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The tables change, the models do not."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self.apply(schema_editor, self._models(app_label, to_state))

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self.undo(schema_editor, self._models(app_label, from_state))

    def _models(self, app_label: str, state: Any) -> list[type[models.Model]]:
        return [state.apps.get_model(app_label, name) for name in self.model_names]

    def apply(self, editor: Any, rows: list[type[models.Model]]) -> None:
        raise TypeError(f"{type(self).__name__} does not say what it applies")

    def undo(self, editor: Any, rows: list[type[models.Model]]) -> None:
        raise TypeError(f"{type(self).__name__} does not say how it is undone")


class ScopeTables(TableOperation):
    """Composite primary keys, composite foreign keys and forced row-level security.

    After the CreateModel operations. All primary keys come first: foreign keys refer to them.
    """

    def apply(self, editor: Any, rows: list[type[models.Model]]) -> None:
        for model in rows:
            table = model._meta.db_table
            _alter(
                editor,
                table,
                f'DROP CONSTRAINT "{table}_pkey", '
                f'ADD CONSTRAINT "{table}_pkey" PRIMARY KEY (workspace_id, id)',
            )
            if _is_root(model):
                _alter(
                    editor,
                    table,
                    f'ADD CONSTRAINT "{table}_workspace_fk" FOREIGN KEY (workspace_id) '
                    "REFERENCES contacts_workspace (id) NOT DEFERRABLE",
                )
        for model in rows:
            table = model._meta.db_table
            for field in _scoped_keys(model):
                _add_key(editor, field)
            # FORCE: without it the tables' owner, who migrates, would see every workspace.
            _alter(editor, table, "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
            editor.execute(
                f'CREATE POLICY workspace_rows ON "{table}" '
                f"USING (workspace_id = {CURRENT_WORKSPACE_SQL}) "
                f"WITH CHECK (workspace_id = {CURRENT_WORKSPACE_SQL})"
            )

    def undo(self, editor: Any, rows: list[type[models.Model]]) -> None:
        for model in rows:
            table = model._meta.db_table
            editor.execute(f'DROP POLICY workspace_rows ON "{table}"')
            _alter(editor, table, "NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
            for field in _scoped_keys(model):
                _drop_key(editor, field)
        for model in rows:
            table = model._meta.db_table
            _alter(
                editor,
                table,
                f'DROP CONSTRAINT IF EXISTS "{table}_workspace_fk", '
                f'DROP CONSTRAINT "{table}_pkey", '
                f'ADD CONSTRAINT "{table}_pkey" PRIMARY KEY (id)',
            )

    def describe(self) -> str:
        return f"Scope {', '.join(self.model_names)} to their workspace"


class AppendOnly(TableOperation):
    """The runtime role may add rows and read them, not change or remove them.

    Rows still go with their parent: a cascade runs in the name of the tables' owner.
    """

    def apply(self, editor: Any, rows: list[type[models.Model]]) -> None:
        for model in rows:
            editor.execute(
                f'REVOKE UPDATE, DELETE, TRUNCATE ON "{model._meta.db_table}" '
                f'FROM "{settings.RUNTIME_ROLE}"'
            )

    def undo(self, editor: Any, rows: list[type[models.Model]]) -> None:
        for model in rows:
            editor.execute(
                f'GRANT UPDATE, DELETE ON "{model._meta.db_table}" TO "{settings.RUNTIME_ROLE}"'
            )

    def describe(self) -> str:
        return f"Make {', '.join(self.model_names)} append-only for the runtime role"


class ScopeField(TableOperation):
    """The composite foreign key of one ScopedForeignKey that a later migration adds."""

    def __init__(self, model_name: str, name: str) -> None:
        super().__init__([model_name])
        self.name = name

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_names[0], self.name], {}

    def _field(self, rows: list[type[models.Model]]) -> ScopedForeignKey:
        field = rows[0]._meta.get_field(self.name)
        if not isinstance(field, ScopedForeignKey):
            raise TypeError(f"{self.model_names[0]}.{self.name} is not a ScopedForeignKey")
        return field

    def apply(self, editor: Any, rows: list[type[models.Model]]) -> None:
        _add_key(editor, self._field(rows))

    def undo(self, editor: Any, rows: list[type[models.Model]]) -> None:
        _drop_key(editor, self._field(rows))

    def describe(self) -> str:
        return f"Scope the key {self.model_names[0]}.{self.name} to its workspace"


def _alter(editor: Any, table: str, change: str) -> None:
    editor.execute(f'ALTER TABLE "{table}" {change}')


def _scoped_keys(model: type[models.Model]) -> list[ScopedForeignKey]:
    return [f for f in model._meta.local_fields if isinstance(f, ScopedForeignKey)]


def _is_root(model: type[models.Model]) -> bool:
    """Whether nothing else proves that the row's workspace exists: a required composite key does,
    and each foreign key is a look-up for each row that is written."""
    return all(field.null for field in _scoped_keys(model))


def _key_name(field: ScopedForeignKey) -> str:
    return f"{field.model._meta.db_table}_{field.column}_fk"


def _add_key(editor: Any, field: ScopedForeignKey) -> None:
    _alter(
        editor,
        field.model._meta.db_table,
        f'ADD CONSTRAINT "{_key_name(field)}" FOREIGN KEY (workspace_id, "{field.column}") '
        f'REFERENCES "{field.remote_field.model._meta.db_table}" (workspace_id, id) '
        # A deferred key fails at COMMIT, outside every handler.
        f"ON DELETE {'CASCADE' if field.cascade else 'NO ACTION'} NOT DEFERRABLE",
    )


def _drop_key(editor: Any, field: ScopedForeignKey) -> None:
    _alter(editor, field.model._meta.db_table, f'DROP CONSTRAINT "{_key_name(field)}"')
