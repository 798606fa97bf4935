"""From a WSGI request to the official SDK and back. Not for what is served: server.py.

The SDK is asynchronous and serves both eras of the protocol; Django's ORM is neither. So one event
loop in a thread of its own reads and writes the protocol for the whole process, and what a tool
does is handed back to the thread of the request, on that request's connection and with its
timeouts, as any view works. The loop holds no state: each message makes a transport of its own.

(A loop for each request, as Django gives asynchronous views and django-stateless-mcp relies on,
costs four times as much at best, and lets tools run in threads whose connections nobody closes.)
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

T = TypeVar("T")
START_SECONDS = 10.0
# Of an answer of the SDK's: the length is Django's to say, and there is no connection to keep.
_NOT_OURS = {"content-length", "connection", "transfer-encoding"}


class Exchange:
    """One message: what the SDK's handlers ask of it is done by the thread that serves it."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self._work: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = (
            SimpleQueue()
        )

    async def run(self, work: Callable[[], T]) -> T:
        """`work`'s result, from the request's thread. Awaited in the loop's."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work.put((work, done))
        return await done

    def serve(self) -> None:
        """Do what comes until `close`. Called in the request's thread."""
        while (given := self._work.get()) is not None:
            work, done = given
            try:
                result = work()
            except Exception as error:
                _settle(done, done.set_exception, error)
            except BaseException:
                # This thread is being stopped: nobody is left who would do more.
                _settle(done, done.set_exception, RuntimeError("stopped"))
                raise
            else:
                _settle(done, done.set_result, result)

    def close(self) -> None:
        self._work.put(None)


def _settle(done: "asyncio.Future[Any]", say: Callable[[Any], None], value: Any) -> None:
    # Given up meanwhile, as when the loop was stopped: then nobody waits for it.
    done.get_loop().call_soon_threadsafe(lambda: None if done.done() else say(value))


class Engine:
    """The SDK serving one server in this process, from the first message on."""

    def __init__(self, server: "Server[Any]") -> None:
        self._server = server
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._manager: StreamableHTTPSessionManager

    def answer(self, request: HttpRequest, body: bytes, call: Any) -> HttpResponse:
        """The SDK's answer to one POST. Handlers find `call` in their exchange."""
        self._start()
        exchange, answer = Exchange(call), _Answer()
        task = asyncio.run_coroutine_threadsafe(
            self._manager.handle_request(_scope(request, exchange), _receive(body), answer.send),
            self._loop,
        )
        task.add_done_callback(lambda _: exchange.close())
        exchange.serve()
        task.result()
        return answer.as_django()

    def _start(self) -> None:
        # In a forked child the thread is not alive either.
        if self._thread is not None and self._thread.is_alive():
            return
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            ready = threading.Event()
            thread = threading.Thread(
                target=lambda: asyncio.run(self._run(ready)), name="mcp", daemon=True
            )
            thread.start()
            if not ready.wait(START_SECONDS):
                raise RuntimeError("the MCP loop did not start")
            self._thread = thread

    async def _run(self, ready: threading.Event) -> None:
        manager = StreamableHTTPSessionManager(
            app=self._server,
            stateless=True,
            json_response=True,
            # Host and Origin were checked by Django's settings (views.py).
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_request_body_size=settings.MAX_BODY_BYTES,
        )
        async with manager.run():
            self._loop, self._manager = asyncio.get_running_loop(), manager
            ready.set()
            await asyncio.Event().wait()


class _Answer:
    """What the SDK sends, gathered."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 0, list[tuple[bytes, bytes]](), bytearray()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    def as_django(self) -> HttpResponse:
        response = HttpResponse(bytes(self.body), status=self.status)
        del response["Content-Type"]
        for name, value in self.headers:
            if name.decode("latin-1").lower() not in _NOT_OURS:
                response[name.decode("latin-1")] = value.decode("latin-1")
        return response


def _receive(body: bytes) -> Callable[[], Any]:
    """The body once; then nothing more comes, for the client waits for the answer."""
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        part = next(parts, None)
        return part if part is not None else await asyncio.Event().wait()

    return receive


def _scope(request: HttpRequest, exchange: Exchange) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.META.get("QUERY_STRING", "").encode("latin-1", "replace"),
        "root_path": "",
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in request.headers.items()
        ],
        "client": None,
        "server": None,
        "exchange": exchange,
    }
