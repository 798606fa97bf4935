"""One POST to a channel's URL, bounded in time and bytes, to an address that was looked at.

No redirect is followed and no proxy of the environment is asked: either would lead elsewhere than
where the check said. Nothing of the answer's body is read; its status says all.
"""

import ssl
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpcore
import httpx
from django.conf import settings

from config.lib import clock
from sessions.channels.addresses import resolve
from sessions.channels.failure import SendFailed

# For all of it: connecting, sending and the head of the answer.
TOTAL_SECONDS = 10.0
MOST_ADDRESSES = 3
GONE = 410


def post(url: str, *, body: bytes, headers: dict[str, str]) -> None:
    """Returns where the answer is a 2xx. Raises SendFailed."""
    deadline = time.monotonic() + TOTAL_SECONDS
    pool = httpcore.ConnectionPool(
        ssl_context=_tls(), network_backend=_Guarded(deadline), retries=0, http1=True
    )
    sent = {"User-Agent": "Remembrancer", "Accept": "*/*", **headers}
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), TOTAL_SECONDS)
    try:
        with (
            pool,
            pool.stream(
                "POST",
                url,
                headers=[(name.encode(), value.encode()) for name, value in sent.items()],
                content=body,
                extensions={"timeout": timeouts},
            ) as response,
        ):
            _judge(response)
    except httpcore.TimeoutException:
        raise SendFailed(f"It did not answer within {TOTAL_SECONDS:.0f} s.") from None
    except httpcore.ConnectError:
        raise SendFailed("It cannot be connected to.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError):
        raise SendFailed("The connection broke before it answered.") from None
    except httpcore.UnsupportedProtocol:
        raise SendFailed("Its URL is not http:// or https://.", final=True) from None


def _judge(response: httpcore.Response) -> None:
    if 200 <= response.status < 300:
        return
    if 300 <= response.status < 400:
        raise SendFailed(f"It answered {response.status}; redirects are not followed.", final=True)
    named = {name.lower(): value for name, value in response.headers}
    raise SendFailed(
        f"It answered {response.status}.",
        final=response.status == GONE,
        retry_after=_seconds(named.get(b"retry-after", b"").decode("latin-1")),
    )


def _seconds(value: str) -> float | None:
    """Retry-After (RFC 9110, 10.2.3): seconds, or a date. None where it says nothing."""
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        moment: datetime = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - clock.now()).total_seconds())


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


class _Guarded(httpcore.NetworkBackend):
    """Connects to addresses that `resolve` lets through; what it opens ends at the deadline."""

    def __init__(self, deadline: float) -> None:
        self._deadline, self._backend = deadline, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = resolve(host, port, private=settings.CHANNELS_PRIVATE)[:MOST_ADDRESSES]
        for n, address in enumerate(addresses, start=1):
            try:
                stream = self._backend.connect_tcp(
                    address, port, left(self._deadline, timeout, httpcore.ConnectTimeout)
                )
                return _Bounded(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if n == len(addresses):
                    raise
        raise httpcore.ConnectError("no address")


class _Bounded(httpcore.NetworkStream):
    """A stream whose every step ends at one deadline: a server that trickles would pass a
    timeout of each read for ever."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, left(self._deadline, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, left(self._deadline, timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        seconds = left(self._deadline, timeout, httpcore.ConnectTimeout)
        return _Bounded(
            self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def left(deadline: float, timeout: float | None, error: type[Exception]) -> float:
    """Seconds for the next step, or `error` where none is left."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise error("too slow")
    return seconds if timeout is None else min(seconds, timeout)
