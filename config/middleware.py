"""The edges of a web request: its id, its size, and the transaction it works in."""

import contextlib
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse

from config import errors
from config.health import livez, metrics, readyz
from config.lib.admission import Admission
from config.lib.body import BROKEN_BODY
from config.lib.db.again import MAX_ATTEMPTS
from config.lib.redact import redact_text, redacting_for
from config.lib.writing import tallied
from contacts.api.edge import Edge

log = structlog.get_logger()
View = Callable[[HttpRequest], HttpResponse]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
API = "/api/"
# Asked every few seconds by whoever watches the server.
PROBES = {"/livez", "/readyz", "/metrics"}
# Of a body that is too large; who sends more has a broken connection.
DISCARDED_BYTES, DISCARD_SECONDS = 128 * 1024 * 1024, 5.0
# Who sends nothing of it for so long has stopped, and is answered.
STOPPED_SECONDS = 1.0


class RequestId:
    """An id for each request, the caller's own where it gives a plain one; in logs and answers."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        plain = _REQUEST_ID.fullmatch(given) and redact_text(given) == given
        request.request_id = given if plain else uuid.uuid4().hex  # type: ignore[attr-defined]
        began = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=request.request_id):  # type: ignore[attr-defined]
            response = self.get_response(request)
            if request.path not in PROBES:
                log.info(
                    "request",
                    method=request.method,
                    path=_shown(request),
                    status=response.status_code,
                    ms=round((time.monotonic() - began) * 1000, 1),
                )
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response


class Probes:
    """/livez, /readyz and /metrics, whatever host and scheme they are asked by: who asks is
    inside."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response
        self.views = {"/livez": livez, "/readyz": readyz, "/metrics": metrics}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.views.get(request.path, self.get_response)(request)


class Shedding:
    """503 before threads and connections run out, at once or after a moment: whoever is told so
    can come again, and whoever is queued without a word cannot. Probes go before it."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response
        self.admission = Admission(settings.WEB_THREADS)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not self.admission.enter():
            return errors.problem(
                request, 503, "This server is busy; nothing was done.", code="overloaded",
                headers={"Retry-After": "1"},
            )  # fmt: skip
        try:
            return self.get_response(request)
        finally:
            self.admission.leave()


def _shown(request: HttpRequest) -> str:
    """An invitation's link is a password until it is used. In others a caller may have put one."""
    if request.path.startswith("/invite/"):
        return "/invite/..."
    edge: Edge | None = getattr(request, "edge", None)
    if edge is None or edge.principal is None:
        return redact_text(request.path, ask=False)
    with redacting_for(edge.principal.workspace_id):
        return redact_text(request.path, ask=False)


class BodyLimit:
    """413 before a body is read. Chunked bodies have their length from config/wsgi.py."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        limit = settings.MAX_BODY_BYTES
        if BROKEN_BODY in request.META:
            return errors.problem(
                request, 400, f"The body cannot be read: {request.META[BROKEN_BODY]}.",
                code="unreadable_body",
            )  # fmt: skip
        try:
            length = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            return errors.problem(request, 400, "Content-Length is not a number.")
        if length > limit:
            _discard(request, length)
            return errors.problem(
                request, 413, f"The body is too large; at most {limit:,} bytes are taken.",
                code="body_too_large",
            )  # fmt: skip
        return self.get_response(request)


def _discard(request: HttpRequest, length: int) -> None:
    """Read a refused body away, within bounds: a client that still sends when the connection is
    closed sees a broken pipe instead of the answer."""
    left, until = min(length, DISCARDED_BYTES), time.monotonic() + DISCARD_SECONDS
    source, sock = request.META["wsgi.input"], request.META.get("gunicorn.socket")
    with _patient_for(STOPPED_SECONDS, sock), contextlib.suppress(TimeoutError):
        while left > 0 and time.monotonic() < until:
            read = len(source.read(min(left, 8_192)))
            if not read:
                return
            left -= read


@contextlib.contextmanager
def _patient_for(seconds: float, sock: Any) -> Iterator[None]:
    """Reading from `sock`, where there is one, waits no longer for something to come."""
    if sock is None:
        yield
        return
    before = sock.gettimeout()
    sock.settimeout(seconds)
    try:
        yield
    finally:
        sock.settimeout(before)


class ApiEdge:
    """One transaction per REST request, from authentication to the finished response."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(API):
            return self.get_response(request)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            with tallied() as tally:
                edge = Edge(request, tally)
                request.edge = edge  # type: ignore[attr-defined]
                with edge.whose:
                    response = self._answer(request, edge)
            if not edge.retry or attempt == MAX_ATTEMPTS:
                break
        edge.count(response)
        return response

    def _answer(self, request: HttpRequest, edge: Edge) -> HttpResponse:
        try:
            response = errors.as_problem(request, self.get_response(request))
        except BaseException:
            edge.leave(None)
            raise
        try:
            edge.leave(response)
        except DatabaseError as error:
            # A commit can fail too; then the request did not happen, and the answer says so.
            return errors.database_problem(request, error)
        if response.status_code < 400:
            _after(response, edge.note_use)
        return response


def _after(response: HttpResponse, work: Callable[[], None]) -> None:
    """`work` is done when the answer has been sent, before the connections are let go."""
    close = response.close

    def closing() -> None:
        try:
            work()
        finally:
            close()

    response.close = closing  # type: ignore[method-assign]
