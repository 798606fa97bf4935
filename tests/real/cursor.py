"""Cursor's server, as far as the local agent of its SDK asks it for anything.

The agent opens RunSSE and hears there what it is to do, and says what came of it by BidiAppend. The
messages are protocol buffers, written here by the numbers that the SDK has for their names. `plan`
is as Model's: a call of `shell`, of a tool of our MCP server, or of one of HOOKS, which the agent
fires when it is told to.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from queue import Queue
from typing import Any

from tests.real.loopback import Loopback, body_of, send, send_json
from tests.real.model import ASIDE, Call, Plan

MCP_SERVER = "remembrancer"
SECONDS = 15
# AgentServerMessage
UPDATE, EXECUTE = 1, 2
# ExecServerMessage; the answer to each comes under the same number.
SHELL, CONTEXT, MCP, HOOK = 2, 10, 11, 27
# ExecuteHookRequest, and the fields of each that a test gives.
HOOKS = {
    "pre_compact": (1, {"trigger": 1, "conversation_id": 8}),
    "subagent_start": (2, {"subagent_id": 1, "subagent_type": 2, "task": 3, "conversation_id": 9}),
    "subagent_stop": (
        3,
        {"subagent_id": 1, "subagent_type": 2, "status": 3, "summary": 5, "conversation_id": 12},
    ),
    "after_agent_response": (8, {"text": 1, "conversation_id": 2}),
}
Fields = Mapping[int, Any]


def _number(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def pack(fields: Fields) -> bytes:
    """A message of texts, whole numbers and messages, by their numbers."""
    out = b""
    for place, value in fields.items():
        if isinstance(value, int):
            out += _number(place << 3) + _number(value)
            continue
        data = pack(value) if isinstance(value, Mapping) else str(value).encode()
        out += _number(place << 3 | 2) + _number(len(data)) + data
    return out


def unpack(data: bytes) -> Iterator[tuple[int, Any]]:
    """The numbers and values of a message: numbers, and the bytes of all others."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        place, kind = divmod(number(), 8)
        if kind == 0:
            yield place, number()
            continue
        size = number() if kind == 2 else {1: 8, 5: 4}[kind]
        yield place, data[at : at + size]
        at += size


def at(data: bytes, *places: int) -> Any:
    """What is there, or empty bytes."""
    for place in places:
        data = dict(unpack(data)).get(place, b"")
    return data


class Server(Loopback):
    """`heard` is what the agent has said, each message as it came."""

    def __init__(self) -> None:
        self.plan: Plan = {}
        self.heard: list[bytes] = []
        self.runs: dict[bytes, Queue[bytes]] = defaultdict(Queue)
        super().__init__()

    def told(self, *words: str) -> bool:
        """Whether the agent said all these in one message."""
        return any(all(word.encode() in data for word in words) for data in self.heard)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path, body = handler.path, body_of(handler)
        if path == "/auth/exchange_user_api_key":
            send_json(handler, {"accessToken": "anything"})
        elif path == "/v1/models":
            models = [{"id": "test", "displayName": "Test"}]
            send_json(handler, {"items": models})
        elif path.endswith("/RunSSE"):
            # A frame's head is five bytes.
            self.run(handler, self.runs[at(body[5:], 1)])
        elif path.endswith("/BidiAppend"):
            said = at(body, 4) or bytes.fromhex(at(body, 1).decode())
            self.heard.append(said)
            self.runs[at(body, 2, 1)].put(said)
            send(handler, b"", "application/proto")
        else:
            # Settings of teams, plugins, telemetry: a message with nothing in it.
            send(handler, b"", "application/proto")

    def run(self, handler: BaseHTTPRequestHandler, heard: "Queue[bytes]") -> None:
        """One prompt: what is planned for it, one step after the other."""
        handler.send_response(200)
        handler.send_header("Content-Type", "application/connect+proto")
        handler.end_headers()
        count = 0

        def send(message: Fields) -> None:
            data = pack(message)
            handler.wfile.write(struct.pack(">BI", 0, len(data)) + data)

        def execute(kind: int, arguments: Fields) -> None:
            nonlocal count
            count += 1
            send({EXECUTE: {1: count, 15: f"e{count}", kind: arguments}})
            while not (said := at(heard.get(timeout=SECONDS), EXECUTE)) or at(said, 1) != count:
                pass

        request = at(heard.get(timeout=SECONDS), 1)
        prompt, conversation = at(request, 2, 1, 1, 1).decode(), at(request, 5).decode()
        steps = next((steps for text, steps in self.plan.items() if text in prompt), [ASIDE])
        execute(CONTEXT, {})
        for step in steps:
            if callable(step):
                step = step()
            if isinstance(step, str):
                send({UPDATE: {1: {1: step}}})
                step = Call("after_agent_response", {"text": step})
            execute(*_execution(step, f"call_{count}", conversation))
        send({UPDATE: {14: {}}})
        handler.wfile.write(struct.pack(">BI", 2, 2) + b"{}")


def _execution(step: Call, name: str, conversation: str) -> tuple[int, Fields]:
    given = step.arguments
    if step.name in HOOKS:
        place, fields = HOOKS[step.name]
        given = {"conversation_id": conversation, **given}
        return HOOK, {1: {place: {fields[key]: value for key, value in given.items()}}}
    if step.name == "shell":
        command = given["command"]
        # Without the command taken apart the agent runs nothing; 12 is not to ask a person.
        parsed = {2: {1: command.partition(" ")[0], 3: command}}
        return SHELL, {1: command, 4: name, 8: parsed, 12: 1}
    ((key, value),) = given.items()
    return MCP, {
        1: f"{MCP_SERVER}-{step.name}", 2: {1: key, 2: {3: value}}, 3: name, 4: MCP_SERVER,
        5: step.name, 8: 1,
    }  # fmt: skip
