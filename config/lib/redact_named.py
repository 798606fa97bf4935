"""What names say: whose value is a secret, in JSON, and in plain text by the same names.

In JSON a name alone is enough. In plain text, where words stand beside names for many reasons, the
value must look like one too: as HTTP headers write it, or with letters and digits in it, after `=`,
`:` or a flag (`aws_secret_access_key = wJalr...`, `?api_key=...`, `--password hunter22`). Pure
functions; what stands for a secret is the caller's (config/lib/redact.py).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import re2

# Ends of environment variables' names.
VARIABLES = "PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY|PRIVATE_KEY|TOKEN"
# Names, however their words are joined: `input_tokens` and `session_id` are none. Of the second
# kind are also those that say whose it is: DB_PASSWORD, stripeApiKey.
_WHOLE = (
    "authorization", "bearer token", "cookie", "credentials", "csrf token", "id token", "mysql pwd",
    "proxy authorization", "set cookie", "token",
)  # fmt: skip
_ENDINGS = (
    "access key", "access token", "account key", "api key", "api token", "auth token", "bot token",
    "client secret", "github token", "gitlab token", "oauth token", "passphrase", "passwd",
    "password", "private key", "refresh token", "secret", "secret key", "session token",
    "slack token",
)  # fmt: skip


def _joined(names: tuple[str, ...]) -> str:
    return "|".join(name.replace(" ", "[-_ .]?") for name in names)


_NAME = re.compile(
    # What is done with one: a page, a limit, a right.
    r"(?!(?i:(?:change|forgot|reset)[-_ .]?password)\Z)"
    rf"(?:(?i:{_joined(_WHOLE)}|(?:[\w .-]{{0,60}}[-_ .])?(?:{_joined(_ENDINGS)}))"
    rf"|[A-Z0-9_]{{0,60}}(?:{VARIABLES})"
    rf"|[\w.-]{{0,60}}[a-z0-9](?:{'|'.join(n.title().replace(' ', '') for n in _ENDINGS)}))"
)
LONGEST_NAME = 120
# What stands where a value would: a type, the name of what belongs there, a sign in a table of
# signs. Manuals are full of them.
PLACEHOLDER = re.compile(
    r"(?i:(?:string|boolean|number|object|any|none|null|true|false)\??"
    r"|(?:basic |bearer )?(?:<[^<>]{1,40}>:?){1,3}|\$\{?\w{1,60}\}?|\{\{[^{}]{1,60}\}\}"
    r"|your[-_ ](?:\w{1,20}[-_ ])?(?:key|token|secret|password)(?:[-_ ]here)?|[^\x00-\x7f])"
)
_BEGUN = "[REDACTED:"
_YOURS = re.compile(r"(?i:your[-_])")

# (name, value) -> what stands in the value's place.
Mark = Callable[[str, str], str]


def is_secret_name(name: str) -> bool:
    return len(name) <= LONGEST_NAME and _is_secret(name)


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


# --- Plain text -------------------------------------------------------------------------------

_WORDS = (
    r"(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|secret[_-]?key"
    r"|account[_-]?key)"
)
_LIKE_ONE = r"[^\s\"'`&;,<>(){}\[\]$\\|]"
_BETWEEN = r"(?:[\"']|%22)?\s{0,3}(?:[:=]|=>|%3[ad])\s{0,3}(?:\\?[\"'`]|%22)?"
# `password=...`, `"password" => "..."`, `--password ...`; what stands before the word is looked at
# where one is found, since RE2 looks for them all at once.
_ASSIGNED = re2.compile(rf"(?i)({_WORDS})({_BETWEEN}|\s{{1,3}}[\"']?)({_LIKE_ONE}{{8,}})")
# What belongs to the name before it, not to an escape of JSON, of an address or of a terminal.
_BEFORE = re.compile(
    r"(?:\\(?:[nrt]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})|%[0-9A-Fa-f]{2}|\[[0-9;]{0,9}m)?([\w.-]{0,60})\Z"
)
# A call, an index or a longer name follows: it is code.
_GOES_ON = re.compile(r"[\w(\[{$|]")
_QUOTED = re.compile(r"(?<![\w\\])'([\w .-]{2,60})'(\s{0,3}:\s{0,3})'((?:[^'\\\n]|\\.){1,500})'")
_HEADER = re.compile(
    r"(?<!\[REDACTED:)(?<!\[REDACTED:proxy-)(?i:\b((?:proxy-)?authorization))([\"']?\s{0,3}[:=]\s{0,3}[\"']?)"
    r"(?:((?i:basic)\s{1,3})([A-Za-z0-9+/]{8,2000}={0,2})(?![\w(\[{.])"
    r"|((?i:(?:bearer|token|api-?key|key|digest|negotiate|ntlm|bot)\s{1,3})?)"
    r"((?=[^\s\"',;<>$\\(){}\[\]]{0,200}[0-9])[^\s\"',;<>$\\(){}\[\]]{8,2000}+)(?![\w(\[{.]))"
)
_COOKIES = re.compile(
    r"(?<!\[REDACTED:)(?<!\[REDACTED:set-)(?i:\b((?:set-)?cookie2?))([\"']?\s{0,3}:\s{0,3}(?:\[\s{0,3})?\\?[\"']?)"
    r"([^\s=;:,\"'<>]{1,200}=[^\r\n\"'<>\\]{1,4000})"
)
_COOKIE = re.compile(r"([^\s=;]{1,200})=([^\s=;][^\s;]{3,4000})")
_ATTRIBUTES = frozenset({"path", "domain", "expires", "max-age", "samesite", "priority", "version"})
_CURL = re.compile(r"(?:\b|(?<=\\[nrt]))curl\b[^\n|;]{1,400}")
_USER = re.compile(r"(\s(?:-u|--user)[ =]?[\"']?[^\s:\"'$<{]{1,64}:)([^\s\"'$<{]{6,200})")
# As HAR files, Kubernetes and tables of settings have it: the name is a value itself.
_PAIRED = re.compile(
    r"((?:\\*\"|\b)(?:name|key|header)(\\*\"|)\s{0,3}:\s{0,3}[\\\"']{0,8})([\w .-]{2,60})"
    r"([\\\"']{0,8},?\s{1,40}[\\\"']{0,8}value[\\\"']{0,8}\s{0,3}:\s{0,3}[\\\"']{0,8})"
    r"([^\s\"'\\,}][^\"'\\\r\n]{3,2000})"
)


def _has_both(value: str) -> bool:
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def _assigned(text: str, mark: Mark) -> str:
    parts: list[str] = []
    done = 0
    for word, between, (start, end) in _found(_ASSIGNED, text):
        secret = text[start:end].split("%22")[0].split("%26")[0]
        if start < done or not _is_value(secret, text[end : end + 1]):
            continue
        head = _BEFORE.search(text, max(0, word[0] - 60), word[0])
        name = (head[1] if head else "") + text[word[0] : word[1]]
        plain = text[between[0] : between[1]].strip().strip("\"'")
        if not plain and not name.startswith("-"):
            continue
        if text.endswith(_BEGUN, 0, word[1] - len(name)):
            continue  # a mark's own kind and hash
        name = name.lstrip("-.")
        if is_secret_name(name):
            parts += [text[done:start], mark(name, secret)]
            done = start + len(secret)
    return "".join([*parts, text[done:]])


def _found(form: Any, text: str) -> Iterator[Sequence[tuple[int, int]]]:
    try:
        for found in form.finditer(text):
            yield [found.span(1), found.span(2), found.span(3)]
    except UnicodeEncodeError:
        return  # a lone surrogate: no such text is stored


def _is_value(value: str, following: str) -> bool:
    if len(value) < 8 or not _has_both(value) or _GOES_ON.match(following):
        return False
    return not PLACEHOLDER.fullmatch(value) and not _YOURS.match(value)


def _quoted(text: str, mark: Mark) -> str:
    def hide(found: re.Match[str]) -> str:
        name, between, value = found.groups()
        if not is_secret_name(name) or not value.strip() or PLACEHOLDER.fullmatch(value):
            return found[0]
        return f"'{name}'{between}'{mark(name, value)}'"

    return _QUOTED.sub(hide, text)


def _headers(text: str, mark: Mark) -> str:
    def hide(found: re.Match[str]) -> str:
        head = found[1] + found[2] + (found[3] or found[5] or "")
        return head + mark(found[1], found[4] or found[6])

    return _HEADER.sub(hide, text)


def _cookies(text: str, mark: Mark) -> str:
    """Of each cookie its value, where one of them looks like a secret; not what else they say."""

    def one(found: re.Match[str]) -> str:
        if found[1].lower() in _ATTRIBUTES:
            return found[0]
        return f"{found[1]}={mark('cookie', found[2])}"

    def hide(found: re.Match[str]) -> str:
        values = [(name, value) for name, value in _COOKIE.findall(found[3])]
        named = [value for name, value in values if name.lower() not in _ATTRIBUTES]
        if not any(len(value) >= 8 and any(c.isdigit() for c in value) for value in named):
            return found[0]
        return found[1] + found[2] + _COOKIE.sub(one, found[3])

    return _COOKIES.sub(hide, text)


def _curl(text: str, mark: Mark) -> str:
    def hide(found: re.Match[str]) -> str:
        is_word = PLACEHOLDER.fullmatch(found[2]) or found[2].lower() in ("password", "passwd")
        return found[0] if is_word else found[1] + mark("password", found[2])

    return _CURL.sub(lambda call: _USER.sub(hide, call[0]), text)


def _paired(text: str, mark: Mark) -> str:
    def hide(found: re.Match[str]) -> str:
        head, _, name, between, value = found.groups()
        if not is_secret_name(name.strip()) or PLACEHOLDER.fullmatch(value):
            return found[0]
        return head + name + between + mark(name.strip(), value)

    return _PAIRED.sub(hide, text)


# What says that one of them is worth its time, in RE2: without counted repeats, which make an
# automaton of many states. It is asked of texts, and of the JSON that texts stand in.
# Names by their ends, and as many as `is_secret_name` knows.
_NAMED = _joined(
    tuple(
        name
        for name in (*_WHOLE, *_ENDINGS)
        if not any(name != end and name.endswith(end) for end in (*_WHOLE, *_ENDINGS))
    )
)
# White space and letters are those that `re` knows; RE2's own are those of ASCII.
_SPACES, _LETTERS = r"\s\x0b\x1c-\x1f\x{85}\p{Z}", r"\p{L}\p{N}_"
# In JSON, white space may be written as letters.
SPACE = rf"(?:[{_SPACES}]|\\[bfnrt]|\\u00[01][0-9a-fA-F])"
_IN_NAME = f"[{_LETTERS} .-]"
_SEP = rf"[\\\"'`]*{SPACE}*(?:[:=]|%3[ad]|%22)"
PLAIN: Mapping[str, Callable[[str, Mark], str]] = {
    rf"(?i){_WORDS}{_SEP}|-[{_LETTERS}.-]*{_WORDS}{SPACE}": _assigned,
    rf"(?i)(?:{_NAMED})'{SPACE}*:{SPACE}*'": _quoted,
    rf"(?i)authorization\\*[\"']?{SPACE}*[:=]": _headers,
    rf"(?i)cookie2?\\*[\"']?{SPACE}*:": _cookies,
    rf"(?:\b|{SPACE})curl\b": _curl,
    rf"(?i)(?:name|key|header){_SEP}(?:[\\\"']|{SPACE})*{_IN_NAME}*(?:{_NAMED})": _paired,
}
# In JSON a name may stand as a value of its own.
PAIRS = rf"(?i)\"{_IN_NAME}*(?:{_NAMED}|cookies)\"{SPACE}*[,}}:\]]"
