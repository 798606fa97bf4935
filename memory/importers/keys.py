"""Keys for rows that their source gives none: by what they are, and fit for `external_id`."""

import hashlib

from memory.importers.storable import Storable

MAX_KEY = 200


def digest(*parts: str) -> str:
    """64 bits of the SHA-256 of some texts, in hex: enough to tell a source's rows apart."""
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()[:16]


def row_key(*parts: str) -> str:
    """`parts` as one key: as they are where that can be stored and is short, else with a digest."""
    text = "/".join(parts)
    clean = Storable().text(text)
    if clean == text and len(text) <= MAX_KEY:
        return text
    return f"{clean[: MAX_KEY - 17]}~{digest(*parts)}"


class Seen:
    """Which keys have come before, in a few dozen bytes each."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def again(self, *parts: str) -> bool:
        """Whether they have come before; they have from now on."""
        one = bytes.fromhex(digest(*parts))
        if one in self._seen:
            return True
        self._seen.add(one)
        return False
