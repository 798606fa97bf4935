"""Removing a workspace with everything in it, as nobody but the tables' owner may.

The runtime role cannot take back the record of what happened, so this opens a connection of its
own with the owner's login.
"""

import uuid

import psycopg
from django.apps import apps
from django.conf import settings
from django.db.models import Model
from psycopg import sql

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow
from config.lib.db.owner import require_owner


def remove_workspace(workspace_id: uuid.UUID) -> int:
    """Remove its rows in every table, and itself; how many rows. One transaction.

    Raises Conflict (no_owner_login) without DATABASE_OWNER_URL.
    """
    require_owner("remove a workspace")
    removed = 0
    with psycopg.connect(settings.OWNER_URL) as connection:
        # Row-level security holds the owner too.
        connection.execute("SELECT set_config('app.workspace', %s, true)", [str(workspace_id)])
        for model in _in_order():
            statement = sql.SQL("DELETE FROM {} WHERE workspace_id = %s").format(
                sql.Identifier(model._meta.db_table)
            )
            removed += connection.execute(statement, [workspace_id]).rowcount
        gone = connection.execute("DELETE FROM contacts_workspace WHERE id = %s", [workspace_id])
        removed += gone.rowcount
    return removed


def _in_order() -> list[type[Model]]:
    """Every table of workspaces' rows, what points at a table before it."""
    waiting = [model for model in apps.get_models() if issubclass(model, WorkspaceRow)]
    done: list[type[Model]] = []
    while waiting:
        pointed_at = {
            field.related_model
            for model in waiting
            for field in model._meta.concrete_fields
            if isinstance(field, ScopedForeignKey) and field.related_model is not model
        }
        free = [model for model in waiting if model not in pointed_at]
        if not free:
            raise RuntimeError(f"tables point at each other in a circle: {waiting}")
        done += free
        waiting = [model for model in waiting if model not in free]
    return done
