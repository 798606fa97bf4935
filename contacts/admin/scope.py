"""The transaction of an admin request, and the way out of it for what must not run in one.

The middleware (config/admin/scope.py) enters it; a view leaves it for a while with `outside`.
"""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

from django.db import transaction
from django.http import HttpRequest

from config.lib.scope import in_scope, workspace_scope


class RequestScope:
    """A workspace scope that its request can leave and enter again."""

    def __init__(self, workspace_id: uuid.UUID) -> None:
        self.workspace_id = workspace_id
        self._stack = ExitStack()

    def __enter__(self) -> "RequestScope":
        self._stack.enter_context(workspace_scope(self.workspace_id))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def refuse(self) -> None:
        """Nothing the transaction wrote is kept. Where none could be entered there is nothing."""
        if in_scope():
            transaction.set_rollback(True)


@contextmanager
def outside(request: HttpRequest) -> Iterator[uuid.UUID]:
    """Runs what it holds in no transaction; yields the workspace's id.

    What the request wrote before is committed, and what follows is a transaction of its own: for
    pages that read, ask something that takes a model's run or opens scopes itself, and go on.
    """
    scope: RequestScope = request.scope  # type: ignore[attr-defined]
    scope.__exit__(None, None, None)
    try:
        yield scope.workspace_id
    finally:
        scope.__enter__()
