"""The digests that make Revisions tamper-evident. Pure functions of rows; nothing is written here.

A Revision's digest is SHA-256(salt + canonical JSON of its content). The salt is 16 random bytes:
without it the digest of an erased body says nothing of what the body was. A seal's digest is
SHA-256(previous seal's digest + canonical JSON of its head + the members' digests in the order of
their ids); the first seal's previous digest is 32 zero bytes.

Canonical JSON has sorted keys, no white space, UTF-8, and numbers by their value: PostgreSQL's
jsonb gives 1e16 back as 10000000000000000, and both must have one digest.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

from contacts.models import Revision, RevisionSeal

SALT_BYTES = 16
FIRST = bytes(32)
# All that a Revision says; `seal` and `erased_at` are about the record, not part of it.
_CONTENT = (
    "id", "workspace_id", "created_at", "actor_kind", "actor_id", "actor_label", "channel",
    "request_id", "model", "object_id", "action", "before", "after", "reason",
)  # fmt: skip
_SORTED = tuple(sorted(_CONTENT))
# What is told as it is; nearly all values are.
_AS_IT_IS = frozenset({str, bool, type(None)})


def new_salt() -> bytes:
    return os.urandom(SALT_BYTES)


def revision_digest(revision: Revision, salt: bytes) -> bytes:
    """32 bytes. Of the row as it is in memory, before or after it was stored."""
    return content_digest(revision.__dict__, salt)


def content_digest(
    values: Mapping[str, Any], salt: bytes, told: Mapping[str, Any] | None = None
) -> bytes:
    """The same of a Revision's values by the names of its columns. `told` is `told_of` some of
    them, for whoever has many Revisions that say the same there."""
    # As `_plain` tells an object of these keys, in their order.
    known = told or {}
    said = [[name, known[name] if name in known else _plain(values[name])] for name in _SORTED]
    return hashlib.sha256(salt + _spelled(said)).digest()


def told_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a Revision as its digest is made of them."""
    return {name: _plain(value) for name, value in values.items() if name in _CONTENT}


def seal_digest(seal: RevisionSeal, members: Iterable[bytes]) -> bytes:
    """32 bytes. `members` are the Revisions' digests in the order of their ids."""
    head = {
        "workspace_id": seal.workspace_id,
        "position": seal.position,
        "count": seal.count,
        "sealed_at": seal.sealed_at,
    }
    summed = hashlib.sha256(bytes(seal.previous) + canonical(head))
    for digest in members:
        summed.update(digest)
    return summed.digest()


def canonical(value: Any) -> bytes:
    """One spelling of a JSON value, whichever way it went through the database."""
    return _spelled(_plain(value))


def _spelled(told: Any) -> bytes:
    try:
        return orjson.dumps(told)
    except TypeError:
        # Nested more deeply than orjson writes; its bytes are the same.
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    """Of it nothing is left but texts, truth values, nulls, lists, and objects of one key."""
    if type(value) in _AS_IT_IS or isinstance(value, str):
        return value
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (int, float)):
        return {"number": _number(value)}
    if isinstance(value, dict):
        # Pairs: no object of the caller's can look like the two kinds of mark used here.
        return [
            [str(key), one if type(one := value[key]) in _AS_IT_IS else _plain(one)]
            for key in (sorted(value, key=str) if len(value) > 1 else value)
        ]
    if isinstance(value, (list, tuple)):
        return {"list": [_plain(item) for item in value]}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value)


@lru_cache(maxsize=4096)
def _number(value: int | float) -> str:
    """Its digits without trailing zeros and the power of ten: 150.0 is 15e1."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    if not text:
        return "0e0"
    shorter = text.rstrip("0")
    return f"{'-' if sign else ''}{shorter}e{int(exponent) + len(text) - len(shorter)}"
