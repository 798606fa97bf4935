"""The base of this project's migrations, which apply in a fraction of the time.

Django keeps every model of the project rendered while it migrates, and after each operation
renders anew all that is related to what changed. Here nearly everything is, by the workspace: of
five seconds that a first start spent in `migrate`, four went into that.
"""

from collections.abc import Iterator
from typing import Any

from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.utils import resolve_relation
from django.utils.functional import SimpleLazyObject

from config.lib.db.operations import TableOperation

Key = tuple[str, str]


class NarrowMigration(migrations.Migration):
    """Operations that only add to their own model see that model and what it refers to.

    All others, which may have to know who refers to a model, see the whole project.
    """

    def apply(
        self, project_state: ProjectState, schema_editor: Any, collect_sql: bool = False
    ) -> ProjectState:
        # What is rendered would be copied and kept up with each operation.
        project_state.__dict__.pop("apps", None)
        every = self.operations
        narrowed = [_Narrowed(one) if _changed(one) else one for one in every]
        self.operations = narrowed  # type: ignore[misc]
        try:
            after = super().apply(project_state, schema_editor, collect_sql)
        finally:
            self.operations = every  # type: ignore[misc]
        if "apps" not in after.__dict__:
            # Whoever goes on wants them there, and only some look at them.
            whole = ProjectState(after.models, after.real_apps)
            after.apps = SimpleLazyObject(lambda: whole.apps)  # type: ignore[assignment]
        return after


class _Narrowed(Operation):
    """An operation that is shown as little as it needs."""

    def __init__(self, whole: Any) -> None:
        self.whole = whole
        self.atomic = whole.atomic  # type: ignore[misc]
        self.reduces_to_sql = whole.reduces_to_sql  # type: ignore[misc]

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        # An operation before it may have asked for all of them.
        state.__dict__.pop("apps", None)
        self.whole.state_forwards(app_label, state)

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        keys = [(app_label, name) for name in _changed(self.whole)]
        self.whole.database_forwards(
            app_label, schema_editor, _part(from_state, keys), _part(to_state, keys)
        )

    def describe(self) -> str:
        return str(self.whole.describe())


def _changed(operation: Any) -> list[str]:
    """The models an operation adds to, in lower case; none if it may do something else."""
    match operation:
        case migrations.CreateModel():
            return [operation.name_lower]
        case migrations.AddField() | migrations.AddIndex() | migrations.AddConstraint():
            return [operation.model_name.lower()]
        case TableOperation():
            return [name.lower() for name in operation.model_names]
    return []


def _part(state: ProjectState, keys: list[Key]) -> ProjectState:
    """Of these models, and of those that they refer to, whatever is there.

    A model that is only referred to comes without its own references, but in its primary key.
    """
    wanted: dict[Key, ModelState] = {}
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in wanted and key in state.models:
            model = state.models[key].clone()
            if key not in keys:
                model.fields = {
                    name: field
                    for name, field in model.fields.items()
                    if field.primary_key or field.remote_field is None
                }
            wanted[key] = model
            waiting += _referred(model)
    return ProjectState(wanted, state.real_apps)


def _referred(model: ModelState) -> Iterator[Key]:
    here = (model.app_label, model.name_lower)
    for field in model.fields.values():
        if field.remote_field is not None:
            for other in (field.remote_field.model, getattr(field.remote_field, "through", None)):
                if other is not None:
                    yield resolve_relation(other, *here)
    for base in model.bases:
        if isinstance(base, str):
            yield resolve_relation(base, *here)
