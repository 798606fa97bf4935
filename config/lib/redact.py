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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import re2
from django.conf import settings

from config.lib.patterns import NOTHING, Extra
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
     r"\b(?:xox[abeoprs]|xapp)-(?=[A-Za-z-]{0,99}[0-9])[0-9A-Za-z-]{10,}"),
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
# Ends of environment variables' names.
_VARIABLES = "PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY|PRIVATE_KEY|TOKEN"
# Forms of which a part stays: the scheme and the name tell a reader what was there.
_UNMARKED = r"(?!\[REDACTED:)"
_PARTS: tuple[tuple[str, str, str], ...] = (
    (
        "password",
        "://",
        rf"(://[^\s:/@\"'<>]{{0,200}}:){_UNMARKED}([^\s/@\"'<>]{{1,500}})(?=@)",
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
        rf"(\b[A-Z0-9_]*(?:{_VARIABLES})"
        r"=\\?[\"']?)(?!(?i:your[-_]))([^\s\"'$<{(&;\\\[][^\s\"'&;\\]{7,})",
    ),
)
# One look for all of them says which forms are worth one of their own: nearly every text has none.
# RE2 takes 2 ns a character for it, `re` 45.
_BROAD = {
    "gh": r"gh[pousr]_",
    "xox": r"xox[abeoprs]-",
    "shp": r"shp(?:at|ca|pa|ss)_",
    # A line feed may be written as two letters, where the text is one of JSON.
    "bearer": r"(?i:bearer|basic)(?:\s|\\[nrt])",
}
_BY_HINT: dict[str, list[int]] = {}


def _begun(form: str) -> str:
    """A form that begins a word, or stands behind a line end that is written as two letters, as in
    JSON and vCards: the second one is no letter of the word's."""
    for start in (r"\b", r"(?<![\w-])"):
        for head in ("", "((?i:", "("):
            if form.startswith(head + start):
                return rf"{head}(?:{start}|(?<=\\[nrt])){form[len(head + start) :]}"
    return form


_ALL: list[tuple[str, re.Pattern[str], bool]] = []
for _kind, _hints, _form in (*_FORMS, *_PARTS):
    for _hint in (_hints,) if _hints == "PRIVATE KEY" else _hints.split(" "):
        _BY_HINT.setdefault(_hint, []).append(len(_ALL))
    _ALL.append((_kind, re.compile(_begun(_form)), _kind in {kind for kind, _, _ in _PARTS}))


def _looks() -> Any:
    made = re2.Set.SearchSet(re2.Options())
    for hint in _BY_HINT:
        made.Add(_BROAD.get(hint, re.escape(hint)))
    made.Compile()
    return made


_LOOK, _OF_HINT = _looks(), list(_BY_HINT.values())
# Names, however their words are joined: `input_tokens` and `session_id` are none. Of the second
# kind are also those that say whose it is: DB_PASSWORD, stripeApiKey.
_WHOLE = (
    "authorization", "bearer token", "cookie", "credentials", "csrf token", "id token", "mysql pwd",
    "proxy authorization", "set cookie", "token",
)  # fmt: skip
_ENDINGS = (
    "access key", "access token", "api key", "api token", "auth token", "bot token",
    "client secret", "github token", "gitlab token", "oauth token", "passphrase", "passwd",
    "password", "private key", "refresh token", "secret", "secret key", "session token",
    "slack token",
)  # fmt: skip


def _joined(names: tuple[str, ...]) -> str:
    return "|".join(name.replace(" ", "[-_ .]?") for name in names)


_NAME = re.compile(
    rf"(?i:{_joined(_WHOLE)}|(?:[\w .-]{{0,60}}[-_ .])?(?:{_joined(_ENDINGS)}))"
    rf"|[A-Z0-9_]{{0,60}}(?:{_VARIABLES})"
    rf"|[\w.-]{{0,60}}[a-z0-9](?:{'|'.join(n.title().replace(' ', '') for n in _ENDINGS)})"
)
LONGEST_NAME = 120
# Of these also a number is a secret; of `token` it is a count.
_NUMERIC = re.compile("pass", re.IGNORECASE)
_KEY = re.compile(rf'"([\w .-]{{2,{LONGEST_NAME}}})\\*"\s*:')
# A key in JSON that stands in a text, itself perhaps in a text of JSON, with a text as its value.
_KEYED = re.compile(rf'"([\w .-]{{2,{LONGEST_NAME}}})(\\*)"\s*:\s*\2"')
_VALUE, _ESCAPED_VALUE = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL), re.compile(r'[^"]*')
# What stands where a value would: a type, the name of what belongs there, a sign in a table of
# signs. Manuals are full of them.
_PLACEHOLDER = re.compile(
    r"(?i:(?:string|boolean|number|object|any|none|null|true|false)\??"
    r"|(?:basic |bearer )?(?:<[^<>]{1,40}>:?){1,3}|\$\{?\w{1,60}\}?|\{\{[^{}]{1,60}\}\}"
    r"|your[-_ ](?:\w{1,20}[-_ ])?(?:key|token|secret|password)(?:[-_ ]here)?|[^\x00-\x7f])"
)
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
        kind, form, keeps_head = _ALL[number]
        text = form.sub(_stand_in(kind, keeps_head), text)
    extra = current_extra(ask=ask)
    if extra is NOTHING:
        return text
    for kind, find in extra.finders(personal=personal):
        text = _without_found(text, kind, find)
    return text


def _worth_a_look(text: str) -> list[int]:
    """The forms that may be in it, in their order."""
    # A lone surrogate is no part of a secret, and nothing that is stored.
    hints = _LOOK.Match(text.encode("utf-8", "replace")) or ()
    return sorted({number for hint in hints for number in _OF_HINT[hint]})


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
        if said.strip() and not _PLACEHOLDER.fullmatch(said):
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


def _stand_in(kind: str, keeps_head: bool) -> Callable[[re.Match[str]], str]:
    if keeps_head:
        return lambda found: found[1] + mark(kind, found[2])
    return lambda found: mark(kind, found[0])


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
        return [_walked(item, personal) for item in value]
    if isinstance(value, dict):
        return {
            redact_text(k, personal=personal) if isinstance(k, str) else k: _valued(
                str(k), item, personal
            )
            for k, item in value.items()
        }
    return value


def _valued(name: str, item: Any, personal: bool) -> Any:
    # A key's value is hidden whole; what stands below an object of that name is looked at itself.
    if not is_secret_name(name):
        return _walked(item, personal)
    if isinstance(item, list):
        return [_valued(name, one, personal) for one in item]
    if isinstance(item, str) and item.strip() and not _PLACEHOLDER.fullmatch(item):
        return _hidden(name, item)
    if _NUMERIC.search(name) and isinstance(item, (int, float)) and not isinstance(item, bool):
        return _hidden(name, str(item))
    return _walked(item, personal)


def is_secret_name(name: str) -> bool:
    return len(name) <= LONGEST_NAME and _is_secret(name)


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def may_hold_secrets(text: str) -> bool:
    """Whether a line of JSON is worth reading for secrets. False is certain, True is not."""
    return bool(
        _worth_a_look(text)
        or ('"' in text and _names_one(_KEY, text))
        or any(True for _ in current_extra().finders(personal=True))
    )


def taken_out(before: Any, after: Any) -> int:
    """How many secrets `redact` took out of a value."""
    if after is before or after == before:
        return 0
    return max(1, str(after).count(BEGINNING) - str(before).count(BEGINNING))
