"""One address of a model's server: JSON posted to it, tried again for some seconds, read whole.

Not for retrying over minutes: what does not pass within some seconds is raised, for a job queue
or the caller to repeat later. Not for what is sent and answered (each protocol's own module).
"""

# httpx is imported inside functions: every web worker imports this, few call anybody.
from __future__ import annotations

import functools
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from memory.endpoints.answers import Answer, EndpointError, failure, hide

if TYPE_CHECKING:
    import ssl

    import httpx

ATTEMPTS = 4
CONNECT_TIMEOUT_SECONDS = 5.0
BACKOFF_SECONDS = 0.5  # before the second attempt; doubles from there
# Longer waits belong to the job queue: one that sleeps here holds up a worker and its shutdown.
LONGEST_WAIT_SECONDS = 10.0
# 32 vectors of 4,000 numbers are 3 MB of JSON; what is larger by far is not an answer.
MOST_ANSWER_BYTES = 64 * 1024 * 1024


class Endpoint:
    """`{url}/{path}` of the server that `what` (embedding, summary) names in messages.

    `setting` is the prefix of its environment variables, `error` what is raised. `key_header`
    carries `key_prefix` and the key, where there is a key. `timeout` bounds one attempt. `client`,
    `sleep`, `clock`, `wall_clock` and `jitter` (0 to 1) are there to be replaced in tests; a
    `client` that was given is not closed. Raises `error` for an unusable `url` or `key`, without
    quoting either.
    """

    def __init__(
        self,
        *,
        what: str,
        url: str,
        path: str,
        key: str,
        setting: str,
        error: type[EndpointError],
        timeout: float,
        key_header: str = "Authorization",
        key_prefix: str = "Bearer ",
        headers: Mapping[str, str] | None = None,
        attempts: int = ATTEMPTS,
        client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._setting, self._error = setting, error
        self._address = self._checked_url(url) + "/" + path
        self._key = self._checked_key(key)
        self.source = f"The {what} endpoint {self._address}"
        self._headers = dict(headers or {})
        if self._key:
            self._headers[key_header] = key_prefix + self._key
        self._timeout, self._attempts = timeout, attempts
        self._client = client
        self._owns_client = client is None
        self._sleep, self.clock, self._wall_clock, self._jitter = sleep, clock, wall_clock, jitter
        self._lock = threading.Lock()

    def post(self, payload: Mapping[str, Any], *, deadline: float | None = None) -> bytes:
        """The body of an answer 200. `deadline` is a time of `clock`, past which nothing is tried.

        Raises the endpoint's error after the last attempt, with `retryable` where waiting may
        help.
        """
        attempt = 1
        while True:
            try:
                answer = self._send(payload, deadline)
                if answer.status == 200:
                    return answer.body
                raise failure(
                    answer,
                    kind=self._error,
                    source=self.source,
                    setting=self._setting,
                    key=self._key,
                    now=self._wall_clock(),
                )
            except EndpointError as error:
                wait = self._wait_before_next(attempt, error, deadline)
                if wait is None:
                    raise
            self._sleep(wait)
            attempt += 1

    def close(self) -> None:
        """Gives back sockets; a later call opens them again."""
        with self._lock:
            if self._owns_client and self._client is not None:
                self._client.close()
                self._client = None

    def leave_parent(self) -> None:
        """In a forked child: connections of its own, since answers cannot be told apart."""
        self._lock = threading.Lock()
        if self._owns_client:
            self._client = None

    def _wait_before_next(
        self, attempt: int, error: EndpointError, deadline: float | None
    ) -> float | None:
        """Seconds to sleep before another attempt, or None where there should be none.

        Exponential with jitter, so that workers that failed together do not come back together;
        never less than the server asked for.
        """
        if not error.retryable or attempt >= self._attempts:
            return None
        backoff = BACKOFF_SECONDS * 2.0 ** (attempt - 1) * (0.5 + self._jitter() / 2)
        wait = backoff if error.retry_after is None else error.retry_after + backoff / 2
        if wait > LONGEST_WAIT_SECONDS:
            return None
        if deadline is not None and self.clock() + wait >= deadline:
            return None
        return wait

    def _send(self, payload: Mapping[str, Any], deadline: float | None) -> Answer:
        """One attempt. Raises the endpoint's error where no whole answer came."""
        import httpx

        left = self._timeout
        if deadline is not None:
            left = min(left, deadline - self.clock())
            if left <= 0:
                raise self._too_slow()
        # httpx times each read; a server that trickles would pass that for ever.
        ends = self.clock() + left
        timeout = httpx.Timeout(left, connect=min(left, CONNECT_TIMEOUT_SECONDS))
        try:
            with self._opened().stream(
                "POST", self._address, json=payload, headers=self._headers, timeout=timeout
            ) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MOST_ANSWER_BYTES:
                        raise self._error(f"{self.source} answered with more than 64 MiB")
                    if self.clock() > ends:
                        raise self._too_slow()
                return Answer(response.status_code, response.headers, bytes(body))
        except httpx.TimeoutException as error:
            raise self._error(
                f"{self.source} did not answer within {left:.1f} s", retryable=True, timed_out=True
            ) from error
        except httpx.RequestError as error:
            # Broken connections may mend; an answer that cannot be decoded will not.
            raise self._error(
                f"{self.source} cannot be reached: {hide(str(error), self._key)}",
                retryable=isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError)),
            ) from error

    def _too_slow(self) -> EndpointError:
        return self._error(f"{self.source} was too slow", retryable=True, timed_out=True)

    def _opened(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._client is None:
                self._client = httpx.Client(verify=_tls())
            return self._client

    def _checked_url(self, url: str) -> str:
        """Without a slash at its end. Raises for what could carry a secret into logs."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise self._error(f"{self._setting}_URL: must be an http:// or https:// URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise self._error(
                f"{self._setting}_URL: must have no user, password, query or fragment; "
                f"the key goes into {self._setting}_API_KEY"
            )
        return url.rstrip("/")

    def _checked_key(self, key: str) -> str:
        """Raises for a key that no header can hold: the error that httpx would raise for it
        quotes the key."""
        key = key.strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise self._error(
                f"{self._setting}_API_KEY: must be printable ASCII without blanks (not shown)"
            )
        return key


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all clients: reading the authorities' certificates takes 20 ms."""
    import httpx

    return httpx.create_ssl_context()
