"""Secrets out of text and JSON, before it is stored, indexed, logged, embedded or told in an error.

Two ways: forms that nothing but a secret has (redact_forms.py), and names that say that their value
is one, in JSON and in plain text (redact_named.py). A workspace may add patterns of its own
(config/lib/patterns.py). What is found stands as `[REDACTED:kind:hash]`: the hash is keyed by the
installation and the workspace, so the same secret has the same mark there, and nobody can try words
against it. Where no workspace is known it is `[REDACTED:kind]`.

Not for what a person wrote without either: nobody can tell that from words.
"""

import hmac
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import re2
from django.conf import settings

from config.lib.patterns import NOTHING, Extra
from config.lib.redact_forms import BROAD, ESCAPES, FORMS, PARTS
from config.lib.redact_named import (
    LONGEST_NAME,
    PAIRS,
    PLACEHOLDER,
    PLAIN,
    is_secret_name,
)
from config.lib.scope import current_workspace_id, in_scope


def _taker(
    kind: str, form: str, begin: re.Pattern[str] | None, keeps_head: bool
) -> Callable[[str], str]:
    wanted = re.compile(form)

    def stand_in(found: re.Match[str]) -> str:
        if begin is not None and not begin.match(found.string, found.start()):
            return found[0]
        return found[1] + mark(kind, found[2]) if keeps_head else mark(kind, found[0])

    return lambda text: wanted.sub(stand_in, text)


def _named_taker(take: Callable[[str, Callable[[str, str], str]], str]) -> Callable[[str], str]:
    return lambda text: take(text, _hidden)


_BY_HINT: dict[str, list[int]] = {}
_BROAD = dict(BROAD)


def _unbegun(form: str) -> tuple[str, re.Pattern[str] | None]:
    """A form without what must stand before it, and that: it is asked where the form is found,
    since a search for the form alone is quicker."""
    for start in (r"\b", r"(?<![\w-])"):
        for head in ("", "((?i:", "("):
            if form.startswith(head + start):
                return head + form[len(head + start) :], re.compile(f"{start}|{ESCAPES}")
    return form, None


_ALL: list[Callable[[str], str]] = []
for _kind, _hints, _form in (*FORMS, *PARTS):
    for _hint in (_hints,) if _hints == "PRIVATE KEY" else _hints.split(" "):
        _BY_HINT.setdefault(_hint, []).append(len(_ALL))
    _ALL.append(_taker(_kind, *_unbegun(_form), _kind in {kind for kind, _, _ in PARTS}))
for _hint, _take in PLAIN.items():
    _BY_HINT[_hint] = [len(_ALL)]
    _BROAD[_hint] = _hint
    _ALL.append(_named_taker(_take))
_BY_HINT[PAIRS] = []
_BROAD[PAIRS] = PAIRS


def _looks() -> Any:
    options = re2.Options()
    # It finds nothing where its automaton has no room.
    options.max_mem = 1 << 26
    made = re2.Set.SearchSet(options)
    for hint in _BY_HINT:
        made.Add(_BROAD.get(hint, re.escape(hint)))
    made.Compile()
    return made


_LOOK, _OF_HINT = _looks(), list(_BY_HINT.values())
# Of these also a number is a secret; of `token` it is a count.
_NUMERIC = re.compile("pass", re.IGNORECASE)
_KEY = re.compile(rf'"([\w .-]{{2,{LONGEST_NAME}}})\\*"(?:\s|\\[nrt])*:')
# A key in JSON that stands in a text, itself perhaps in a text of JSON, with a text as its value.
_KEYED = re.compile(rf'"([\w .-]{{2,{LONGEST_NAME}}})(\\*)"\s*:\s*(?:\[\s*)?\2"')
_VALUE, _ESCAPED_VALUE = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL), re.compile(r'[^"]*')
# The keys of JSON under which what names a `value` beside it may stand.
_NAMING = ("name", "key", "header")
_COOKIES = frozenset({"cookie", "cookies"})
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
# A scheme, a name and a password of one letter each (`://a:b@`). What a workspace looks for beside
# these may be shorter.
SHORTEST_SECRET = 7
BEGINNING = "[REDACTED:"
MARK = re.compile(r"\[REDACTED:[\w .-]{1,60}(?::[0-9a-f]{8})?\]")


# --- Whose secrets they are -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _For:
    workspace_id: uuid.UUID
    extra: Extra | None


_named: ContextVar[_For | None] = ContextVar("redacting_for", default=None)
# (workspace, whether the database may be asked) -> what the workspace added. Set by the app that
# knows workspaces.
_source: Callable[[uuid.UUID, bool], Extra] = lambda workspace_id, ask: NOTHING  # noqa: E731


def find_extra_by(source: Callable[[uuid.UUID, bool], Extra]) -> None:
    global _source
    _source = source


@contextmanager
def redacting_for(workspace_id: uuid.UUID, extra: Extra | None = None) -> Iterator[None]:
    """Whose text it is, where no scope is open yet: a request is read before its work begins. With
    `extra` the database is not asked, whatever thread this is in."""
    token = _named.set(_For(workspace_id, extra))
    try:
        yield
    finally:
        _named.reset(token)


def _whose() -> _For | None:
    named = _named.get()
    if in_scope() and (named is None or named.workspace_id != current_workspace_id()):
        return _For(current_workspace_id(), None)
    return named


def current_extra(*, ask: bool = True) -> Extra:
    """What the workspace at work added; without `ask`, as far as it is known already."""
    whose = _whose()
    if whose is None:
        return NOTHING
    return _source(whose.workspace_id, ask) if whose.extra is None else whose.extra


@lru_cache(maxsize=1024)
def _key(workspace_id: uuid.UUID, secret_key: str) -> bytes:
    return hmac.digest(secret_key.encode(), b"redaction\n" + workspace_id.bytes, "sha256")


def mark(kind: str, secret: str) -> str:
    """What stands for a secret. The same secret has the same one, in one workspace."""
    whose = _whose()
    if whose is None:
        return f"[REDACTED:{kind}]"
    key = _key(whose.workspace_id, settings.SECRET_KEY)
    digest = hmac.digest(key, secret.encode("utf-8", "surrogatepass"), "sha256")
    return f"[REDACTED:{kind}:{digest[:4].hex()}]"


# --- Text -------------------------------------------------------------------------------------


def redact_text(text: str, *, personal: bool = False, ask: bool = True) -> str:
    """`text` without what has a secret's form, and without the values of secret keys of JSON in it,
    though it be cut off. `personal` says that personal data goes too, where the workspace has
    asked for that; without `ask` the database is not asked what it has asked for."""
    if len(text) >= SHORTEST_SECRET:
        if '"' in text and _names_one(text):
            text = _without_named(text)
        for number in _worth_a_look(text):
            text = _ALL[number](text)
    extra = current_extra(ask=ask)
    if extra is NOTHING:
        return text
    for kind, find in extra.finders(personal=personal):
        text = _without_found(text, kind, find)
    return text


def _worth_a_look(text: str) -> list[int]:
    """The forms that may be in it, in their order."""
    hints = _hints_in(text)
    if not hints and '"' not in text:
        _note_clean(text)
    return sorted({number for hint in hints for number in _OF_HINT[hint]})


def _hints_in(text: str) -> Sequence[int]:
    # A lone surrogate is no part of a secret, and nothing that is stored.
    return _LOOK.Match(text.encode("utf-8", "replace")) or ()


def _names_one(text: str) -> bool:
    return any(is_secret_name(key[1]) for key in _KEYED.finditer(text))


def _without_named(text: str) -> str:
    parts: list[str] = []
    done = 0
    for key in _KEYED.finditer(text):
        if key.start() < done or not is_secret_name(key[1]):
            continue
        value = (_ESCAPED_VALUE if key[2] else _VALUE).match(text, key.end())
        assert value is not None  # it may be empty
        said = value[0].rstrip("\\") if key[2] else value[0]
        if said.strip() and not PLACEHOLDER.fullmatch(said):
            parts += [text[done : key.end()], _hidden(key[1], said)]
            done = key.end() + len(said)
    return "".join([*parts, text[done:]])


def _without_found(text: str, kind: str, find: Callable[[str], Iterator[tuple[int, int]]]) -> str:
    """Nothing is looked for in what was redacted already."""
    parts: list[str] = []
    done = 0
    for found in [*MARK.finditer(text), None]:
        piece = text[done : found.start()] if found else text[done:]
        at = 0
        for start, end in find(piece):
            parts += [piece[at:start], mark(kind, piece[start:end])]
            at = end
        parts.append(piece[at:])
        if found:
            parts.append(found[0])
            done = found.end()
    return "".join(parts)


def _hidden(name: str, value: str) -> str:
    return value if MARK.fullmatch(value) else mark(name.lower()[:40], value)


# --- JSON -------------------------------------------------------------------------------------


def redact(value: Any, *, personal: bool = False) -> Any:
    """A JSON value without secrets, by form and by the names of keys. The same one where it has
    none."""
    if isinstance(value, str):
        return redact_text(value, personal=personal)
    if not value or not isinstance(value, (list, dict)) or _is_clean(value, personal):
        return value
    return _walked(value, personal)


def _is_clean(value: Any, personal: bool) -> bool:
    return all_clean([value], personal=personal)


def all_clean(values: Iterable[Any], *, personal: bool = True) -> bool:
    """Whether `redact` would leave all these texts and JSON values as they are. True is certain,
    False is not: nearly all are, and one look at them together is cheaper than at each."""
    if any(True for _ in current_extra().finders(personal=personal)):
        return False
    try:
        texts = [
            value if isinstance(value, str) else orjson.dumps(value).decode() for value in values
        ]
    except (TypeError, UnicodeDecodeError):
        return False
    found = _found_clean.get()
    if found is not None:
        texts = [text for text in texts if text not in found]
    return not texts or not _hinted("\n".join(texts))


_found_clean: ContextVar[set[str] | None] = ContextVar("found_clean", default=None)


@contextmanager
def looking_once(found: set[str] | None = None) -> Iterator[set[str]]:
    """Until the block ends, for this thread of work: a text, or a JSON value's, in which `redact`
    or `may_hold_secrets` found nothing is not looked through again for the row that it is in.
    They are kept in `found`, for a thread that goes on with the same texts."""
    known = set() if found is None else found
    token = _found_clean.set(known)
    try:
        yield known
    finally:
        _found_clean.reset(token)


def _note_clean(text: str) -> None:
    found = _found_clean.get()
    if found is not None:
        found.add(text)


def _walked(value: Any, personal: bool) -> Any:
    if isinstance(value, str):
        return redact_text(value, personal=personal)
    if isinstance(value, list):
        return _listed(value, personal)
    if isinstance(value, dict):
        named = next((value[key] for key in _NAMING if isinstance(value.get(key), str)), "")
        return {
            redact_text(k, personal=personal) if isinstance(k, str) else k: _valued(
                named if k == "value" and is_secret_name(named) else str(k), item, personal
            )
            for k, item in value.items()
        }
    return value


def _listed(items: list[Any], personal: bool) -> list[Any]:
    """A list: a header as a name and its value, or a text line by line, may be one."""
    if len(items) == 2 and isinstance(items[0], str) and is_secret_name(items[0]):
        return [items[0], _valued(items[0], items[1], personal)]
    made = []
    within = False
    for item in items:
        text = item if isinstance(item, str) else ""
        begins = _PEM_BEGIN.search(text) is not None
        ends = _PEM_END.search(text) is not None
        if within and text:
            made.append(mark("private-key", text))
        else:
            made.append(_walked(item, personal))
        within = (within or begins) and not ends and bool(text)
    return made


def _valued(name: str, item: Any, personal: bool) -> Any:
    # A key's value is hidden whole; what stands below an object of that name is looked at itself.
    if name.lower() in _COOKIES and isinstance(item, (list, dict)):
        return _cookies(item)
    if not is_secret_name(name):
        return _walked(item, personal)
    if isinstance(item, list):
        return [_valued(name, one, personal) for one in item]
    if isinstance(item, str) and item.strip() and not PLACEHOLDER.fullmatch(item):
        return _hidden(name, item)
    if _NUMERIC.search(name) and isinstance(item, (int, float)) and not isinstance(item, bool):
        return _hidden(name, str(item))
    return _walked(item, personal)


def _cookies(items: Any) -> Any:
    """A jar: what each is called stays."""
    if isinstance(items, list):
        return [_cookies(one) for one in items]
    if not isinstance(items, dict):
        return _hidden("cookie", items) if isinstance(items, str) and items.strip() else items
    whole = "value" not in items
    return {
        key: _cookies(one) if whole or key == "value" else _walked(one, False)
        for key, one in items.items()
    }


def may_hold_secrets(text: str) -> bool:
    """Whether a line of JSON is worth reading for secrets. False is certain, True is not."""
    if _hinted(text) or any(True for _ in current_extra().finders(personal=True)):
        return True
    _note_clean(text)
    return False


def _hinted(text: str) -> bool:
    return bool(_hints_in(text) or ('"' in text and any(map(is_secret_name, _KEY.findall(text)))))


def taken_out(before: Any, after: Any) -> int:
    """How many secrets `redact` took out of a value."""
    if after is before or after == before:
        return 0
    return max(1, str(after).count(BEGINNING) - str(before).count(BEGINNING))
