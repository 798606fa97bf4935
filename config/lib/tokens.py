"""API tokens: their form, and reading one without a database.

`rmb_<id>_<secret><checksum>`: <id> encodes the workspace and the key, so that the server can enter
the workspace before it looks the key up; <checksum> is the CRC-32 of all before it, so that a
secret scanner (and a person with half a paste) can tell a token from noise offline.
"""

import hashlib
import secrets
import uuid
import zlib
from dataclasses import dataclass

PREFIX = "rmb"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 43  # 32 bytes in base 62
_SECRET_LENGTH = 43  # 32 random bytes
_CHECKSUM_LENGTH = 6  # 4 bytes


@dataclass(frozen=True, slots=True)
class Token:
    workspace_id: uuid.UUID
    key_id: uuid.UUID
    digest: bytes  # SHA-256 of the secret: all that is stored


def make_token(workspace_id: uuid.UUID, key_id: uuid.UUID) -> tuple[str, bytes]:
    """A new token for a key, and the digest to store. The token is not recoverable from it."""
    secret = _encode(secrets.token_bytes(32), _SECRET_LENGTH)
    head = f"{PREFIX}_{_encode(workspace_id.bytes + key_id.bytes, _ID_LENGTH)}_{secret}"
    return head + _checksum(head), digest_of(secret)


def digest_of(secret: str) -> bytes:
    """256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def read_token(text: str) -> Token | None:
    """What a token says, or None for anything that is not one. Proves nothing by itself."""
    head, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    parts = head.split("_")
    if len(parts) != 3 or parts[0] != PREFIX or not head.isascii():
        return None
    if (
        len(parts[1]) != _ID_LENGTH
        or len(parts[2]) != _SECRET_LENGTH
        or _checksum(head) != checksum
    ):
        return None
    ids = _decode(parts[1], 32)
    if ids is None:
        return None
    return Token(uuid.UUID(bytes=ids[:16]), uuid.UUID(bytes=ids[16:]), digest_of(parts[2]))


def _checksum(head: str) -> str:
    return _encode(zlib.crc32(head.encode()).to_bytes(4, "big"), _CHECKSUM_LENGTH)


def _encode(data: bytes, length: int) -> str:
    value, digits = int.from_bytes(data, "big"), []
    for _ in range(length):
        value, digit = divmod(value, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _decode(text: str, size: int) -> bytes | None:
    value = 0
    for character in text:
        digit = _ALPHABET.find(character)
        if digit < 0:
            return None
        value = value * 62 + digit
    try:
        return value.to_bytes(size, "big")
    except OverflowError:
        return None
