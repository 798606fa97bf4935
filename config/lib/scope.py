"""The workspace scope: the only thing that opens a transaction.

Row-level security shows a connection the rows of one workspace, named by the setting
`app.workspace` for the length of a transaction. A scope is entered at the edge (API request,
admin request, MCP tool, job, command) and never nested: a unit of work belongs to one workspace
and commits or rolls back whole.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from django.db import connection, transaction
from django.db.models import Expression, UUIDField
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus


class ScopeError(RuntimeError):
    """A programming error: rows were touched outside a scope, or a scope was nested."""


_current: ContextVar[uuid.UUID | None] = ContextVar("workspace_scope", default=None)


def current_workspace_id() -> uuid.UUID:
    workspace_id = _current.get()
    if workspace_id is None:
        raise ScopeError("no workspace scope: enter workspace_scope(workspace_id) at the edge")
    return workspace_id


def in_scope() -> bool:
    return _current.get() is not None


def set_local(name: str, value: str) -> None:
    """SET LOCAL with a literal: Citus hands literals to its workers, but not set_config()."""
    quoted = ".".join(f'"{part}"' for part in name.split("."))  # app.user: `user` is a keyword
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL {quoted} = %s", [value])


def send(commands: str) -> None:
    """What has neither parameters nor rows, past cursors, which take longer than such commands."""
    connection.ensure_connection()
    server: Any = connection.connection
    with connection.wrap_database_errors:
        result = server.pgconn.exec_(commands.encode())
        if server.pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError(server.pgconn.get_error_message())
        if result.status != ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result, encoding=server.info.encoding)


def _enter(workspace_id: uuid.UUID) -> None:
    """Name the workspace, as the first statement of a transaction in the message that begins it:
    every request and job does this, and a way to the server and back is dear."""
    connection.ensure_connection()
    server: Any = connection.connection
    # By savepoint in tests; and what psycopg would say to begin with is not known here.
    if server.info.transaction_status != TransactionStatus.IDLE or server.isolation_level:
        set_local("app.workspace", str(workspace_id))
        return
    send(f'BEGIN; SET LOCAL "app"."workspace" = \'{workspace_id}\'')


@contextmanager
def workspace_scope(workspace_id: uuid.UUID) -> Iterator[None]:
    """One transaction in one workspace; an exception rolls all of it back."""
    if _current.get() is not None:
        raise ScopeError("workspace scopes do not nest: this work already runs in one")
    if not isinstance(workspace_id, uuid.UUID):
        raise ScopeError(f"a workspace id is a UUID, not {type(workspace_id).__name__}")
    with transaction.atomic(durable=True):
        _enter(workspace_id)
        token = _current.set(workspace_id)
        try:
            yield
        finally:
            _current.reset(token)
        # Only in tests does a transaction outlive its scope; the next one must not inherit it.
        # (After an exception, or with a rollback asked for, the savepoint's rollback takes the
        # setting back by itself.)
        if connection.savepoint_ids and not connection.needs_rollback:
            set_local("app.workspace", "")


@contextmanager
def user_scope(user_id: int) -> Iterator[None]:
    """A transaction in which one person's memberships, of every workspace, can be read."""
    with transaction.atomic():
        set_local("app.user", str(int(user_id)))
        yield
        set_local("app.user", "")


class CurrentWorkspace(Expression):
    """The scope's workspace id as a parameter, looked up when the SQL is made.

    So a queryset built at import time (a form field's choices) is right in every request, and
    one that is evaluated outside a scope fails loudly instead of returning nothing.
    """

    output_field = UUIDField()

    def as_sql(self, compiler: object, connection: object) -> Any:
        return "%s", [current_workspace_id()]
