"""A language model that says what a test has written down, in the forms real clients ask in.

`model.plan["a prompt"] = [Call("Bash", {...}), "Done."]`: asked with a conversation whose newest
planned prompt is that one, it makes the next step, a tool call or a last word. It speaks the
Messages API (Claude Code, OpenCode), the Responses API (Codex) and generateContent (Gemini CLI),
and keeps what it was asked.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from config.lib.recalled import without_recalled
from tests.real.loopback import Loopback, body_of, send_json

# What a request without tools is for: a title, a summary, a guess at the next prompt.
ASIDE = "Gardening"
# By which Claude Code's agent finds tools that are not in the request.
LOADER = "ToolSearch"


@dataclass(frozen=True)
class Call:
    """One use of a tool, under the name that the client gives it."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


Step = Call | str
# Or what is done first, and then says which it is.
Plan = dict[str, list[Step | Callable[[], Step]]]


@dataclass(frozen=True)
class Turn:
    """One message of a conversation, in whatever form: its own words, no tool results.

    `loading` is the agent's search for tools that its program has not told it of yet."""

    role: str
    text: str
    loading: bool = False


class Model(Loopback):
    """The server. `asked` has every request's body; `said` the text of a request as one string."""

    def __init__(self) -> None:
        self.plan: Plan = {}
        self.asked: list[dict[str, Any]] = []
        super().__init__()

    def told(self, *words: str) -> bool:
        """Whether some one request had all these words in it."""
        return any(all(word in text for word in words) for text in map(_words, self.asked))

    def tools(self) -> set[str]:
        """Names of all tools that were ever offered."""
        return {name for body in self.asked for name in _tools(body)}

    # --- answering ------------------------------------------------------------------------------

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.command != "POST":
            handler.send_error(404)
            return
        body = json.loads(body_of(handler) or "{}")
        path = handler.path.partition("?")[0]
        if path.endswith((":countTokens", "/count_tokens")):
            send_json(handler, {"input_tokens": 10, "totalTokens": 10})
            return
        self.asked.append(body)
        if path.endswith("/messages"):
            step = self.next_step(_messages(body), _tools(body))
            _stream(handler, _messages_events(step, body))
        elif path.endswith("/responses"):
            _stream(handler, _responses_events(self.next_step(_input(body), _tools(body))))
        elif path.endswith(("GenerateContent", "generateContent")):
            content = _content(self.next_step(_contents(body), _tools(body)), body)
            if "stream" in path:
                _stream(handler, iter([("", content)]))
            else:
                send_json(handler, content)
        else:
            handler.send_error(404)

    def next_step(self, turns: list[Turn], tools: list[str]) -> Step:
        for place in reversed(range(len(turns))):
            if turns[place].role != "user":
                continue
            steps = next((s for text, s in self.plan.items() if text in turns[place].text), None)
            if steps is None:
                continue
            if not tools:
                return ASIDE
            since = [turn for turn in turns[place + 1 :] if turn.role == "assistant"]
            done = sum(not turn.loading for turn in since)
            step = steps[min(done, len(steps) - 1)]
            if callable(step):
                step = step()
            if isinstance(step, str):
                return step
            if step.name not in tools and LOADER in tools and not (since and since[-1].loading):
                return Call(LOADER, {"query": f"select:{step.name}", "max_results": 5})
            return step
        return ASIDE


def _words(value: Any) -> str:
    """Every text in a body, whatever its place, as it was before it became JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    return "\n".join(map(_words, value)) if isinstance(value, list) else ""


def _tools(body: dict[str, Any]) -> list[str]:
    found = []
    for tool in body.get("tools") or []:
        declared = tool.get("functionDeclarations") or tool.get("tools") or [tool]
        prefix = f"{tool['name']}__" if tool.get("type") == "namespace" else ""
        found += [prefix + str(one.get("name", "")) for one in declared]
    return found


def _stream(handler: BaseHTTPRequestHandler, events: Iterator[tuple[str, Any]]) -> None:
    """Server-sent events. One connection each: the end of the stream is its end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.end_headers()
    for name, value in events:
        head = f"event: {name}\n" if name else ""
        handler.wfile.write(f"{head}data: {json.dumps(value)}\n\n".encode())


def _texts(content: Any, *kinds: str) -> str:
    """The words of a message that are its own: no tool results, nothing that was recalled."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    texts = [block.get("text", "") for block in blocks if block.get("type") in kinds]
    return without_recalled("\n".join(texts))


# --- Messages API -------------------------------------------------------------------------------


def _messages(body: dict[str, Any]) -> list[Turn]:
    turns = []
    for one in body["messages"]:
        blocks = one["content"] if isinstance(one["content"], list) else []
        loading = any(block.get("name") == LOADER for block in blocks)
        turns.append(Turn(one["role"], _texts(one["content"], "text"), loading))
    return turns


def _messages_events(step: Step, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    def event(kind: str, **fields: Any) -> tuple[str, Any]:
        return kind, {"type": kind, **fields}

    message = {
        "id": f"msg_{uuid.uuid4().hex}", "type": "message", "role": "assistant",
        "model": body.get("model", "test"), "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 100, "output_tokens": 1},
    }  # fmt: skip
    yield event("message_start", message=message)
    if isinstance(step, str):
        block: dict[str, Any] = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": step}
    else:
        name = {"id": f"toolu_{uuid.uuid4().hex}", "name": step.name, "input": {}}
        block = {"type": "tool_use", **name}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(step.arguments)}
    yield event("content_block_start", index=0, content_block=block)
    yield event("content_block_delta", index=0, delta=delta)
    yield event("content_block_stop", index=0)
    reason = "end_turn" if isinstance(step, str) else "tool_use"
    end = {"stop_reason": reason, "stop_sequence": None}
    yield event("message_delta", delta=end, usage={"output_tokens": 7})
    yield event("message_stop")


# --- Responses API ------------------------------------------------------------------------------


def _input(body: dict[str, Any]) -> list[Turn]:
    turns = []
    for item in body["input"]:
        if item.get("type") == "message":
            turns.append(Turn(item["role"], _texts(item["content"], "input_text", "output_text")))
        elif item.get("type", "").endswith("_call"):
            turns.append(Turn("assistant", ""))
    return turns


def _responses_events(step: Step) -> Iterator[tuple[str, Any]]:
    response = {"id": f"resp_{uuid.uuid4().hex}"}
    yield "response.created", {"type": "response.created", "response": response}
    if isinstance(step, str):
        content = [{"type": "output_text", "text": step}]
        item: dict[str, Any] = {"type": "message", "role": "assistant", "content": content}
    else:
        space, _, name = step.name.rpartition("__")
        item = {
            "type": "function_call", "call_id": f"call_{uuid.uuid4().hex}", "name": name,
            "arguments": json.dumps(step.arguments), **({"namespace": space} if space else {}),
        }  # fmt: skip
    yield "response.output_item.done", {"type": "response.output_item.done", "item": item}
    usage = {
        "input_tokens": 100, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 107,
    }  # fmt: skip
    done = {"type": "response.completed", "response": {**response, "usage": usage}}
    yield "response.completed", done


# --- generateContent ----------------------------------------------------------------------------


def _contents(body: dict[str, Any]) -> list[Turn]:
    turns = []
    for one in body["contents"]:
        texts = [part["text"] for part in one["parts"] if "text" in part]
        role = "assistant" if one.get("role") == "model" else "user"
        turns.append(Turn(role, without_recalled("\n".join(texts))))
    return turns


def _content(step: Step, body: dict[str, Any]) -> dict[str, Any]:
    if isinstance(step, Call):
        part: dict[str, Any] = {"functionCall": {"name": step.name, "args": step.arguments}}
    else:
        part = {"text": step}
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 7, "totalTokenCount": 107}
    said = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    return {"candidates": [said], "usageMetadata": usage}
