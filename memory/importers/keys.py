"""Keys for rows that their source gives none: by what they are, and fit for `external_id`."""

import hashlib
import re
from dataclasses import replace

from config.lib.redact import redact_text
from config.lib.shorten import before_secret
from memory.importers.problems import Code, Finding
from memory.importers.rows import Appended, Draft, Entry, Ref
from memory.importers.storable import Storable
from sessions.services.events import NewEvent
from sessions.services.threads import NewMessage

MAX_KEY = 200
# What the columns take: external_id, dedupe_key and native_uuid.
MAX_EXTERNAL, MAX_DEDUPE, MAX_NATIVE = 300, 200, 120
# What no secret looks like: a number, a date, a UUID.
_PLAIN = re.compile(r"(?:T-)?[0-9a-fA-F:TZ-]{0,40}")


def digest(*parts: str) -> str:
    """64 bits of the SHA-256 of some texts, in hex: enough to tell a source's rows apart."""
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()[:16]


def row_key(*parts: str) -> str:
    """`parts` as one key: as they are where that can be stored and is short, else with a digest."""
    return _fitted("/".join(parts), MAX_KEY, *parts)


def fitted_key(text: str, limit: int = MAX_EXTERNAL) -> str:
    """A source's own key, as it is where that can be stored, else with a digest. Without secrets,
    as the write funnel would have it: it is looked up as it is written."""
    return text if _is_plain(text) else _fitted(redact_text(text), limit, text)


def with_fitted_keys(entry: Entry) -> Entry:
    """An entry whose every key can be stored and looked up by. One that has no key of its own
    would come again with the next run, so nothing of it is written."""
    if not entry.key.strip() and (entry.drafts or entry.appended):
        entry.appended = []
        entry.findings.append(Finding(Code.REFUSED, "it has no id", "skipped"))
    for draft in entry.drafts:
        _fit_draft(draft)
    if not all(map(_has_plain_keys, entry.appended)):
        entry.appended = [_fit_appended(one) for one in entry.appended]
    return entry


def _fit_draft(draft: Draft) -> None:
    draft.key = fitted_key(draft.key)
    draft.agent = fitted_key(draft.agent, MAX_NATIVE)
    for name in draft.natural:
        if isinstance(value := draft.values.get(name), str):
            draft.values[name] = fitted_key(value)
    for name, ref in draft.refs.items():
        draft.refs[name] = _fit_ref(ref)
    if not all(_is_plain(link.target) for link in draft.links):
        draft.links = [replace(link, target=fitted_key(link.target)) for link in draft.links]


def _fit_appended(one: Appended) -> Appended:
    return replace(
        one,
        to=_fit_ref(one.to),
        rows=tuple(_fit_row(row) for row in one.rows),
        session=one.session and _fit_ref(one.session),
    )


def _fit_ref(ref: Ref) -> Ref:
    key = fitted_key(ref.key)
    return ref if key == ref.key else Ref(ref.model, key)


def _has_plain_keys(one: Appended) -> bool:
    return _is_plain(one.to.key) and all(
        _is_plain(row.dedupe_key if isinstance(row, NewEvent) else row.native_uuid)
        for row in one.rows
    )


def _fit_row(row: NewEvent | NewMessage) -> NewEvent | NewMessage:
    if isinstance(row, NewEvent):
        return replace(row, dedupe_key=fitted_key(row.dedupe_key, MAX_DEDUPE))
    return replace(row, native_uuid=fitted_key(row.native_uuid, MAX_NATIVE))


def _is_plain(text: str) -> bool:
    """Whether it can be stored as it is, and is surely no secret."""
    return _PLAIN.fullmatch(text) is not None


def _fitted(text: str, limit: int, *parts: str) -> str:
    clean = Storable().text(text)
    if clean == text and len(text) <= limit:
        return text
    return f"{before_secret(clean, limit - 17)}~{digest(*parts)}"


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
