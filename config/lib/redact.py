"""Secrets out of text and JSON, before it is stored, indexed, logged, embedded or told in an error.

Two ways: forms that nothing but a secret has (a vendor's prefix, a PEM block, a password in an
address), and keys whose name says that their value is one. A workspace may add patterns of its own
(config/lib/patterns.py). What is found stands as `[REDACTED:kind:hash]`: the hash is keyed by the
installation and the workspace, so the same secret has the same mark there, and nobody can try words
against it. Where no workspace is known it is `[REDACTED:kind]`.

Not for what a person wrote without either: nobody can tell that from words.
"""

import hmac
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import re2
from django.conf import settings

from config.lib.patterns import NOTHING, Extra
from config.lib.redact_named import (
    LONGEST_NAME,
    PAIRS,
    PLACEHOLDER,
    PLAIN,
    VARIABLES,
    is_secret_name,
)
from config.lib.scope import current_workspace_id, in_scope

# Kind, the literals of which one stands in every secret of this form, and the form. No form takes
# more than a bounded number of steps for each place where it may begin: texts come from anybody.
_FORMS: tuple[tuple[str, str, str], ...] = (
    (
        "private-key",
        "PRIVATE KEY",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    # The same in base64, as in a kubeconfig: its words, however they fall on three letters.
    ("private-key", "LS0tLS1CRUdJTi",
     r"LS0tLS1CRUdJTi[0-9A-Za-z+/]{0,40}?(?:UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW)"
     r"[0-9A-Za-z+/]*={0,2}"),
    ("remembrancer-key", "rmb_", r"\brmb_[0-9A-Za-z]{43}_[0-9A-Za-z]{43,49}"),
    ("anthropic-key", "sk-", r"\bsk-ant-[\w-]{16,}"),
    (
        "openai-key",
        "sk-",
        r"(?<![\w-])sk-(?:[0-9a-f]{32,64}\b"
        r"|(?=[\w-]{0,200}?[0-9])(?=[\w-]{0,200}?[A-Z])[\w-]{20,})",
    ),
    ("stripe-key", "k_live_ k_test_ whsec_",
     r"\b(?:[sr]k_(?:live|test)_[0-9A-Za-z]{16,}|whsec_[0-9A-Za-z+/]{24,}={0,2})"),
    ("github-token", "gh github_pat_", r"\b(?:gh[pousr]_[0-9A-Za-z]{30,}|github_pat_\w{22,})"),
    ("gitlab-token", "glpat- glptt- gldt- glrt-", r"\bgl(?:pat|ptt|dt|rt)-[\w-]{20,}"),
    ("aws-key-id", "AKIA ASIA", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("google-key", "AIza", r"\bAIza[\w-]{35}"),
    ("google-secret", "GOCSPX-", r"\bGOCSPX-[\w-]{24,}"),
    ("google-token", "ya29.", r"\bya29\.[\w-]{20,}"),
    ("slack-token", "xox xapp-",
     r"\b(?:xox[a-eoprs]|xapp)-(?=[A-Za-z-]{0,99}[0-9])[0-9A-Za-z-]{10,}"),
    ("slack-webhook", "hooks.slack.com", r"https://hooks\.slack\.com/services/[\w/]{20,}"),
    ("npm-token", "npm_", r"\bnpm_[0-9A-Za-z]{36}\b"),
    ("pypi-token", "pypi-AgEI", r"\bpypi-AgEI[\w-]{50,}"),
    ("hugging-face-token", "hf_", r"\bhf_[0-9A-Za-z]{30,}"),
    ("sendgrid-key", "SG.", r"\bSG\.[\w-]{20,}\.[\w-]{40,}"),
    ("groq-key", "gsk_", r"\bgsk_[0-9A-Za-z]{40,}"),
    ("xai-key", "xai-", r"\bxai-[0-9A-Za-z]{60,}"),
    ("perplexity-key", "pplx-", r"\bpplx-[0-9A-Za-z]{40,}"),
    ("replicate-token", "r8_", r"\br8_[0-9A-Za-z]{36,}"),
    ("digitalocean-token", "_v1_", r"\bdo[opr]_v1_[0-9a-f]{64}"),
    ("shopify-token", "shp", r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("linear-key", "lin_api_", r"\blin_api_[0-9A-Za-z]{32,}"),
    ("vault-token", "hvs.", r"\bhvs\.[\w-]{24,}"),
    ("age-key", "AGE-SECRET-KEY-1", r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    ("jwt", "eyJ", r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
)  # fmt: skip
# Forms of which a part stays: the scheme and the name tell a reader what was there.
_UNMARKED = r"(?!\[REDACTED:)"
_PARTS: tuple[tuple[str, str, str], ...] = (
    # The last `@` before the path ends it: a password may have one.
    (
        "password",
        "://",
        rf"((?:://|:\\/\\/)[^\s:/@\"'<>\[\]]{{0,200}}:){_UNMARKED}([^\s/\"'<>]{{1,500}})(?=@)",
    ),
    # Written into a database's address as it is, with a slash in it.
    (
        "password",
        "sql://",
        r"((?i:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql)(?:\+\w{1,20})?"
        rf"://[^\s:/@\"'<>\[\]]{{0,200}}:){_UNMARKED}"
        r"((?![0-9]{1,5}[/?])[^\s\"'<>@\[]{1,300}+)(?=@[\w.-])",
    ),
    # In place of a name and a password, as in the address of a repository.
    (
        "password",
        "://",
        r"(://)((?=[^\s/@]{0,200}[0-9])(?=[^\s/@]{0,200}[A-Za-z])[0-9A-Za-z_-]{20,200})(?=@)",
    ),
    (
        "password",
        "://",
        r"(%3[Aa]%2[Ff]%2[Ff][^\s/@\"'<>&%]{0,100}%3[Aa])"
        rf"{_UNMARKED}"
        r"((?:[^\s\"'<>&=%]|%(?!40|26)[0-9A-Fa-f]{2}){1,100}+)(?=%40)",
    ),
    (
        "authorization",
        "bearer",
        r"((?i:\b(?:bearer|basic)\s{1,20}))"
        r"((?=[A-Za-z._~+/-]{0,200}[0-9])[A-Za-z0-9._~+/-]{16,}=*|[A-Za-z+/]{24,}=*)",
    ),
    (
        "variable",
        "PASSWORD= PASSWD= SECRET= KEY= TOKEN=",
        rf"((?<![A-Z0-9_])[A-Z0-9_]*(?:{VARIABLES})"
        r"=\\?[\"']?)(?!(?i:your[-_]))([^\s\"'$<{(&;\\\[][^\s\"'&;\\]{7,})",
    ),
)


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


# One look for all of them says which forms are worth one of their own: nearly every text has none.
# RE2 takes 2 ns a character for it, `re` 45.
_BROAD = {
    "gh": r"gh[pousr]_",
    "xox": r"xox[a-eoprs]-",
    "shp": r"shp(?:at|ca|pa|ss)_",
    "://": r":(?://|\\/\\/)|%3[Aa]%2[Ff]%2[Ff]",
    "sql://": r"(?i:sql|postgres|mariadb|mongodb|redis|amqps?)[+\w]*://",
    # A line feed may be written as two letters, where the text is one of JSON.
    "bearer": r"(?i:bearer|basic)(?:\s|\\[nrt])",
}
_BY_HINT: dict[str, list[int]] = {}


# What may stand right before a form, and ends in a letter or digit all the same: a line end that
# is written as two letters, as in JSON and vCards; other escapes of JSON and addresses; the colours
# of a terminal.
_ESCAPES = (
    r"(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})|(?<=\\x[0-9A-Fa-f]{2})|(?<=[0-9\[]m)"
)


def _unbegun(form: str) -> tuple[str, re.Pattern[str] | None]:
    """A form without what must stand before it, and that: it is asked where the form is found,
    since a search for the form alone is quicker."""
    for start in (r"\b", r"(?<![\w-])"):
        for head in ("", "((?i:", "("):
            if form.startswith(head + start):
                return head + form[len(head + start) :], re.compile(f"{start}|{_ESCAPES}")
    return form, None


_ALL: list[Callable[[str], str]] = []
for _kind, _hints, _form in (*_FORMS, *_PARTS):
    for _hint in (_hints,) if _hints == "PRIVATE KEY" else _hints.split(" "):
        _BY_HINT.setdefault(_hint, []).append(len(_ALL))
    _ALL.append(_taker(_kind, *_unbegun(_form), _kind in {kind for kind, _, _ in _PARTS}))
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
_KEY = re.compile(rf'"([\w .-]{{2,{LONGEST_NAME}}})\\*"\s*:')
# A key in JSON that stands in a text, itself perhaps in a text of JSON, with a text as its value.
_KEYED = re.compile(rf'"([\w .-]{{2,{LONGEST_NAME}}})(\\*)"\s*:\s*(?:\[\s*)?\2"')
_VALUE, _ESCAPED_VALUE = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL), re.compile(r'[^"]*')
# The keys of JSON under which what names a `value` beside it may stand.
_NAMING = ("name", "key", "header")
_COOKIES = frozenset({"cookie", "cookies"})
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
# A scheme, a name and a password of one letter each (`://a:b@`).
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
    if len(text) < SHORTEST_SECRET:
        return text
    if '"' in text and _names_one(_KEYED, text):
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
    return sorted({number for hint in _hints_in(text) for number in _OF_HINT[hint]})


def _hints_in(text: str) -> Sequence[int]:
    # A lone surrogate is no part of a secret, and nothing that is stored.
    return _LOOK.Match(text.encode("utf-8", "replace")) or ()


def _names_one(keys: re.Pattern[str], text: str) -> bool:
    return any(is_secret_name(key[1]) for key in keys.finditer(text))


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
    """Nearly every value is, and one look at its text is cheaper than at each part. False where
    one cannot say."""
    if any(True for _ in current_extra().finders(personal=personal)):
        return False
    try:
        return not may_hold_secrets(orjson.dumps(value).decode())
    except (TypeError, UnicodeDecodeError):
        return False


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
    return bool(
        _hints_in(text)
        or ('"' in text and _names_one(_KEY, text))
        or any(True for _ in current_extra().finders(personal=True))
    )


def taken_out(before: Any, after: Any) -> int:
    """How many secrets `redact` took out of a value."""
    if after is before or after == before:
        return 0
    return max(1, str(after).count(BEGINNING) - str(before).count(BEGINNING))
