"""A server on the loopback that takes what channels send, and misbehaves on order.

Not a test, and not for anything but tests.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


# What it does with one request: (status, headers), or something done by hand.
Behaviour = Callable[["Receiver", BaseHTTPRequestHandler], tuple[int, dict[str, str]] | None]


def answer(status: int, **headers: str) -> Behaviour:
    return lambda _, __: (status, {k.replace("_", "-"): v for k, v in headers.items()})


def silent(receiver: "Receiver", _: BaseHTTPRequestHandler) -> None:
    """Says nothing until the test is over."""
    receiver.released.wait(20)


def trickling(receiver: "Receiver", handler: BaseHTTPRequestHandler) -> None:
    """A header that never ends, a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    try:
        while not receiver.released.wait(0.02):
            handler.wfile.write(b"a")
            handler.wfile.flush()
    except OSError:
        return


def endless(receiver: "Receiver", handler: BaseHTTPRequestHandler) -> None:
    """A good answer whose body never ends; who reads it reads for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    handler.wfile.flush()
    receiver.released.wait(20)


def hanging_up(receiver: "Receiver", handler: BaseHTTPRequestHandler) -> None:
    """Closes without an answer."""


class Receiver:
    """What it was sent, and what it does next: 204 where nothing is said."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.script: list[Behaviour] = []
        self.always: Behaviour = answer(204)
        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.requests.append(Received(self.path, headers, body))
                behaviour = receiver.script.pop(0) if receiver.script else receiver.always
                reply = behaviour(receiver, self)
                self.close_connection = True
                if reply is None:
                    return
                status, named = reply
                self.send_response(status)
                for name, value in named.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
