"""From which address a request comes, believing no header but those of proxies one has named."""

import ipaddress
from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Of what connects without an address, such as through a socket file.
UNKNOWN = "0.0.0.0"  # noqa: S104  (not listened on)
# One household or machine has at least this many bits of IPv6 for itself.
IPV6_BITS = 64


def client_address(request: HttpRequest) -> str:
    """The caller's address; of IPv6 the network, or one machine would have 2^64 of them.

    X-Forwarded-For is read from its end for as long as the one that wrote it is a named proxy:
    what stands before that, the caller may have written.
    """
    peer = _read(request.META.get("REMOTE_ADDR", ""))
    if peer is None:
        return UNKNOWN
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    while hops and _is_proxy(peer, settings.TRUSTED_PROXIES):
        before = _read(hops.pop())
        if before is None:
            break
        peer = before
    if isinstance(peer, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((peer, IPV6_BITS), strict=False).network_address)
    return str(peer)


def _read(written: str) -> Address | None:
    try:
        found = ipaddress.ip_address(written.strip().strip("[]"))
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def _is_proxy(address: Address, proxies: Sequence[Network]) -> bool:
    return any(address in network for network in proxies)
