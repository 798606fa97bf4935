"""Secrets out of text and JSON, before it is stored, indexed, logged or embedded.

Two ways: forms that nothing but a secret has (a vendor's prefix, a PEM block, a password in an
address), and keys whose name says that their value is one. What is found stands as
`[REDACTED:kind]`. Not for what a person wrote without either: nobody can tell that from words.
"""

import re
from collections.abc import Callable
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
# Forms of which a part stays: the scheme and the name tell a reader what was there.
_PARTS: tuple[tuple[str, str], ...] = (
    ("password", r"(://[^\s:/@\"'<>]{0,200}:)[^\s/@\"'<>]{1,500}(?=@)"),
    ("authorization", r"(?i:(\b(?:bearer|basic)\s+))[A-Za-z0-9._~+/-]{16,}=*"),
    (
        "variable",
        r"(\b[A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY|PRIVATE_KEY|TOKEN)"
        r"=\\?[\"']?)[^\s\"'$<{(&;\\\[][^\s\"'&;\\]{7,}",
    ),
)
# Two looks that nearly every text fails, before each form is looked for by itself. Where every
# alternative begins with a letter of its own, `re` skips what begins with none: 10 ns a character
# for both, 45 with a class or a flag among them.
_HINT = re.compile(
    r"PRIVATE KEY|rmb_|sk-|sk_live_|sk_test_|rk_live_|rk_test_|gh[pousr]_|github_pat_|"
    r"gl(?:pat|ptt|dt|rt)-|AKIA|ASIA|AIza|ya29\.|xox[abeoprs]-|hooks\.slack\.com|npm_|pypi-AgEI|"
    r"hf_|SG\.|eyJ|://|PASSWORD=|PASSWD=|SECRET=|KEY=|TOKEN="
)
_SCHEME = re.compile(r"(?:bearer|basic)\s", re.IGNORECASE)
_ALL = [
    *((kind, re.compile(form), False) for kind, form in _FORMS),
    *((kind, re.compile(form), True) for kind, form in _PARTS),
]
# Whole names, however their words are joined: `input_tokens` and `session_id` are none.
_NAMES = (
    "access key", "access token", "api key", "api token", "authorization", "auth token",
    "aws secret access key", "bearer token", "client secret", "cookie", "credentials",
    "csrf token", "id token", "mysql pwd", "passphrase", "passwd", "password", "private key",
    "proxy authorization", "refresh token", "secret", "secret access key", "secret key",
    "set cookie", "token", "x api key",
)  # fmt: skip
_JOINED = "|".join(name.replace(" ", "[-_ .]?") for name in _NAMES)
_NAME = re.compile(_JOINED, re.IGNORECASE)
# Such a key in a line of JSON, with a text as its value.
_NAMED = re.compile(rf'"(?:{_JOINED})\\?"\s*:\s*\\?"', re.IGNORECASE)


def redact_text(text: str) -> str:
    """`text` without what has a secret's form."""
    if not _hinted(text):
        return text
    for kind, form, keeps_head in _ALL:
        text = form.sub(_stand_in(kind, keeps_head), text)
    return text


def _hinted(text: str) -> bool:
    return bool(_HINT.search(text) or _SCHEME.search(text))


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
    if isinstance(item, str) and item.strip() and is_secret_name(name):
        return f"[REDACTED:{name.lower()[:40]}]"
    return redact(item)


def is_secret_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def may_hold_secrets(text: str) -> bool:
    """Whether a line of JSON is worth reading for secrets. False is certain, True is not."""
    return _hinted(text) or _NAMED.search(text) is not None
