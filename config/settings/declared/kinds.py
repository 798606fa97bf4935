"""What a setting is, and the kinds of value that one has. Not for the settings themselves."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from config.lib.db.roles import ROLE_NAME

Number = TypeVar("Number", int, float)
BASE_DIR = Path(__file__).resolve().parents[3]
LEAST_PASSWORD = 8
# Where mail is handed in, where the URL names no port.
MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}


@dataclass(frozen=True)
class Setting:
    """One variable: how it is parsed, what stands without it, and a line for the table."""

    name: str
    parse: Callable[[environ.Env, str], Any]
    default: Any
    help: str
    shown_default: str | None = None

    def read(self, env: environ.Env) -> Any:
        raw = env.ENVIRON.get(self.name)
        if raw is None or raw.strip() == "":
            return self.default() if callable(self.default) else self.default
        try:
            return self.parse(env, self.name)
        except (ValueError, TypeError, KeyError, ImproperlyConfigured) as error:
            raise ImproperlyConfigured(
                f"{self.name}: {error} (got {_shown(self.name, raw)})"
            ) from None


def _shown(name: str, raw: str) -> str:
    """A wrong value is quoted back, unless it may hold a password."""
    return "a value not shown" if any(w in name for w in ("KEY", "PASSWORD", "URL")) else repr(raw)


def text(env: environ.Env, name: str) -> str:
    return str(env.str(name))


def boolean(env: environ.Env, name: str) -> bool:
    # django-environ reads every unknown word as False; a typo must not switch something off.
    word = str(env.str(name)).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("must be true or false")


def whole(low: int, high: int) -> Callable[[environ.Env, str], int]:
    return _between(lambda env, name: int(env.int(name)), "whole number", low, high)


def number(low: float, high: float) -> Callable[[environ.Env, str], float]:
    return _between(lambda env, name: float(env.float(name)), "number", low, high)


def _between(
    read: Callable[[environ.Env, str], Number], what: str, low: Number, high: Number
) -> Callable[[environ.Env, str], Number]:
    def parse(env: environ.Env, name: str) -> Number:
        try:
            value = read(env, name)
        except ValueError:
            raise ValueError(f"must be a {what} from {low} to {high}") from None
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}")
        return value

    return parse


def words(env: environ.Env, name: str) -> list[str]:
    return [word.strip() for word in env.list(name) if word.strip()]


_HOST = re.compile(r"\*|\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


def host_names(env: environ.Env, name: str) -> list[str]:
    hosts = words(env, name)
    wrong = [host for host in hosts if not _HOST.fullmatch(host)]
    if wrong:
        raise ValueError("must be host names without scheme and port, comma-separated")
    return hosts


def origins(env: environ.Env, name: str) -> list[str]:
    found = words(env, name)
    if not all(re.fullmatch(r"https?://[^/\s]+", origin) for origin in found):
        raise ValueError("must be origins with their scheme, such as https://memory.example.com")
    return found


def networks(env: environ.Env, name: str) -> list[Any]:
    """Addresses stand for networks of one."""
    try:
        return [ipaddress.ip_network(word) for word in words(env, name)]
    except ValueError:
        raise ValueError("must be addresses or networks, such as 10.0.0.0/8") from None


def password(env: environ.Env, name: str) -> str:
    value = str(env.str(name))
    if len(value) < LEAST_PASSWORD:
        raise ValueError(f"must have at least {LEAST_PASSWORD} characters")
    return value


def percents(env: environ.Env, name: str) -> list[int]:
    parts = words(env, name)
    if not all(part.isdecimal() and 1 <= int(part) <= 100 for part in parts):
        raise ValueError("must be whole percents from 1 to 100, comma-separated")
    return sorted({int(part) for part in parts})


def choice(*allowed: str) -> Callable[[environ.Env, str], str]:
    def parse(env: environ.Env, name: str) -> str:
        value = str(env.str(name)).strip()
        if value not in allowed:
            raise ValueError("must be one of " + ", ".join(allowed))
        return value

    return parse


def path(env: environ.Env, name: str) -> Path:
    return Path(str(env.str(name))).expanduser().absolute()


def folders(env: environ.Env, name: str) -> list[Path]:
    found = [Path(word).expanduser() for word in words(env, name)]
    if not all(one.is_absolute() and len(one.parts) > 1 for one in found):
        raise ValueError("must be whole paths of folders below /, comma-separated")
    return found


def postgres_url(env: environ.Env, name: str) -> str:
    value = str(env.str(name))
    if not value.startswith(("postgres://", "postgresql://")):
        raise ValueError("must be a postgresql:// URL")
    return value


def email_url(env: environ.Env, name: str) -> dict[str, Any]:
    """Django's EMAIL_ settings of `smtp://`, `smtp+tls://` (STARTTLS) or `smtp+ssl://`."""
    parts = urlsplit(str(env.str(name)))
    if parts.scheme not in MAIL_PORTS or not parts.hostname:
        raise ValueError("must be smtp://, smtp+tls:// or smtp+ssl://, user:password@host:port")
    found: dict[str, Any] = env.email_url(name)
    found.pop("EMAIL_FILE_PATH")
    return {**found, "EMAIL_PORT": parts.port or MAIL_PORTS[parts.scheme]}


def mailbox(env: environ.Env, name: str) -> str:
    """`address`, or `Name <address>`; one line of it."""
    value = str(env.str(name)).strip()
    _, address = parseaddr(value)
    try:
        validate_email(address.replace("@localhost", "@localhost.localdomain"))
    except ValidationError:
        raise ValueError("must be an e-mail address, or Name <address>") from None
    if "\n" in value or "\r" in value:
        raise ValueError("must be one line")
    return value


def http_url(env: environ.Env, name: str) -> str:
    value = str(env.str(name)).rstrip("/")
    if not value.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// URL")
    return value


def secure_url(env: environ.Env, name: str) -> str:
    """https, or a server on this machine."""
    value = http_url(env, name)
    parts = urlsplit(value)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("must be an https:// URL")
    return value


# As contacts.models.workspace.Role has them, the least first.
ROLES = ("viewer", "reviewer", "operator", "owner")


def group_roles(env: environ.Env, name: str) -> list[tuple[str, str, str]]:
    """(group, workspace's slug, role) of `group=workspace:role, ...`."""
    found = []
    for word in words(env, name):
        group, _, given = word.rpartition("=")
        slug, _, role = given.partition(":")
        if not group.strip() or not slug.strip() or role.strip() not in ROLES:
            raise ValueError(f"must be group=workspace:role; a role is one of {', '.join(ROLES)}")
        found.append((group.strip(), slug.strip(), role.strip()))
    return found


def role(env: environ.Env, name: str) -> str:
    value = str(env.str(name)).strip()
    if not ROLE_NAME.fullmatch(value):
        raise ValueError("must be 1 to 63 of a-z, 0-9, _ and -, and begin with a letter or _")
    return value
