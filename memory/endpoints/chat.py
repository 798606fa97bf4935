"""Asking a language model for one JSON object, in the two protocols that are spoken widely.

OpenAI's chat completions (OpenAI, Ollama, vLLM, LM Studio and others):
https://platform.openai.com/docs/api-reference/chat. Anthropic's messages:
https://docs.anthropic.com/en/api/messages. Servers differ in what they accept, so little is asked
for. Not for what is asked and what a good answer holds (each purpose's own), or for sending
(calls.py).
"""

# httpx is imported by the endpoint when it is used: see calls.py.
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from memory.endpoints.answers import EndpointError
from memory.endpoints.calls import Endpoint

ANTHROPIC_VERSION = "2023-06-01"
# What is asked for has some hundred tokens; a model that thinks aloud needs more.
MOST_ANSWER_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class Purpose:
    """What is asked for: `what` it is called in messages ("summary"), what a refusal is a refusal
    to do, the prefix of its settings, the tool whose input it is and its JSON Schema, and the
    errors that are raised: in general, for a refusal, for an answer of no use."""

    what: str
    doing: str
    setting: str
    tool: str
    tool_about: str
    schema: Mapping[str, Any]
    error: type[EndpointError]
    refused: type[EndpointError]
    malformed: type[EndpointError]


@dataclass(frozen=True, slots=True)
class Reply:
    """`content` is an object, or a text that should be one; `tokens` what both sides said, by the
    server's own count, None where it does not count."""

    content: Any
    tokens: int | None


class Chat(Protocol):
    """`method` names the model in histories."""

    @property
    def method(self) -> str: ...

    def ask(self, system: str, user: str) -> Reply:
        """Called outside any transaction. Raises the purpose's errors."""
        ...


class OpenAIChat:
    """`model` at the base `url`, such as http://localhost:11434/v1.

    `timeout` bounds a call with all its attempts. `endpoint` are further arguments of Endpoint.
    Raises the purpose's error for an unusable `url` or `api_key`.
    """

    def __init__(
        self, purpose: Purpose, *, url: str, model: str, api_key: str, timeout: float,
        **endpoint: Any,
    ) -> None:  # fmt: skip
        self.method = f"openai {model}"
        self._purpose, self._model, self._timeout = purpose, model, timeout
        self._endpoint = Endpoint(
            what=purpose.what,
            url=url,
            path="chat/completions",
            key=api_key,
            setting=purpose.setting,
            error=purpose.error,
            timeout=timeout,
            **endpoint,
        )

    def ask(self, system: str, user: str) -> Reply:
        purpose = self._purpose
        payload: dict[str, Any] = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": user},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": purpose.tool, "schema": purpose.schema, "strict": True},
            },
        }
        try:
            return self._read(self._post(payload))
        finally:
            self._endpoint.close()

    def _post(self, payload: dict[str, Any]) -> bytes:
        """Servers that do not know response_format are asked in words alone, which the system's
        turn does anyway."""
        deadline = self._endpoint.clock() + self._timeout
        try:
            return self._endpoint.post(payload, deadline=deadline)
        except self._purpose.error as error:
            if error.answer is None or error.answer.status not in (400, 422):
                raise
            plain = {name: value for name, value in payload.items() if name != "response_format"}
            return self._endpoint.post(plain, deadline=deadline)

    def _read(self, body: bytes) -> Reply:
        source, purpose = self._endpoint.source, self._purpose
        answer = _object(body, source, purpose)
        choices = answer.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(message, dict):
            raise purpose.malformed(f"{source} did not answer with a message")
        reason = choice.get("finish_reason")
        if message.get("refusal") or reason == "content_filter":
            raise purpose.refused(f"{source} refused to {purpose.doing}")
        if reason == "length":
            raise purpose.malformed(f"{source} was cut off before the {purpose.what} was whole")
        tokens = _counted(answer.get("usage"), ("prompt_tokens", "completion_tokens"))
        return Reply(_text(message.get("content")), tokens)


class AnthropicChat:
    """`model` at the base `url`, such as https://api.anthropic.com/v1.

    The answer is asked for as the input of a tool, whose schema the server holds the model to.
    """

    def __init__(
        self, purpose: Purpose, *, url: str, model: str, api_key: str, timeout: float,
        **endpoint: Any,
    ) -> None:  # fmt: skip
        self.method = f"anthropic {model}"
        self._purpose, self._model, self._timeout = purpose, model, timeout
        self._endpoint = Endpoint(
            what=purpose.what,
            url=url,
            path="messages",
            key=api_key,
            key_header="x-api-key",
            key_prefix="",
            headers={"anthropic-version": ANTHROPIC_VERSION},
            setting=purpose.setting,
            error=purpose.error,
            timeout=timeout,
            **endpoint,
        )

    def ask(self, system: str, user: str) -> Reply:
        purpose = self._purpose
        tool = {
            "name": purpose.tool,
            "description": purpose.tool_about,
            "input_schema": purpose.schema,
        }
        payload: dict[str, Any] = {
            "model": self._model,
            "max_tokens": MOST_ANSWER_TOKENS,
            "system": system,
            "messages": [{"role": "user", "content": user}],
            "tools": [tool],
            "tool_choice": {"type": "tool", "name": purpose.tool},
        }
        deadline = self._endpoint.clock() + self._timeout
        try:
            return self._read(self._endpoint.post(payload, deadline=deadline))
        finally:
            self._endpoint.close()

    def _read(self, body: bytes) -> Reply:
        source, purpose = self._endpoint.source, self._purpose
        answer = _object(body, source, purpose)
        reason, content = answer.get("stop_reason"), answer.get("content")
        if reason == "refusal":
            raise purpose.refused(f"{source} refused to {purpose.doing}")
        if reason == "max_tokens":
            raise purpose.malformed(f"{source} was cut off before the {purpose.what} was whole")
        if not isinstance(content, list):
            raise purpose.malformed(f"{source} did not answer with a message")
        tokens = _counted(
            answer.get("usage"),
            (
                "input_tokens", "output_tokens", "cache_creation_input_tokens",
                "cache_read_input_tokens",
            ),
        )  # fmt: skip
        for block in content:
            if isinstance(block, dict) and block.get("type") == "tool_use":
                return Reply(block.get("input"), tokens)
        return Reply(_text(content), tokens)


def _object(body: bytes, source: str, purpose: Purpose) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise purpose.malformed(f"{source} did not answer with JSON")
    return answer


def _text(content: Any) -> Any:
    """A message's text, given whole or in blocks."""
    if not isinstance(content, list):
        return content
    texts = [block.get("text") for block in content if isinstance(block, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _counted(usage: Any, names: tuple[str, ...]) -> int | None:
    if not isinstance(usage, dict):
        return None
    counts = [usage.get(name) for name in names]
    whole = [n for n in counts if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    return sum(whole) if whole else None
