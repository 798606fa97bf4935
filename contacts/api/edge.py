"""The edge of a REST request: its transaction, its caller and its idempotent answer.

One Edge per request, made by the middleware and entered by the operation's authentication, so
that an operation, its serialisation and its stored answer are one transaction. Not for the
admin, which knows its caller by a session (config/middleware.py).
"""

import hashlib
import uuid
from contextlib import ExitStack
from dataclasses import dataclass

import structlog
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse

from config.lib import clock
from config.lib.actor import Actor
from config.lib.redact import redacting_for
from config.lib.room import room
from config.lib.scope import set_local, workspace_scope
from config.lib.writing import Tally
from contacts.models import ApiKey
from contacts.services import funnel, idempotency, usage
from contacts.services.agents import mark_seen
from contacts.services.allowances import Allowance, allowance_of, headers, lease
from contacts.services.keys import USED_EVERY

log = structlog.get_logger()

# What a replayed answer repeats beside its body.
KEPT_HEADERS = ("Content-Type", "ETag", "Location")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: what `request.auth` is in an operation."""

    key: ApiKey
    actor: Actor

    @property
    def workspace_id(self) -> uuid.UUID:
        workspace_id: uuid.UUID = self.key.workspace_id  # type: ignore[assignment]
        return workspace_id


class Replay(Exception):
    """Not an error: the request was answered before, and this is the answer."""

    def __init__(self, stored: object) -> None:
        super().__init__("replayed")
        self.stored = stored


def keep_instead(response: HttpResponse, body: bytes) -> None:
    """For an answer with a secret shown once: what a repeated request is given in its place.

    The table of answers must not hold a secret that the product itself keeps only a digest of.
    """
    response.kept_body = body  # type: ignore[attr-defined]


def _size(request: HttpRequest) -> int:
    return int(request.META.get("CONTENT_LENGTH") or 0)


class Edge:
    """The request's transaction, from authentication to the finished response."""

    def __init__(self, request: HttpRequest, tally: Tally) -> None:
        """`tally` is that of the block in which the request is answered (config/lib/writing.py)."""
        self.request, self.tally = request, tally
        self.allowance: Allowance | None = None
        self.stack = ExitStack()
        self.whose = ExitStack()
        self.principal: Principal | None = None
        self.idempotency_key: str | None = None
        self.retry = False
        self.open = False

    def enter(self, workspace_id: uuid.UUID) -> None:
        self.stack.enter_context(workspace_scope(workspace_id))
        # Its texts may be read, and its errors told, when the transaction is over.
        self.whose.enter_context(redacting_for(workspace_id))
        self.open = True

    def allow(self, key: ApiKey) -> None:
        """Whether the key may make this request now, and from here on how much it may write. Raises
        TooMany. Beside the request's transaction, so that one that fails counts too."""
        allowance = self.allowance = allowance_of(key)
        if not allowance.spend():
            self.detach()
            lease(key, allowance)
            self.enter(key.workspace_id)  # type: ignore[arg-type]
        size = _size(self.request)
        self.tally.budget = lambda rows: allowance.check_budget(rows, size)

    def count(self, response: HttpResponse) -> None:
        """What came of the request, for the key's day; and what is left, for its answer."""
        if self.allowance is None:
            return
        for name, value in headers(self.allowance).items():
            response[name] = value
        if self.principal is None:
            return
        rows = self.tally.rows if response.status_code < 400 else 0
        size, key = _size(self.request), self.principal.key
        usage.note(self.principal.workspace_id, key.pk, rows=rows, size=size)
        self.allowance.wrote(rows, size)

    def begin_idempotent(self, principal: Principal) -> None:
        """Replay the stored answer, or take the key for this request."""
        key = self.request.headers.get("Idempotency-Key")
        if key is None or self.request.method != "POST":
            return
        request = self.request
        head = f"{request.method} {request.get_full_path()}\n".encode()
        digest = hashlib.sha256(head + request.body).digest()
        stored = idempotency.begin(api_key_id=principal.key.id, key=key, digest=digest)
        if stored is not None:
            raise Replay(stored)
        self.idempotency_key = key

    def leave(self, response: HttpResponse | None) -> None:
        """Commit, or roll back what a failed request did. The connection is free afterwards."""
        if not self.open:
            return
        try:
            if response is None or response.status_code >= 400:
                transaction.set_rollback(True)
            elif self.idempotency_key is not None and self.principal is not None:
                idempotency.finish(
                    api_key_id=self.principal.key.id,
                    key=self.idempotency_key,
                    status=response.status_code,
                    headers={n: response[n] for n in KEPT_HEADERS if n in response},
                    body=getattr(response, "kept_body", response.content),
                )
        except BaseException:
            # An effect without its answer would be done again by the retry.
            transaction.set_rollback(True)
            raise
        finally:
            self.detach()

    def detach(self) -> None:
        """End the authentication's transaction: the operation opens one of its own, later."""
        self.open = False
        self.stack.close()

    def note_use(self) -> None:
        """last_used_at and the agent's last_seen_at, once a minute, after the request's commit.

        In a transaction of its own, and not waited for on disk: a long request must not hold the
        rows that every other request of the same key would write.
        """
        if self.principal is None or room(measure=False).problem:
            return
        key, now = self.principal.key, clock.now()
        if key.last_used_at is not None and now - key.last_used_at < USED_EVERY:
            return
        try:
            with workspace_scope(self.principal.workspace_id):
                set_local("synchronous_commit", "off")
                funnel.touch(key, last_used_at=now)
                mark_seen(key.agent, at=now)
        except DatabaseError as error:
            # The request itself is committed; it must not be answered as a failure for this.
            log.warning("key_use_not_noted", key=str(key.id), error=type(error).__name__)
