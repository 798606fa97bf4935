"""Amp's server, as far as `amp --execute` asks it for anything.

Amp's agent runs on its server, which tells what is on the user's machine, plugins and tools, over a
web socket and in JSON-RPC what to do. `plan` is as Model's: calls of the tools that Amp has
registered (`tools`), and words.
"""

import base64
import hashlib
import json
import struct
import threading
import uuid
from http.server import BaseHTTPRequestHandler
from queue import Queue
from typing import Any

from tests.real.loopback import Loopback, body_of, send_json
from tests.real.model import ASIDE, Plan, Step

SECONDS = 15
THREAD = "T-01a20516-ebe5-73b9-84ed-ccbf3c5e5353"
# RFC 6455, 1.3
ACCEPT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSE = 8
USER = {"id": "user_1", "username": "vera", "email": "vera@example.org", "features": []}
ACTOR = {
    "threadId": THREAD, "wsToken": "anything", "ownerUserId": "user_1", "threadVersion": 0,
    "usesThreadActors": True, "poolName": "any",
}  # fmt: skip
# Results of /api/internal, by method.
INTERNAL = {
    "getUserInfo": USER,
    "loadPlugins": [],
    "loadSkills": {"sources": []},
    "getThreadTail": {
        "thread": {"data": {"id": THREAD, "created": 0, "v": 0, "agentMode": "medium"}},
        "messages": [],
        "hasMoreBefore": False,
    },
}


class Socket:
    """One web socket, of text frames alone."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.handler = handler
        self.lock = threading.Lock()
        key = handler.headers["Sec-WebSocket-Key"] + ACCEPT
        handler.send_response(101)
        handler.send_header("Upgrade", "websocket")
        handler.send_header("Connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest())
        handler.send_header("Sec-WebSocket-Accept", accept.decode())
        handler.send_header("Sec-WebSocket-Protocol", "rivet")
        handler.end_headers()

    def send(self, text: str) -> None:
        data = text.encode()
        size = len(data)
        short = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size)
        with self.lock:
            self.handler.wfile.write(b"\x81" + short + data)

    def read(self) -> str | None:
        """The next text, or None at the end."""
        try:
            return self._read()
        except EOFError:
            return None

    def _read(self) -> str:
        data = b""
        while True:
            head = self._bytes(2)
            kind, size = head[0] & 15, head[1] & 127
            if size > 125:
                form = ">H" if size == 126 else ">Q"
                size = struct.unpack(form, self._bytes(struct.calcsize(form)))[0]
            mask, part = self._bytes(4), self._bytes(size)
            if kind == CLOSE:
                raise EOFError
            whole = (mask * (size // 4 + 1))[:size]
            data += (int.from_bytes(part) ^ int.from_bytes(whole)).to_bytes(size)
            if head[0] & 128:
                return data.decode()

    def _bytes(self, count: int) -> bytes:
        found: bytes = self.handler.rfile.read(count)
        if len(found) < count:
            raise EOFError
        return found


class Server(Loopback):
    """`added` is what plugins put beside prompts, `tools` the names of what Amp can call."""

    protocol = "HTTP/1.1"

    def __init__(self) -> None:
        self.plan: Plan = {}
        self.added: list[str] = []
        self.tools: set[str] = set()
        self.results: list[dict[str, Any]] = []
        super().__init__()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers["Upgrade"] == "websocket":
            handler.close_connection = True
            Talk(self, Socket(handler)).listen()
            return
        asked = body_of(handler)
        found: Any = {}
        if handler.path.startswith("/api/internal"):
            found = {"ok": True, "result": INTERNAL.get(json.loads(asked)["method"], {})}
        elif handler.path == "/api/thread-actors":
            found = ACTOR
        send_json(handler, found)


class Talk:
    """One socket's messages. Amp has two: the one that works, and one that looks on."""

    def __init__(self, server: Server, socket: Socket) -> None:
        self.server = server
        self.socket = socket
        self.plugins: Queue[dict[str, Any]] = Queue()
        self.ran: Queue[dict[str, Any]] = Queue()

    def listen(self) -> None:
        self.tell("agent_state", state="idle")
        while (text := self.socket.read()) is not None:
            if text == "ping":
                self.socket.send("pong")
                continue
            message = json.loads(text)
            if "id" in message:
                self.say(id=message["id"], result={})
            self.hear(message["method"], message.get("params", {}))

    def say(self, **fields: Any) -> None:
        self.socket.send(json.dumps({"jsonrpc": "2.0", **fields}))

    def tell(self, kind: str, **params: Any) -> None:
        self.say(method=kind, params=params)

    def hear(self, kind: str, params: dict[str, Any]) -> None:
        if kind == "executor_connect":
            self.tell(
                "executor_connected", executorId="any", registeredToolCount=0, guidanceInventory=[]
            )
        elif kind == "executor_tools_register":
            self.server.tools |= {tool["name"] for tool in params["tools"]}
        elif kind == "executor_plugin_message" and params["message"]["type"] == "response":
            self.plugins.put(params["message"])
        elif kind == "executor_tool_result":
            self.ran.put(params)
        elif kind == "client_append_user_msg":
            threading.Thread(target=self.turn, args=[params], daemon=True).start()

    def ask_plugins(self, event: str, **fields: Any) -> dict[str, Any]:
        asked = {"thread": {"id": THREAD}, **fields}
        name = uuid.uuid4().hex
        request = {"type": "request", "id": name, "method": event, "params": {"event": asked}}
        self.tell("plugin_message", message=request)
        found: dict[str, Any] = self.plugins.get(timeout=SECONDS)["result"]
        return found

    def turn(self, prompt: dict[str, Any]) -> None:
        """One prompt: what is planned for it, one step after the other."""
        words = "".join(block["text"] for block in prompt["content"])
        steps: list[Any] = next((s for text, s in self.server.plan.items() if text in words), [])
        name = prompt["messageId"]
        asked = {"role": "user", "id": name, "content": prompt["content"]}
        self.add("user", prompt["content"], name)
        found = self.ask_plugins("agent.start", id=name, message=words)
        self.server.added += [one["content"] for one in found["messages"]]
        said = []
        for step in steps or [ASIDE]:
            said = self.take(step() if callable(step) else step)
        answer = {"role": "assistant", "id": "1", "content": said}
        self.ask_plugins(
            "agent.end", id=name, message=words, status="done", messages=[asked, answer]
        )
        self.tell("agent_state", state="idle")

    def take(self, step: Step) -> list[dict[str, Any]]:
        name = f"M-{uuid.uuid4().hex[:22]}"
        self.tell("agent_state", state="working", messageId=name)
        if isinstance(step, str):
            said: list[dict[str, Any]] = [{"type": "text", "text": step}]
            self.add("assistant", said, name, state={"type": "complete"})
            return said
        call = f"TU-{uuid.uuid4().hex[:22]}"
        said = [{"type": "tool_use", "id": call, "name": step.name, "input": step.arguments}]
        self.add("assistant", said, name, state={"type": "complete"})
        lease = {"toolCallId": call, "toolName": step.name, "args": step.arguments}
        self.tell("tool_lease", messageId=name, **lease)
        self.server.results.append(self.ran.get(timeout=SECONDS)["run"])
        return said

    def add(self, role: str, content: list[Any], name: str, **more: Any) -> None:
        message = {"threadId": THREAD, "role": role, "content": content, "messageId": name, **more}
        self.tell("message_added", message=message, seq=1)
