"""What tools do: they ask operations of the REST API, under REST's scopes and in its transactions.

So a tool reads and writes exactly what REST does: the same schemas, services, limits and errors.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from django.db import transaction
from django.http import HttpRequest

from config.lib.body import parse_json
from config.lib.db.again import again
from config.mcp.brief import as_json
from contacts.api.auth import KeyAuth, check_scope
from contacts.api.edge import Edge, Principal
from contacts.services import idempotency

T = TypeVar("T")
Operation = Callable[..., Any]
# Of a row that is to be overwritten whatever it is now.
ANY_VERSION = "*"


@cache
def asked_of(operation: Operation) -> KeyAuth:
    """The authentication that REST asks for this operation, as its module's router has it."""
    for path in import_module(operation.__module__).router.path_operations.values():
        for known in path.operations:
            if known.view_func is operation and isinstance(known.auth_param, KeyAuth):
                return known.auth_param
    raise LookupError(f"{operation.__qualname__} is no operation of the REST API")


class Call:
    """One message of one key: asks operations for it. Entered by views.py, which leaves it."""

    def __init__(self, request: HttpRequest, edge: Edge, principal: Principal) -> None:
        self.request, self.edge, self.principal = request, edge, principal
        # Rows that are committed; what was written since may be undone, and is not counted then.
        self._rows = 0

    def may(self, operation: Operation) -> bool:
        """Whether the key has the operation's scope."""
        return asked_of(operation).scope in {None, *self.principal.key.scopes}

    def ask(
        self, operation: Operation, *args: Any, version: int | str | None = None, **named: Any
    ) -> Any:
        """The operation's answer as JSON values. Raises what it raises, and Forbidden without its
        scope. `version` is what If-Match says, for operations that ask for it."""
        auth = asked_of(operation)
        check_scope(self.principal.key, auth.scope)
        if auth.detached:
            self.commit()
        else:
            self.enter()
        response = operation(self._inner(version), *args, **named)
        return parse_json(response.content) if response.content else None

    def _inner(self, version: int | str | None) -> HttpRequest:
        """A request of this caller's, with nothing of what the client sent beside the tool."""
        inner = HttpRequest()
        inner.auth = self.principal  # type: ignore[attr-defined]
        inner.request_id = self.request.request_id  # type: ignore[attr-defined]
        if version is not None:
            inner.META["HTTP_IF_MATCH"] = version if version == ANY_VERSION else f'"{version}"'
        return inner

    # --- Transactions -------------------------------------------------------------------------

    def enter(self) -> None:
        """The workspace's scope, in which non-detached operations work."""
        if not self.edge.open:
            self.edge.enter(self.principal.workspace_id)

    def commit(self) -> None:
        """What was done until here stays; the connection is free afterwards."""
        if self.edge.open:
            self.edge.detach()
        self._rows = self.edge.tally.rows

    def roll_back(self) -> None:
        if self.edge.open:
            transaction.set_rollback(True)
            self.edge.detach()
        self.edge.tally.rows = self._rows

    def unit(self, work: Callable[[], T], *, key: str | None = None, digest: bytes = b"") -> T:
        """`work`, done whole or not at all, and again where another write undid it, as REST does.

        With `key`, done once: sent again with the same `digest`, the first answer comes back.
        """

        def attempt() -> T:
            try:
                answer = work() if key is None else self._once(work, key, digest)
                self.commit()
            except BaseException:
                self.roll_back()
                raise
            return answer

        return again(attempt)

    def _once(self, work: Callable[[], Any], key: str, digest: bytes) -> Any:
        self.enter()
        key_id = self.principal.key.id
        stored = idempotency.begin(api_key_id=key_id, key=key, digest=digest)
        if stored is not None:
            return parse_json(bytes(stored.body))
        answer = work()
        body = as_json(answer).encode()
        idempotency.finish(api_key_id=key_id, key=key, status=200, headers={}, body=body)
        return answer
