"""Secrets out of text and JSON, before it is stored, indexed, logged or embedded.

Two ways: forms that nothing but a secret has (a vendor's prefix, a PEM block, a password in an
address), and keys whose name says that their value is one. What is found stands as
`[REDACTED:kind]`. Not for what a person wrote without either: nobody can tell that from words.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_FORMS: tuple[tuple[str, str], ...] = (
    (
        "private-key",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    ),
    ("remembrancer-key", r"\brmb_[0-9A-Za-z]{43}_[0-9A-Za-z]{43,49}"),
    ("anthropic-key", r"\bsk-ant-[\w-]{16,}"),
    ("openai-key", r"\bsk-(?=[\w-]*[0-9])(?=[\w-]*[A-Z])[\w-]{20,}"),
    ("stripe-key", r"\b[sr]k_(?:live|test)_[0-9A-Za-z]{16,}"),
    ("github-token", r"\b(?:gh[pousr]_[0-9A-Za-z]{30,}|github_pat_\w{22,})"),
    ("gitlab-token", r"\bgl(?:pat|ptt|dt|rt)-[\w-]{20,}"),
    ("aws-key-id", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("google-key", r"\bAIza[\w-]{35}"),
    ("google-token", r"\bya29\.[\w-]{20,}"),
    ("slack-token", r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}"),
    ("slack-webhook", r"https://hooks\.slack\.com/services/[\w/]{20,}"),
    ("npm-token", r"\bnpm_[0-9A-Za-z]{36}\b"),
    ("pypi-token", r"\bpypi-AgEI[\w-]{50,}"),
    ("hugging-face-token", r"\bhf_[0-9A-Za-z]{30,}"),
    ("sendgrid-key", r"\bSG\.[\w-]{20,}\.[\w-]{40,}"),
    ("jwt", r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
)  # fmt: skip
# Ends of environment variables' names.
_VARIABLES = "PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY|PRIVATE_KEY|TOKEN"
# Forms of which a part stays: the scheme and the name tell a reader what was there.
_PARTS: tuple[tuple[str, str], ...] = (
    ("password", r"(://[^\s:/@\"'<>]{0,200}:)[^\s/@\"'<>]{1,500}(?=@)"),
    ("authorization", r"(?i:(\b(?:bearer|basic)\s+))[A-Za-z0-9._~+/-]{16,}=*"),
    (
        "variable",
        rf"(\b[A-Z0-9_]*(?:{_VARIABLES})"
        r"=\\?[\"']?)[^\s\"'$<{(&;\\\[][^\s\"'&;\\]{7,}",
    ),
)
# A look that nearly every text fails, before each form is looked for by itself. It begins with a
# class of what is rare in texts, so that `re` skips the rest: 10 ns a character of prose, 30 where
# each alternative begins with its own letter.
_HINT = re.compile(
    r"[-:_.=AKJbB](?:"
    r"(?<=:)//[^\s:/@\"'<>]*+:[^\s/@\"'<>]++@|(?<=PRIVATE K)EY|(?<=A)(?:KIA|SIA|Iza)|(?<=eyJ)|"
    r"(?<=sk-)|(?<=glpat-)|(?<=glptt-)|(?<=gldt-)|(?<=glrt-)|(?<=xox[abeoprs]-)|(?<=pypi-)AgEI|"
    r"(?<=[rs]k_)(?:live|test)_|(?<=gh[pousr]_)|(?<=github_)pat_|(?<=rmb_)|(?<=npm_)|(?<=hf_)|"
    r"(?<=ya29\.)|(?<=SG\.)|(?<=hooks\.)slack\.com|"
    r"(?<=PASSWORD=)|(?<=PASSWD=)|(?<=SECRET=)|(?<=KEY=)|(?<=TOKEN=)|"
    r"(?<=[bB])(?i:earer|asic)[\s\\])"
)
_ALL = [
    *((kind, re.compile(form), False) for kind, form in _FORMS),
    *((kind, re.compile(form), True) for kind, form in _PARTS),
]
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


def redact_text(text: str) -> str:
    """`text` without what has a secret's form, and without the values of secret keys of JSON in it,
    though it be cut off."""
    if _names_one(_KEYED, text):
        text = _without_named(text)
    if not _hinted(text):
        return text
    for kind, form, keeps_head in _ALL:
        text = form.sub(_stand_in(kind, keeps_head), text)
    return text


def _hinted(text: str) -> bool:
    return _HINT.search(text) is not None


def _names_one(keys: re.Pattern[str], text: str) -> bool:
    return '"' in text and any(is_secret_name(key[1]) for key in keys.finditer(text))


def _without_named(text: str) -> str:
    parts: list[str] = []
    done = 0
    for key in _KEYED.finditer(text):
        if key.start() < done or not is_secret_name(key[1]):
            continue
        value = (_ESCAPED_VALUE if key[2] else _VALUE).match(text, key.end())
        assert value is not None  # it may be empty
        said = value[0].rstrip("\\") if key[2] else value[0]
        if said.strip():
            parts += [text[done : key.end()], _hidden(key[1])]
            done = key.end() + len(said)
    return "".join([*parts, text[done:]])


def _hidden(name: str) -> str:
    return f"[REDACTED:{name.lower()[:40]}]"


def _stand_in(kind: str, keeps_head: bool) -> Callable[[re.Match[str]], str]:
    return lambda found: (found[1] if keeps_head else "") + f"[REDACTED:{kind}]"


def redact(value: Any) -> Any:
    """A copy of a JSON value without secrets, by form and by the names of keys."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, list):
        return [redact(item) for item in value]
    if isinstance(value, dict):
        return {redact_text(str(k)): _valued(str(k), item) for k, item in value.items()}
    return value


def _valued(name: str, item: Any) -> Any:
    # A key's value is hidden whole; what stands below an object of that name is looked at itself.
    if not is_secret_name(name):
        return redact(item)
    if isinstance(item, list):
        return [_valued(name, one) for one in item]
    if isinstance(item, str) and item.strip():
        return _hidden(name)
    if _NUMERIC.search(name) and isinstance(item, (int, float)) and not isinstance(item, bool):
        return _hidden(name)
    return redact(item)


def is_secret_name(name: str) -> bool:
    return len(name) <= LONGEST_NAME and _is_secret(name)


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def may_hold_secrets(text: str) -> bool:
    """Whether a line of JSON is worth reading for secrets. False is certain, True is not."""
    return _hinted(text) or _names_one(_KEY, text)
