"""A server on the loopback that speaks OpenAI's embeddings protocol, and misbehaves on order.

Not a test, and not for anything but tests.
"""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from memory.embedding.openai import OpenAIEmbedder

KEY = "sk-very-secret-0123456789"
NOW = 1_800_000_000.0

# What the server does with one request: (status, headers, body), or something done by hand.
Reply = tuple[int, dict[str, str], bytes]
Behaviour = Callable[["Endpoint", dict[str, Any]], Reply | None]


def vector_of(text: str, dimensions: int = 4) -> list[float]:
    """A vector that tells one text from another, and is not of length one."""
    return [float(len(text)) + 1.0, float(sum(map(ord, text)) % 97), 1.0, *[0.5] * (dimensions - 3)]


def answer(data: Any, status: int = 200) -> Behaviour:
    return lambda _, __: (status, {}, json.dumps(data).encode())


def vectors(*rows: Any) -> Behaviour:
    return answer({"data": [{"index": i, "embedding": row} for i, row in enumerate(rows)]})


def refusal(status: int, message: str = "no", code: str = "", **headers: str) -> Behaviour:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    return lambda _, __: (status, {k.replace("_", "-"): v for k, v in headers.items()}, body)


def well_behaved(endpoint: "Endpoint", request: dict[str, Any]) -> Reply:
    """As the protocol says; the rows in reverse, because it allows that."""
    if len(request["input"]) > endpoint.most_texts:
        message = f"batch size {len(request['input'])} > maximum allowed batch size"
        return 422, {}, json.dumps({"error": message, "error_type": "Validation"}).encode()
    width = request.get("dimensions", endpoint.width)
    data = [
        {"object": "embedding", "index": i, "embedding": vector_of(text, width)}
        for i, text in enumerate(request["input"])
    ]
    return 200, {}, json.dumps({"object": "list", "data": data[::-1]}).encode()


class Endpoint:
    """The server: what it was sent, and what it does next (well behaved where nothing is said)."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.script: list[Behaviour] = []
        self.usual: Behaviour = well_behaved
        self.width = 4
        self.most_texts = 1000
        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                request = json.loads(self.rfile.read(length))
                endpoint.requests.append(request)
                endpoint.headers.append({k.lower(): v for k, v in self.headers.items()})
                endpoint.paths.append(self.path)
                behaviour = endpoint.script.pop(0) if endpoint.script else endpoint.usual
                reply = behaviour(endpoint, request)
                if reply is None:
                    self.close_connection = True
                    return
                status, headers, body = reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", headers.get("X-Length", str(len(body))))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def silent(endpoint: Endpoint, _: dict[str, Any]) -> None:
    endpoint.released.wait(10)


class Made:
    """An embedder whose sleeps are written down instead of slept."""

    def __init__(self, endpoint: Endpoint, client: httpx.Client) -> None:
        self.endpoint, self.client = endpoint, client
        self.slept: list[float] = []

    def __call__(self, **changes: Any) -> OpenAIEmbedder:
        given: dict[str, Any] = {
            "url": self.endpoint.url,
            "model": "nomic",
            "dimensions": 4,
            "api_key": KEY,
            "client": self.client,
            "sleep": self.slept.append,
            "wall_clock": lambda: NOW,
            "jitter": lambda: 1.0,
        }
        return OpenAIEmbedder(**(given | changes))
