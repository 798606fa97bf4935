"""Which targets a channel may have, and which addresses our server will connect to for them.

A channel's URL is chosen by whoever holds `channels:write`, and requested from inside the
operator's network: without this, it could make the server speak to a metadata service, a database
or its own admin (server-side request forgery). So only http(s) without user or fragment, and only
addresses of the public Internet unless REMEMBRANCER_CHANNELS_PRIVATE says otherwise. Link-local,
multicast and unspecified addresses are refused always.
"""

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from config.lib.errors import Invalid
from sessions.channels.failure import SendFailed
from sessions.channels.shapes import SECRET_PREFIX, signing_key
from sessions.models.attention import ChannelKind

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HTTP_KINDS = frozenset({ChannelKind.WEBHOOK, ChannelKind.NTFY, ChannelKind.SLACK})
MIN_SECRET = 16
NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_target(kind: str, target: str, secret: str, *, private: bool) -> None:
    """Raises Invalid naming what cannot be: the wrong form of a target, a secret where none is
    used or too short a one. Names are not resolved here: what they resolve to may change."""
    problems: dict[str, str] = {}
    if kind == ChannelKind.EMAIL:
        problems["target"] = _email_problem(target)
    elif kind == ChannelKind.BROWSER:
        problems["target"] = "must be empty: open pages ask for what is new" if target else ""
    else:
        problems["target"] = _url_problem(kind, target, private=private)
    problems["secret"] = _secret_problem(kind, secret)
    wrong = {name: text for name, text in problems.items() if text}
    if wrong:
        raise Invalid(wrong)


def _email_problem(target: str) -> str:
    try:
        validate_email(target)
    except ValidationError:
        return "must be one e-mail address"
    return ""


def _url_problem(kind: str, target: str, *, private: bool) -> str:
    if not target.isascii() or any(c <= " " or c == "\x7f" for c in target):
        return "must be a URL of printable ASCII characters"
    try:
        parts = urlsplit(target)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "must be a URL"
    if parts.scheme not in ("http", "https") or not host or port == 0:
        return "must be an http:// or https:// URL"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "must have no user, password or fragment"
    if kind == ChannelKind.NTFY and not _TOPIC.fullmatch(parts.path.rpartition("/")[2]):
        return "must end in a topic: https://ntfy.sh/topic"
    address = _literal(host)
    if address is not None and not allowed(address, private=private):
        return "is an address that channels may not reach"
    return ""


def _secret_problem(kind: str, secret: str) -> str:
    if kind == ChannelKind.WEBHOOK:
        if len(secret) < MIN_SECRET:
            return f"must have at least {MIN_SECRET} characters"
        return "" if signing_key(secret) else f"must be base64 after {SECRET_PREFIX}"
    if kind == ChannelKind.NTFY:
        good = secret.isascii() and secret.isprintable() and " " not in secret
        return "" if good else "must be an access token: printable ASCII without blanks"
    return "is used by webhook and ntfy channels only" if secret else ""


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def allowed(address: Address, *, private: bool) -> bool:
    """Whether we connect there. An IPv4 address inside an IPv6 one is judged as what it is."""
    inner = _embedded(address)
    if inner is not None:
        return allowed(inner, private=private)
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        return False
    return private or address.is_global


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that is reached: mapped, 6to4, Teredo, NAT64."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def resolve(host: str, port: int, *, private: bool) -> list[str]:
    """The addresses of a name, each fit to connect to. Raises SendFailed.

    One address that is refused refuses the name: a name with a public and a private one is made
    to get past a check. The caller connects to what is returned and does not ask again, so that
    a name cannot resolve to something else in between.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SendFailed("The name of its host cannot be resolved.") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in addresses:
        # A zone (fe80::1%eth0) is of a link-local address.
        if not allowed(ipaddress.ip_address(text.partition("%")[0]), private=private):
            raise SendFailed("Its host has an address that channels may not reach.", final=True)
    return addresses
