"""Requests that may be sent twice: the first one's answer is kept and given again.

The row is written in the request's own transaction. A second request with the same key waits on
the row's unique index until the first has committed (then it is given the answer) or rolled back
(then it does the work itself). Failed requests leave nothing, so they can be repeated.
"""

import uuid
from collections.abc import Mapping

from django.db import connection

from config.lib import clock
from config.lib.errors import Invalid
from config.lib.ids import new_id
from config.lib.redact import redact, redact_text
from config.lib.scope import current_workspace_id
from contacts.models import IdempotencyKey

MAX_LENGTH = 255


def begin(*, api_key_id: uuid.UUID, key: str, digest: bytes) -> IdempotencyKey | None:
    """None when the work is this request's to do; the stored answer when it was done before.

    `digest` is the SHA-256 of the method, path and body. Invalid when the key was used for
    another request.
    """
    if not 0 < len(key) <= MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise Invalid({"Idempotency-Key": f"must be 1 to {MAX_LENGTH} printable ASCII characters"})
    key = redact_text(key)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO contacts_idempotencykey "
            "(id, workspace_id, created_at, api_key_id, key, digest, headers, body) "
            "VALUES (%s, %s, %s, %s, %s, %s, '{}', '') "
            "ON CONFLICT (workspace_id, api_key_id, key) DO NOTHING",
            [new_id(), current_workspace_id(), clock.now(), api_key_id, key, digest],
        )
        if cursor.rowcount == 1:
            return None
    stored = IdempotencyKey.objects.get(api_key_id=api_key_id, key=key)
    if bytes(stored.digest) != digest:
        raise Invalid(
            {"Idempotency-Key": "was used for another request; use a new key for a new request"}
        )
    return stored


def finish(
    *, api_key_id: uuid.UUID, key: str, status: int, headers: Mapping[str, str], body: bytes
) -> None:
    """Keep the answer beside the effect, without secrets: what a ping channel is for, for one."""
    IdempotencyKey.objects.filter(api_key_id=api_key_id, key=redact_text(key)).update(
        status=status,
        headers=redact(dict(headers)),
        body=redact_text(body.decode("utf-8", "surrogateescape")).encode(
            "utf-8", "surrogateescape"
        ),
    )
